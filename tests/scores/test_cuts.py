"""What counts as a cut, and what does not."""

from __future__ import annotations

import numpy as np
import pytest

from framescribe.scores.registry import scorers_named
from tests.scores.real import FPS, real_clip
from tests.scores.synthetic import pictures_of

KITTEN, HORSE, TRAIN = (real_clip(name)[:, ::4, ::4] for name in ("kitten", "horse", "train_running"))


def cuts(frames: np.ndarray) -> float:
    return scorers_named(["cuts"])[0].measure(pictures_of(frames, FPS))["cuts"]


@pytest.mark.parametrize("clip", [KITTEN, HORSE, TRAIN], ids=["kitten", "horse", "train"])
def test_movement_is_no_cut_at_any_rate(clip):
    assert cuts(clip) == 0
    assert cuts(clip[::2]) == 0
    assert cuts(np.repeat(clip, 4, 0)) == 0  # 8 frames a second in a video of 32
    assert cuts(np.concatenate([clip[:24], clip[23::-1]])) == 0


def test_each_cut_counts_once():
    assert cuts(np.concatenate([KITTEN[:16], HORSE[:16]])) == 1
    assert cuts(np.concatenate([TRAIN[:12], KITTEN[:12], HORSE[:12]])) == 2
    assert cuts(np.repeat(np.concatenate([KITTEN[:12], TRAIN[:12]]), 3, 0)) == 1


def test_stills_that_change_are_cut():
    stills = [np.repeat(clip[:1], 12, 0) for clip in (KITTEN, HORSE, TRAIN)]
    assert cuts(np.concatenate(stills)) == 2
    assert cuts(stills[0]) == 0


def test_a_quick_fade_between_stills_is_one_cut():
    one, other = (clip[:1].astype(float) for clip in (KITTEN, HORSE))
    fade = [one * (1 - share) + other * share for share in (0.25, 0.5, 0.75)]
    frames = np.concatenate([*[one] * 12, *fade, *[other] * 12]).astype(np.uint8)
    assert cuts(frames) == 1


def test_a_flash_is_no_cut():
    flash = KITTEN[:24].copy()
    flash[12] = 255
    assert cuts(flash) == 0


def test_light_that_fades_is_no_cut():
    faded = KITTEN[:32] * np.linspace(1, 0, 32)[:, None, None, None]
    assert cuts(faded.astype(np.uint8)) == 0


def test_cuts_per_second_count_the_time_that_was_looked_at():
    (scorer,) = scorers_named(["cuts"])
    values = scorer.measure(pictures_of(np.concatenate([KITTEN[:16], HORSE[:16]]), FPS))
    assert values["cuts_per_s"] == 1 / 4
