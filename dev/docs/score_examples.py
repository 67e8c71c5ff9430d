"""Draws ``docs/scores.jpg``: one clip with each planted fault, and what the scores say of it.

python -m dev.docs.score_examples
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np

from framescribe.scores.registry import scorers_named
from framescribe.types import Clip
from framescribe.video.encode import write_mp4
from framescribe.video.scoring import score_clip
from tests.reference import ROOT
from tests.scores import faults
from tests.scores.real import FPS, NAMES, real_clip

# The fault and the scores that it shows in.
SHOWN = (
    ("as it is", ("motion", "edge_sharpness")),
    ("frozen", ("motion", "static_share")),
    ("half_frozen", ("longest_still_s", "repeated_share")),
    ("shaken", ("shake", "direction_spread")),
    ("cut_together", ("cuts", "cuts_per_s")),
    ("slides", ("slide_share", "cuts")),
    ("screen_recording", ("flat_share", "repeated_share")),
    ("blurred", ("edge_sharpness", "laplacian_variance")),
    ("darkened", ("underexposed_share", "brightness")),
    ("overexposed", ("overexposed_share", "bad_exposure_share")),
    ("grey", ("saturation", "grey_share")),
    ("bordered", ("border_share", "letterbox_share")),
)
FRAMES, WIDTH, HEIGHT, TEXT_WIDTH = 5, 120, 80, 290


def main() -> None:
    rows = [_row(fault, names) for fault, names in SHOWN]
    written, jpeg = cv2.imencode(".jpg", np.concatenate(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])
    assert written
    (ROOT / "docs" / "scores.jpg").write_bytes(jpeg.tobytes())


def _row(fault: str, names: tuple[str, str]) -> np.ndarray:
    """Frames of a clip with a fault, and two of its scores."""
    rng = np.random.default_rng(len(fault))
    clips = [real_clip(name) for name in NAMES]
    if fault in ("cut_together", "slides"):
        frames = getattr(faults, fault)(clips, rng)
    elif fault == "screen_recording":
        frames = faults.screen_recording(48, (480, 720), rng)
    else:
        frames = clips[0] if fault == "as it is" else getattr(faults, fault)(clips[0], rng)
    frames = frames[:, : frames.shape[1] // 2 * 2, : frames.shape[2] // 2 * 2]
    scorers = scorers_named()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_mp4(path, frames.transpose(0, 3, 1, 2), FPS)
        measured = score_clip(Clip(str(path)), scorers)
    scores = {
        score.name: value
        for scorer, one in zip(scorers, measured, strict=True)
        for score, value in zip(scorer.scores, one.values or (), strict=True)
    }
    shown = [
        cv2.resize(frames[at], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        for at in np.linspace(0, len(frames) - 1, FRAMES).round().astype(int)
    ]
    text = np.full((HEIGHT, TEXT_WIDTH, 3), 255, np.uint8)
    lines = (fault.replace("_", " "), *(f"{name} = {scores[name]:.3g}" for name in names))
    for number, line in enumerate(lines):
        place, size = (10, 22 + 22 * number), 0.55 if number == 0 else 0.45
        cv2.putText(text, line, place, cv2.FONT_HERSHEY_SIMPLEX, size, (20, 20, 20), 1, cv2.LINE_AA)
    row = np.concatenate([*shown, text], 1)
    return np.concatenate([row, np.full((4, row.shape[1], 3), 255, np.uint8)])


if __name__ == "__main__":
    main()
