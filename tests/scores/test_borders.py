"""Bars along the edges, measured to the row."""

from __future__ import annotations

import numpy as np
import pytest

from framescribe.scores.registry import scorers_named
from tests.scores.real import FPS, NAMES, real_clip
from tests.scores.synthetic import pictures_of


def borders(frames: np.ndarray) -> dict[str, float]:
    return dict(scorers_named(["borders"])[0].measure(pictures_of(frames, FPS)))


def part(name: str) -> np.ndarray:
    return real_clip(name)[::4, :120, :160].copy()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("level", [0, 255, 90])
def test_bars_are_as_wide_as_they_are(name, level):
    letterbox, pillarbox, both = part(name), part(name), part(name)
    letterbox[:, :12] = letterbox[:, -12:] = level
    pillarbox[:, :, :24] = pillarbox[:, :, -24:] = level
    both[:] = level
    both[:, 12:-12, 24:-24] = part(name)[:, 12:-12, 24:-24]
    assert borders(letterbox)["letterbox_share"] == pytest.approx(24 / 120)
    assert borders(letterbox)["border_share"] == pytest.approx(24 / 120)
    assert borders(letterbox)["pillarbox_share"] == 0
    assert borders(pillarbox)["pillarbox_share"] == pytest.approx(48 / 160)
    assert borders(both)["border_share"] == pytest.approx(1 - (96 * 112) / (120 * 160))


@pytest.mark.parametrize("name", NAMES)
def test_pictures_without_bars_have_none(name):
    assert borders(part(name)) == dict.fromkeys(borders(part(name)), 0.0)


def test_a_bar_on_one_side_is_black_or_white():
    frames = part("kitten")
    frames[:, :12] = 0
    assert borders(frames)["letterbox_share"] == pytest.approx(0.1)
    frames[:, :12] = (90, 90, 90)
    assert borders(frames)["border_share"] == 0


def test_black_pictures_have_no_borders():
    assert borders(np.zeros((16, 60, 80, 3), np.uint8))["border_share"] == 0


def test_pictures_with_a_black_edge_are_counted():
    frames = part("kitten")
    frames[:5, :, :8] = 0  # the pictures that are looked at are every fourth
    assert borders(frames)["dark_edge_share"] == pytest.approx(0.5)
