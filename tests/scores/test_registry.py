"""The scorers that there are: names that fit together, and values for every name."""

from __future__ import annotations

import re

import numpy as np
import pytest

from framescribe.errors import UsageError
from framescribe.scores.registry import SCORERS, scorers_named

from .synthetic import pictures_of


def test_scorers_and_scores_have_names_of_their_own():
    scorers = [scorer.name for scorer in SCORERS]
    scores = [score.name for scorer in SCORERS for score in scorer.scores]
    assert len(set(scorers)) == len(scorers)
    assert len(set(scores)) == len(scores)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in scorers + scores)


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda scorer: scorer.name)
def test_a_scorer_gives_each_of_its_scores(scorer):
    if scorer.package is not None:
        pytest.importorskip({"opencv-python-headless": "cv2"}.get(scorer.package, scorer.package))
    pictures = pictures_of(np.random.default_rng(0).integers(0, 256, (48, 90, 160, 3), np.uint8))
    assert list(scorer.measure(pictures)) == [score.name for score in scorer.scores]


def test_facts_are_those_of_the_file():
    (video,) = scorers_named(["video"])
    values = video.measure(pictures_of(np.zeros((48, 90, 160, 3), np.uint8), video_bytes=86_400))
    assert values == {
        "width": 160,
        "height": 90,
        "aspect": 160 / 90,
        "fps": 24,
        "duration_s": 2,
        "bits_per_pixel": 1,
    }


def test_scorers_come_in_the_order_of_the_registry_and_unknown_ones_are_refused():
    assert scorers_named(reversed([each.name for each in SCORERS])) == SCORERS
    with pytest.raises(UsageError, match="no scorer 'beauty'; choose from all, video"):
        scorers_named(["video", "beauty"])
    default = tuple(each for each in SCORERS if each.is_default)
    assert scorers_named(["all"]) == scorers_named("all") == default
    assert [each.name for each in scorers_named(["motion_vectors", "all"])] == [
        each.name for each in SCORERS if each.is_default or each.name == "motion_vectors"
    ]
    with pytest.raises(UsageError, match="names no scorer"):
        scorers_named([])
