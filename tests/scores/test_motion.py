"""Motion against movements that are known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from framescribe.scores.registry import scorers_named
from tests.scores.real import NAMES, real_clip

from .synthetic import pictures_of

pytest.importorskip("cv2")
HEIGHT, WIDTH, COUNT, FPS = 108, 192, 9, 8.0
ROW, COLUMN = np.mgrid[:HEIGHT, :WIDTH].astype(float)
MIDDLE_Y, MIDDLE_X = (HEIGHT - 1) / 2, (WIDTH - 1) / 2
DIAGONAL = math.hypot(HEIGHT, WIDTH)


def motion(frames: np.ndarray) -> dict[str, float]:
    return dict(scorers_named(["motion"])[0].measure(pictures_of(frames, FPS)))


def textured(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Brightness of a world that is known at every point: waves of 30 lengths and directions."""
    rng = np.random.default_rng(3)
    waves = zip(rng.uniform(0, 7, 30), rng.uniform(0, 7, 30), rng.uniform(8, 40, 30), strict=True)
    level = sum(
        np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / px + phase) for angle, phase, px in waves
    )
    return np.clip(128 + 20 * level, 0, 255)


def film(place) -> np.ndarray:
    """COUNT frames, each of the world at ``place(seconds)``: the y and x that its points show."""
    frames = [textured(*place(number / FPS)) for number in range(COUNT)]
    return np.repeat(np.rint(frames).astype(np.uint8)[..., None], 3, -1)


@pytest.mark.parametrize("speed_px", [1.0, 3.0, 12.0, 30.0, 50.0])
def test_a_pan_has_the_speed_that_it_has(speed_px):
    scores = motion(film(lambda s: (ROW + 0.6 * 2 * speed_px * s, COLUMN + 0.8 * 2 * speed_px * s)))
    assert scores["motion"] == pytest.approx(speed_px, rel=0.1)
    assert scores["motion_diagonals"] == pytest.approx(2 * speed_px / DIAGONAL, rel=0.1)
    assert scores["direction_spread"] < 0.1
    assert scores["static_share"] == 0


def test_what_is_too_fast_for_half_a_second_is_fast():
    period_px = 60  # in half a second the picture is what it was
    scores = motion(film(lambda s: (ROW, (COLUMN + 2 * period_px * s) % period_px)))
    assert scores["motion"] == pytest.approx(period_px, rel=0.1)


@pytest.mark.parametrize("degrees_s", [2.0, 8.0, 20.0, 50.0])
def test_a_rotation_has_the_speed_that_it_has(degrees_s):
    def place(seconds):
        angle = np.radians(degrees_s) * seconds
        y, x = ROW - MIDDLE_Y, COLUMN - MIDDLE_X
        return (
            MIDDLE_Y + np.cos(angle) * y + np.sin(angle) * x,
            MIDDLE_X - np.sin(angle) * y + np.cos(angle) * x,
        )

    radius_px = np.hypot(ROW - MIDDLE_Y, COLUMN - MIDDLE_X).mean()
    scores = motion(film(place))
    assert scores["motion"] == pytest.approx(2 * np.sin(np.radians(degrees_s) / 4) * radius_px, rel=0.1)
    assert scores["direction_spread"] > 0.9


@pytest.mark.parametrize("growth_s", [1.02, 1.1, 1.2])
def test_a_zoom_has_the_speed_that_it_has(growth_s):
    def place(seconds):
        factor = growth_s**-seconds
        return MIDDLE_Y + (ROW - MIDDLE_Y) * factor, MIDDLE_X + (COLUMN - MIDDLE_X) * factor

    radius_px = np.hypot(ROW - MIDDLE_Y, COLUMN - MIDDLE_X).mean()
    scores = motion(film(place))
    assert scores["motion"] == pytest.approx((growth_s**0.5 - 1) * radius_px, rel=0.1)
    assert scores["direction_spread"] > 0.9


def test_pixels_are_those_of_the_video_and_diagonals_are_those_of_any_size():
    frames = film(lambda s: (ROW, COLUMN + 6 * s))
    large = np.repeat(np.repeat(frames, 3, 1), 3, 2)  # the small pictures are the same
    assert motion(large)["motion"] == pytest.approx(3 * motion(frames)["motion"], rel=1e-6)
    assert motion(large)["motion_diagonals"] == pytest.approx(motion(frames)["motion_diagonals"], rel=1e-6)


def test_time_without_movement_is_static():
    frames = film(lambda s: (ROW, COLUMN + 8 * min(s, 0.5)))
    assert motion(frames)["static_share"] == 0.5
    still = motion(np.repeat(frames[:1], COUNT, 0))
    assert still["motion"] == pytest.approx(0, abs=0.02)
    assert still["static_share"] == 1
    assert math.isnan(still["direction_spread"])


@pytest.mark.parametrize("name", NAMES)
def test_light_that_changes_is_no_movement(name):
    still = real_clip(name)[0, ::2, ::2].astype(float)
    dimmed = np.rint(still * np.linspace(1, 0.5, COUNT)[:, None, None, None]).astype(np.uint8)
    assert motion(dimmed)["motion"] < 2


def test_a_pan_is_no_shake_however_unevenly_it_is_looked_at():
    pan = pictures_of(np.stack([film_at(1.2 * number) for number in range(49)]), 24.0)
    uneven = np.flatnonzero(np.arange(49) % 5 % 3 != 1)
    for seen in (np.arange(49), uneven):
        pictures = replace(pan, tiny_NHW=pan.tiny_NHW[seen], tiny_s=pan.tiny_s[seen])
        assert dict(scorers_named(["shake"])[0].measure(pictures))["shake"] < 0.03


def film_at(shift_px: float) -> np.ndarray:
    return np.repeat(np.rint(textured(ROW, COLUMN + shift_px)).astype(np.uint8)[..., None], 3, -1)
