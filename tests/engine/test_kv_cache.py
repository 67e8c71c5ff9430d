"""Whatever joins, leaves and grows: each slot attends as its whole sequence would, recomputed from scratch."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from framescribe.model.attention import KVCache
from framescribe.model.config import ModelConfig
from tests.reference import CPU, ODD_SIZES

CONFIG = ModelConfig.from_dict(ODD_SIZES)
LAYERS, HEADS, KV_HEADS, SIZE = 2, 6, 3, 16
SLOTS = 3

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("prompt"), st.integers(1, 300)),
        st.tuples(st.just("free"), st.integers(0, SLOTS - 1)),
        st.tuples(st.just("decode"), st.integers(1, 6)),
    ),
    max_size=12,
)


def plain_attention(q_HLE: torch.Tensor, k_KSE: torch.Tensor, v_KSE: torch.Tensor) -> torch.Tensor:
    """Causal attention by its definition, head by head; the last L of S tokens ask."""
    queries, keys = q_HLE.shape[1], k_KSE.shape[1]
    hidden = torch.ones(queries, keys, dtype=torch.bool).triu(keys - queries + 1)
    out = []
    for head, q_LE in enumerate(q_HLE):
        k_SE, v_SE = (x[head // (HEADS // KV_HEADS)] for x in (k_KSE, v_KSE))
        scores = (q_LE @ k_SE.T / SIZE**0.5).masked_fill(hidden, float("-inf"))
        out.append(scores.softmax(-1) @ v_SE)
    return torch.stack(out)


@settings(max_examples=40, deadline=None)
@given(STEPS, st.integers(0, 2**32 - 1))
def test_slots_attend_as_whole_sequences(steps, seed):
    generator = torch.Generator().manual_seed(seed)

    def draw(batch: int, length: int) -> list[list[torch.Tensor]]:
        shapes = ((batch, heads, length, SIZE) for heads in (HEADS, KV_HEADS, KV_HEADS))
        return [torch.randn(shape, generator=generator) for shape in shapes]

    cache = KVCache(CONFIG, SLOTS, torch.float32, CPU)
    # Of each used slot, per layer: its keys and values so far.
    history: list[list[tuple[torch.Tensor, torch.Tensor]]] = []
    for what, number in steps:
        if what == "prompt" and len(history) < SLOTS:
            attend = cache.append_slot(number)
            history.append([])
            for layer in range(LAYERS):
                q, k, v = draw(1, number)
                torch.testing.assert_close(attend(layer)(q, k, v)[0], plain_attention(q[0], k[0], v[0]))
                history[-1].append((k[0], v[0]))
        elif what == "free" and number < len(history):
            cache.free_slot(number)
            last = history.pop()
            if number < len(history):
                history[number] = last
        elif what == "decode" and history:
            for _ in range(number):
                attend = cache.decode_step()
                for layer in range(LAYERS):
                    q, k, v = draw(len(history), 1)
                    found = attend(layer)(q, k, v)
                    for slot, layers in enumerate(history):
                        keys, values = (
                            torch.cat(pair, dim=1)
                            for pair in zip(layers[layer], (k[slot], v[slot]), strict=True)
                        )
                        layers[layer] = (keys, values)
                        torch.testing.assert_close(found[slot], plain_attention(q[slot], keys, values))
        assert cache.size == len(history)
