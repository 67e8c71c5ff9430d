"""Planted errors are counted as what they are."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from framescribe.eval.attributes import ATTRIBUTES, SPLITS, judge, score_attributes
from framescribe.synthetic.batches import make_clips
from framescribe.synthetic.captions import describe
from framescribe.synthetic.facts import Companion, Facts

FACTS = Facts("cat", ("grows", "moves left"), (Companion("owl", "left"),), "city", "rain", "pans left")


def wrong(**changes: object) -> set[str]:
    """What is judged wrong of a caption that tells other facts."""
    told = replace(FACTS, **changes)  # type: ignore[arg-type]
    return {name for name, right in judge(describe(told, random.Random(0)), FACTS).items() if not right}


def test_each_error_shows_where_it_was_made() -> None:
    assert wrong() == set()
    assert wrong(subject="cow") == {"subject", "exact"}
    assert wrong(companions=(Companion("cow", "left"),)) == {"subject", "exact"}
    assert wrong(companions=()) == {"subject", "exact"}
    assert wrong(companions=(*FACTS.companions, Companion("cow", "right"))) == {"subject", "exact"}  # made up
    assert wrong(subject="owl", companions=(Companion("cat", "left"),)) == {"subject", "exact"}
    assert wrong(companions=(Companion("owl", "above"),)) == {"exact"}
    assert wrong(motions=("grows", "spins")) == {"motion", "order", "exact"}
    assert wrong(motions=("grows",)) == {"motion", "order", "exact"}
    assert wrong(motions=("moves left", "grows")) == {"order", "exact"}
    assert wrong(background="beach") == {"background", "exact"}
    assert wrong(weather="clear") == {"exact"}
    assert wrong(camera="static") == {"camera", "exact"}


def test_order_is_asked_of_sequences_only() -> None:
    facts = replace(FACTS, motions=("grows",))
    assert judge(describe(facts, random.Random(0)), facts)["order"] is None


@pytest.mark.parametrize("caption", [None, "", "gibberish"])
def test_no_caption_is_wrong_in_everything(caption: str | None) -> None:
    assert not any(judge(caption, FACTS).values())


def test_report() -> None:
    seen, held_out = make_clips(0, 0, 40), make_clips(0, 1, 20, held_out=True)
    pairs = [(clip.caption, clip.facts) for clip in (*seen, *held_out)]
    pairs[:10] = [(None, facts) for _, facts in pairs[:10]]
    report = score_attributes(pairs, seed=1).to_dict()
    assert list(report) == [*SPLITS, "intervals", "counts"]
    for split in SPLITS:
        assert tuple(report[split]) == ATTRIBUTES
    assert report["seen"]["subject"] == report["seen"]["exact"] == 0.75
    assert set(report["held_out"].values()) == {1.0}
    assert report["counts"]["seen"]["exact"] == 40
    assert report["counts"]["seen"]["order"] == sum(len(clip.facts.motions) > 1 for clip in seen)
    low, high = report["intervals"]["seen"]["subject"]
    # A share of 3/4 among 40 has a standard error of 0.068.
    assert low == pytest.approx(0.75 - 1.96 * 0.068, abs=0.03)
    assert high == pytest.approx(0.75 + 1.96 * 0.068, abs=0.03)
    assert score_attributes(pairs, seed=1).to_dict() == report


def test_a_split_without_clips_has_no_figures() -> None:
    report = score_attributes([(None, FACTS)]).to_dict()
    assert set(report["held_out"].values()) == {None}
    assert set(report["intervals"]["held_out"].values()) == {None}
