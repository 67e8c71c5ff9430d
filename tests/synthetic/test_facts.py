"""The split into seen and held-out pairs, and what is drawn from it."""

from __future__ import annotations

import json
import random

import pytest

from framescribe.synthetic.batches import make_clip, make_clips
from framescribe.synthetic.facts import (
    MOTIONS,
    STILL,
    WEATHERS_OF_BACKGROUND,
    Facts,
    has_held_out_pair,
    is_held_out,
)
from framescribe.synthetic.sampling import sample_facts
from framescribe.synthetic.subjects import SUBJECTS, with_article


def drawn(count: int, *, held_out: bool = False) -> list[Facts]:
    return [clip.facts for clip in make_clips(7, 0, count, held_out=held_out)]


def test_there_are_at_least_a_hundred_subjects() -> None:
    assert len(set(SUBJECTS)) == len(SUBJECTS) >= 100


def test_a_tenth_of_the_pairs_is_held_out_and_none_of_the_parts() -> None:
    pairs = [(subject, motion) for subject in SUBJECTS for motion in MOTIONS]
    held_out = {pair for pair in pairs if is_held_out(*pair)}
    assert len(held_out) == pytest.approx(len(pairs) / 10, abs=1)
    for subject in SUBJECTS:
        assert 1 <= sum((subject, motion) in held_out for motion in MOTIONS) <= 2
    for motion in MOTIONS:
        assert sum((subject, motion) in held_out for subject in SUBJECTS) == pytest.approx(
            len(SUBJECTS) / 10, abs=1
        )


def test_training_never_draws_a_held_out_pair() -> None:
    facts = drawn(5000)
    assert not any(has_held_out_pair(each) for each in facts)
    assert {each.subject for each in facts} == set(SUBJECTS)
    assert {motion for each in facts for motion in each.motions} == set(MOTIONS)


def test_held_out_clips_have_one_held_out_pair_and_it_is_the_main_subjects() -> None:
    facts = drawn(2000, held_out=True)
    for each in facts:
        assert sum(is_held_out(each.subject, motion) for motion in each.motions) == 1
        assert not any(is_held_out(companion.subject, STILL) for companion in each.companions)
    sequences = [each for each in facts if len(each.motions) == 2]
    first = sum(is_held_out(each.subject, each.motions[0]) for each in sequences)
    assert 0.4 < first / len(sequences) < 0.6


def test_facts_are_consistent() -> None:
    for each in drawn(3000):
        assert len(set(each.motions)) == len(each.motions) in (1, 2)
        assert each.weather in WEATHERS_OF_BACKGROUND[each.background]
        names = [each.subject, *(companion.subject for companion in each.companions)]
        sides = [companion.side for companion in each.companions]
        assert len(set(names)) == len(names) <= 3
        assert len(set(sides)) == len(sides)
        if each.motions == (STILL,):
            assert not each.companions  # nobody could say which one is the main subject


def test_facts_survive_json() -> None:
    for each in drawn(50):
        assert Facts.from_dict(json.loads(json.dumps(each.to_dict()))) == each


def test_a_clip_follows_from_its_seed() -> None:
    assert make_clip("a") == make_clip("a")
    assert make_clip("a") != make_clip("b")
    assert make_clip("a") != make_clip("a", held_out=True)
    assert make_clips(1, 2, 4) == make_clips(1, 2, 8)[:4]
    rng = random.Random(3)
    assert sample_facts(rng) == sample_facts(random.Random(3))


def test_articles() -> None:
    assert [with_article(name) for name in ("owl", "unicorn", "T-shirt", "ear of corn", "umbrella")] == [
        "an owl", "a unicorn", "a T-shirt", "an ear of corn", "an umbrella"
    ]  # fmt: skip
