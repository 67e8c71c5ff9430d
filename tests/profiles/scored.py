"""Folders of scored clips, made of plain numbers."""

from __future__ import annotations

import math
import random
from pathlib import Path

from framescribe.dataset.store import RowFolder
from tests.dataset.test_scored import score_row

SCORERS = {"motion": ("motion", "static_share"), "exposure": ("brightness", "bad_exposure_share")}


def drawn_clips(number: int, seed: int = 0) -> dict[str, dict[str, float]]:
    """Scores by clip id: some NaN, some missing, and whole numbers that lie just on a threshold."""
    draw = random.Random(seed)
    clips: dict[str, dict[str, float]] = {}
    for place in range(number):
        motion = draw.choice([math.nan, draw.randint(0, 4), draw.uniform(0, 4)])
        scores = {"motion": motion, "static_share": draw.random()}
        if draw.random() < 0.8:
            scores |= {"brightness": draw.uniform(0, 255), "bad_exposure_share": draw.choice([0, 0.05, 0.5])}
        clips[f"{place:016x}"] = scores
    return clips


def write_clips(folder: Path, clips: dict[str, dict[str, float]]) -> RowFolder:
    store = RowFolder(str(folder))
    store.prepare()
    store.scores.make()
    rows = [
        score_row(clip_id, scorer, **{name: scores[name] for name in names})
        for clip_id, scores in clips.items()
        for scorer, names in SCORERS.items()
        if names[0] in scores
    ]
    store.scores.append(rows, "run", 0)
    return store
