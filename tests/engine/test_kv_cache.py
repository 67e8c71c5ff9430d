"""Whatever blocks a sequence has: each of its tokens attends as in its whole sequence, recomputed from scratch."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from framescribe.engine.kv_cache import BLOCK_SIZE, KVCache
from framescribe.model.config import ModelConfig
from tests.reference import CPU, ODD_SIZES

CONFIG = ModelConfig.from_dict(ODD_SIZES)
LAYERS, HEADS, KV_HEADS, SIZE = 2, 6, 3, 16


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


@settings(max_examples=40)
@given(
    # Neighbours of one length are attended as one batch.
    st.lists(st.tuples(st.integers(1, 150), st.integers(1, 2)), min_size=1, max_size=3),
    st.integers(1, 5),
    st.randoms(use_true_random=False),
)
def test_sequences_attend_to_themselves_wherever_their_blocks_are(runs, steps, random):
    lengths = [length for length, count in runs for _ in range(count)]
    generator = torch.Generator().manual_seed(random.randrange(2**32))

    def draw(batch: int, length: int) -> list[torch.Tensor]:
        shapes = ((batch, heads, length, SIZE) for heads in (HEADS, KV_HEADS, KV_HEADS))
        return [torch.randn(shape, generator=generator) for shape in shapes]

    num_blocks = 20
    cache = KVCache(CONFIG, num_blocks, torch.float32, CPU)
    for tensor in (*cache._keys, *cache._values):  # what sequences before left behind must not matter
        tensor.fill_(float("nan"))
    free = random.sample(range(num_blocks), num_blocks)
    tables = [[free.pop() for _ in range(-(-(length + steps) // BLOCK_SIZE))] for length in lengths]

    def slot(sequence: int, place: int) -> int:
        return tables[sequence][place // BLOCK_SIZE] * BLOCK_SIZE + place % BLOCK_SIZE

    places = [slot(number, place) for number, length in enumerate(lengths) for place in range(length)]
    attend = cache.prefill(torch.tensor(places), lengths)
    history: list[list[tuple[torch.Tensor, torch.Tensor]]] = [[] for _ in lengths]
    for layer in range(LAYERS):
        q, k, v = draw(1, sum(lengths))
        found = attend(layer)(q, k, v)[0].split(lengths, dim=1)
        parts = zip(*(x[0].split(lengths, dim=1) for x in (q, k, v)), strict=True)
        for sequence, part in enumerate(parts):
            torch.testing.assert_close(found[sequence], plain_attention(*part))
            history[sequence].append(part[1:])

    width = max(map(len, tables))
    table_BM = torch.tensor([table + [-7] * (width - len(table)) for table in tables], dtype=torch.int32)
    for step in range(steps):
        so_far = [length + step for length in lengths]
        slots = torch.tensor([slot(number, place) for number, place in enumerate(so_far)])
        attend = cache.decode(slots, table_BM, torch.tensor(so_far, dtype=torch.int32) + 1)
        for layer in range(LAYERS):
            q, k, v = draw(len(lengths), 1)
            found = attend(layer)(q, k, v)
            for sequence, layers in enumerate(history):
                pairs = zip(layers[layer], (k[sequence], v[sequence]), strict=True)
                keys, values = (torch.cat(pair, dim=1) for pair in pairs)
                layers[layer] = (keys, values)
                torch.testing.assert_close(found[sequence], plain_attention(q[sequence], keys, values))
