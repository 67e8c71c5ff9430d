"""Clips of which little can be measured: no scorer fails, and none warns."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from framescribe.scores.registry import SCORERS, scorers_named

from .synthetic import pictures_of

NOISE = np.random.default_rng(5).integers(0, 256, (24, 160, 90, 3), np.uint8)
CLIPS = {
    "one frame": NOISE[:1],
    "two frames": NOISE[:2],
    "one colour": np.full((24, 60, 80, 3), 77, np.uint8),
    "black": np.zeros((24, 60, 80, 3), np.uint8),
    "white": np.full((24, 60, 80, 3), 255, np.uint8),
    "one pixel": NOISE[:, :1, :1],
    "two pixels high": NOISE[:, :2],
    "portrait": NOISE,
    "a strip": NOISE[:, :3, :, :],
}


def test_a_clip_stands_still_no_longer_than_it_is():
    pictures = pictures_of(CLIPS["black"], 8.0)
    seen = [0, 3, 6, 9, 12, 15, 18, 20, 23]
    thinned = replace(pictures, tiny_NHW=pictures.tiny_NHW[seen], tiny_s=pictures.tiny_s[seen])
    for each in (pictures, thinned):
        assert dict(scorers_named(["stillness"])[0].measure(each))["longest_still_s"] == pytest.approx(3.0)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("kind", CLIPS)
@pytest.mark.parametrize(
    "scorer", [each for each in SCORERS if each.package != "rapidocr"], ids=lambda scorer: scorer.name
)
def test_little_is_measured_without_failing(scorer, kind):
    if scorer.package is not None:
        pytest.importorskip("cv2")
    values = scorer.measure(pictures_of(CLIPS[kind]))
    assert list(values) == [score.name for score in scorer.scores]
    assert not any(math.isinf(value) for value in values.values())
    assert values == pytest.approx(dict(scorer.measure(pictures_of(CLIPS[kind]))), abs=0, nan_ok=True)
