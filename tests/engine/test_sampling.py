"""Sampling against transformers' logits processors, and draws that only the seed decides."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from framescribe.engine.sampling import SequenceRng, choose_tokens, keep_nucleus, penalize_repetition, sample
from framescribe.types import GenerationSettings

VOCABULARY = 50


def seen_among(tokens, vocabulary=VOCABULARY) -> torch.Tensor:
    """The mask that ``choose_tokens`` keeps, for one sequence."""
    return torch.zeros(1, vocabulary, dtype=torch.bool).index_fill(
        1, torch.tensor(tokens, dtype=torch.long), True
    )


LOGITS = st.integers(0, 2**32 - 1).map(
    lambda seed: torch.randn(VOCABULARY, generator=torch.Generator().manual_seed(seed)) * 4
)


@given(LOGITS, st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=20), st.floats(0.5, 3))
def test_repetition_penalty_as_in_transformers(logits, seen, penalty):
    expected = RepetitionPenaltyLogitsProcessor(penalty)(torch.tensor([seen]), logits[None].clone())[0]
    found = penalize_repetition(logits[None], seen_among(seen), torch.tensor([[penalty]]))[0]
    assert torch.equal(found, expected)


@given(LOGITS, st.floats(0.01, 0.99))
def test_nucleus_as_in_transformers(logits, top_p):
    expected = TopPLogitsWarper(top_p)(torch.zeros(1, 0, dtype=torch.long), logits[None].clone())[0]
    assert torch.equal(keep_nucleus(logits[None], torch.tensor([[top_p]], dtype=torch.float64))[0], expected)


@given(LOGITS, st.floats(0.2, 3), st.floats(0.3, 0.95), st.floats(0.8, 2))
def test_draws_come_from_transformers_distribution(logits, temperature, top_p, penalty):
    """Every token drawn is one that the processors, in generate's order, leave possible."""
    prompt = [1, 2, 3]
    processors = LogitsProcessorList(
        [
            RepetitionPenaltyLogitsProcessor(penalty),
            TemperatureLogitsWarper(temperature),
            TopPLogitsWarper(top_p),
        ]
    )
    possible = processors(torch.tensor([prompt]), logits[None].clone())[0].softmax(-1)
    for seed in range(5):
        settings = GenerationSettings(
            temperature=temperature, top_p=top_p, repetition_penalty=penalty, seed=seed
        )
        tokens = choose_tokens(logits[None], [settings], [SequenceRng(seed)], seen_among(prompt))
        assert possible[tokens[0]] > 0


def test_frequencies_follow_the_probabilities():
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0])
    settings, rng = GenerationSettings(temperature=1.5), SequenceRng(3)
    drawn = torch.cat([choose_tokens(logits[None], [settings], [rng], None) for _ in range(8000)])
    found = torch.bincount(drawn, minlength=4) / 8000
    assert (found - (logits / 1.5).softmax(-1)).abs().max() < 0.03


def test_generated_tokens_are_penalized_too():
    settings, seen = GenerationSettings(repetition_penalty=3.0), seen_among([0], 3)
    logits = torch.tensor([[5.0, 4.0, 3.0]])
    # 5 is halved and more by the prompt; then 4 by its own choice; then 3.
    assert [int(choose_tokens(logits, [settings], [SequenceRng(0)], seen)) for _ in range(3)] == [1, 2, 0]


def test_each_sequence_of_a_batch_is_chosen_by_its_own_settings():
    settings = [
        GenerationSettings(),
        GenerationSettings(temperature=1.0, seed=1),
        GenerationSettings(repetition_penalty=2.0),
        GenerationSettings(temperature=0.8, top_p=0.7, repetition_penalty=1.3, seed=2),
    ]
    logits = torch.randn(4, VOCABULARY, generator=torch.Generator().manual_seed(0)) * 3
    seen = torch.rand(4, VOCABULARY, generator=torch.Generator().manual_seed(1)) < 0.3
    singly = [
        choose_tokens(logits[row, None], [each], [SequenceRng(each.seed)], seen[row, None].clone())
        for row, each in enumerate(settings)
    ]
    together = choose_tokens(logits, settings, [SequenceRng(each.seed) for each in settings], seen)
    assert torch.equal(together, torch.cat(singly))


@pytest.mark.parametrize("temperature", [1e-3, 1e-30, 1e-45, 5e-324])
def test_any_small_temperature_is_greedy(temperature):
    settings = GenerationSettings(temperature=temperature, top_p=0.9)
    logits = torch.tensor([[1.0, 900.0, -900.0]])
    assert int(choose_tokens(logits, [settings], [SequenceRng(0)], None)) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"max_new_tokens": 0},
        {"temperature": -1},
        {"temperature": float("nan")},
        {"temperature": 1, "top_p": 0},
        {"temperature": 1, "top_p": 1.1},
        {"top_p": 0.9},
        {"repetition_penalty": 0},
        {"repetition_penalty": float("inf")},
        {"seed": -1},
        {"seed": 2**63},
    ],
)
def test_settings_that_make_no_sense(settings):
    with pytest.raises(ValueError, match=list(settings)[-1]):
        GenerationSettings(**settings)


def test_an_impossible_token_is_not_drawn_at_0():
    logits = torch.tensor([[float("-inf"), 0.0, 1.0]])
    one = torch.ones(1, 1, dtype=torch.float64)
    assert int(sample(logits, one, one, torch.zeros(1, 1, dtype=torch.float64))) == 1
    assert int(sample(logits, one, one, torch.full((1, 1), 1 - 2**-53, dtype=torch.float64))) == 2


@pytest.mark.parametrize("top_p", [0.25, 0.5, 0.75, 0.3, 0.999])
def test_a_nucleus_of_equally_probable_tokens_is_as_large_as_in_transformers(top_p):
    logits = torch.zeros(1, 4)
    kept = keep_nucleus(logits, torch.tensor([[top_p]], dtype=torch.float64)).isfinite().sum()
    expected = TopPLogitsWarper(top_p)(torch.zeros(1, 0, dtype=torch.long), logits.clone()).isfinite().sum()
    assert kept == expected


@pytest.mark.parametrize("top_p", [5e-324, 1e-9])
def test_the_smallest_nucleus_is_one_token(top_p):
    kept = keep_nucleus(torch.tensor([[1.0, 3.0, 2.0]]), torch.tensor([[top_p]], dtype=torch.float64))
    assert kept.isfinite().tolist() == [[False, True, False]]
