"""The rows that decode: padding stores and attends to nothing, and each row keeps what is its own when others leave."""

import pytest
import torch

from framescribe.engine.batch import DecodeBatch, decode_step
from framescribe.engine.kv_cache import BLOCK_SIZE, KVCache
from framescribe.engine.sequence import Sequence
from framescribe.model.checkpoint import random_model
from framescribe.model.config import ModelConfig
from framescribe.types import GenerationSettings
from tests.engine.serve import random_request
from tests.reference import CPU, ODD_SIZES

CONFIG = ModelConfig.from_dict(ODD_SIZES)
PENALTY = GenerationSettings(max_new_tokens=100, repetition_penalty=5.0)
ROWS, BLOCKS = 5, 3


@pytest.fixture
def sequences(prompts) -> list[Sequence]:
    """Four of different lengths, each with blocks of its own."""
    sequences = []
    for number in range(4):
        request = random_request(prompts, "x" * (1 + 3 * number), 0, PENALTY)
        sequences.append(Sequence.of(request, print))
        sequences[-1].blocks = [3 * number + 2, 3 * number]
    return sequences


def logits_for(tokens: list[int]) -> torch.Tensor:
    """Logits whose largest are these tokens', each followed by the token after it."""
    logits = torch.zeros(len(tokens), CONFIG.vocab_size)
    for row, token in enumerate(tokens):
        logits[row, token], logits[row, token + 1] = 4.0, 3.0
    return logits


def state(batch: DecodeBatch, row: int) -> list[object]:
    sequence = batch.rows[row]
    return [
        int(batch.tokens_R[row]),
        int(batch.positions_R[row]),
        int(batch.context_lens_R[row]),
        batch.block_tables_RM[row, : len(sequence.blocks)].tolist(),
    ]


@pytest.mark.parametrize("leaving", [(0,), (3,), (1, 2), (0, 3), (0, 1, 2), (0, 1, 2, 3)])
def test_those_that_stay_keep_what_is_theirs(leaving, sequences):
    batch = DecodeBatch(ROWS, BLOCKS, CONFIG.vocab_size, CPU)
    assert batch.add(sequences, logits_for([400, 410, 420, 430])).tolist() == [400, 410, 420, 430]
    before = {id(sequence): state(batch, row) for row, sequence in enumerate(batch.rows)}
    for sequence in sequences:
        assert before[id(sequence)][1:] == [sequence.next_position, sequence.tokens, sequence.blocks]
    batch.remove([sequences[row] for row in leaving])
    assert len(batch) == 4 - len(leaving)
    assert batch.is_active_R.tolist() == [1] * len(batch) + [0] * (ROWS - len(batch))
    for row, sequence in enumerate(batch.rows):
        assert state(batch, row) == before[id(sequence)]
    # The penalty knows each one's own first token: the second largest is chosen now, then neither.
    numbers = [sequences.index(sequence) for sequence in batch.rows]
    again = batch.choose(logits_for([400 + 10 * number for number in numbers]))
    assert again.tolist() == [401 + 10 * number for number in numbers]


def test_a_row_knows_nothing_of_who_had_it_before(sequences):
    batch = DecodeBatch(ROWS, BLOCKS, CONFIG.vocab_size, CPU)
    batch.add(sequences[:1], logits_for([400]))
    batch.remove(sequences[:1])
    assert batch.add(sequences[1:2], logits_for([400])).tolist() == [400]


def test_a_new_block_goes_behind_its_sequences_others(sequences):
    batch = DecodeBatch(ROWS, BLOCKS, CONFIG.vocab_size, CPU)
    batch.add(sequences, logits_for([400, 410, 420, 430]))
    before = batch.block_tables_RM.clone()
    sequences[2].blocks.append(13)
    batch.append_blocks([sequences[2]])
    before[2, 2] = 13
    assert torch.equal(batch.block_tables_RM, before)


def test_padding_neither_writes_nor_moves(sequences):
    """A step of more rows than there are sequences, as CUDA graphs run it, is that of the sequences alone."""
    model = random_model(CONFIG, CPU, torch.float32, seed=0)

    def step(size: int) -> tuple[torch.Tensor, DecodeBatch, KVCache]:
        cache = KVCache(CONFIG, 12, torch.float32, CPU)
        batch = DecodeBatch(ROWS, BLOCKS, CONFIG.vocab_size, CPU)
        batch.add(sequences, logits_for([400, 410, 420, 430]))
        batch.remove(sequences[2:])
        with torch.inference_mode():
            return decode_step(model, cache, batch, size)[:2], batch, cache

    exact, padded = step(2), step(ROWS)
    torch.testing.assert_close(padded[0], exact[0])
    for name in ("positions_R", "context_lens_R"):
        assert torch.equal(getattr(padded[1], name), getattr(exact[1], name))
    for tensors in ("_keys", "_values"):
        for found, expected in zip(getattr(padded[2], tensors), getattr(exact[2], tensors), strict=True):
            torch.testing.assert_close(found, expected)
    assert padded[1].context_lens_R[:2].tolist() == [sequence.tokens + 1 for sequence in sequences[:2]]
    written = [tensor.abs().sum((1, 3)).nonzero().tolist() for tensor in padded[2]._keys]
    places = sorted(
        [each.blocks[each.tokens // BLOCK_SIZE], each.tokens % BLOCK_SIZE] for each in sequences[:2]
    )
    assert [sorted(found) for found in written] == [places] * CONFIG.num_hidden_layers
