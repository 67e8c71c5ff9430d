"""Datasets of made-up features."""

from __future__ import annotations

import numpy as np

from framescribe.dataset.lock import locked
from framescribe.dataset.store import RowFolder
from framescribe.feature_row import FeatureRow, features_of

TINY = features_of("tiny", "sha256:0123")


def feature_row(clip_id: str, vector: np.ndarray, model: str = TINY, source: str | None = None) -> dict:
    row = FeatureRow(
        clip_id=clip_id, source_video=source or f"videos/{clip_id}.mp4", start_s=0.0, end_s=None, features_of=model,
        features=vector.astype("<f2").tobytes(), num_frames=8, engine_version="0",
    )  # fmt: skip
    return row.to_dict()


def write_features(path, rows: list[dict]) -> str:
    """Writes rows into a folder, in two shards."""
    folder = RowFolder(str(path))
    with locked(folder):
        folder.features.make()
        for number, part in enumerate((rows[: len(rows) // 3], rows[len(rows) // 3 :])):
            folder.features.append(part, "test", number)
    return str(path)


def planted(number: int, size: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features float32 [number, size], and whether each has what is planted, noisily, along one direction."""
    draw = np.random.default_rng(seed)
    x, direction = draw.normal(size=(number, size)), np.random.default_rng(99).normal(size=size)
    has_it = x @ direction + draw.normal(size=number) > np.linalg.norm(direction) / 2
    return x.astype(np.float32) * np.linspace(0.1, 10, size, dtype=np.float32) + 3, has_it
