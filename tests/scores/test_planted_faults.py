"""Faults that are planted in known amounts, against the scores that are made for them; the whole of it is
``benchmarks/planted_faults.py``."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from framescribe.scores.registry import scorers_named
from tests.scores import faults
from tests.scores.real import FPS, NAMES, variant
from tests.scores.synthetic import pictures_of

pytest.importorskip("cv2")
OF_EACH = 2


@cache
def measured(fault: str) -> dict[str, list[float]]:
    """Every classical score of six clips with a fault, or with none."""
    found: dict[str, list[float]] = {}
    for number in range(OF_EACH * len(NAMES)):
        rng = np.random.default_rng([number, len(fault)])
        if fault in ("cut_together", "slides"):
            parts = [variant(NAMES[(number + shot) % 3], rng, (300, 450))[:, ::2, ::2] for shot in range(3)]
            frames = getattr(faults, fault)(parts, rng)
        elif fault == "screen_recording":
            frames = faults.screen_recording(32, (150, 224), rng)
        else:
            frames = variant(NAMES[number % 3], rng)[:, ::2, ::2]
            frames = frames if fault == "none" else getattr(faults, fault)(frames, rng)
        pictures = pictures_of(frames, FPS)
        for scorer in scorers_named(
            ("motion", "shake", "stillness", "cuts", "sharpness", "exposure", "colour", "borders")
        ):
            for name, value in scorer.measure(pictures).items():
                found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize(
    ("higher", "lower", "score"),
    [
        ("slowed", "frozen", "motion"),
        ("frozen", "slowed", "static_share"),
        ("half_frozen", "none", "longest_still_s"),
        ("shaken", "none", "shake"),
        ("cut_together", "none", "cuts"),
        ("slides", "none", "slide_share"),
        ("slides", "frozen", "slide_share"),
        ("slides", "half_frozen", "slide_share"),
        ("slides", "screen_recording", "slide_share"),
        ("none", "blurred", "edge_sharpness"),
        ("darkened", "none", "underexposed_share"),
        ("overexposed", "none", "overexposed_share"),
        ("none", "grey", "saturation"),
        ("bordered", "none", "border_share"),
        ("screen_recording", "none", "flat_share"),
    ],
)
def test_a_fault_shows_in_its_score(higher, lower, score):
    high, low = measured(higher)[score], measured(lower)[score]
    pairs = [(one > other) + (one == other) / 2 for one in high for other in low]
    assert np.mean(pairs) >= 0.99, (high, low)
