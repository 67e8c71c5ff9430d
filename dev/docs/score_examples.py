"""Draws ``docs/scores/*.jpg``: of each score an example clip with a low value and one with a high one.

The examples come from one pool: real clips, real clips with planted faults, a slide show, a recorded screen, burnt-in
text. Of each score the picture shows those with the least and the greatest value.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from framescribe.scores.registry import SCORERS
from framescribe.types import Clip
from framescribe.video.encode import write_mp4
from framescribe.video.scoring import score_clip
from tests.scores import faults
from tests.scores.real import FPS, NAMES, real_clip

Pictures = np.ndarray
Values = dict[str, float]

_ALTERED = ("frozen", "half_frozen", "slowed", "shaken", "blurred", "overexposed", "grey", "bordered")
_STILLS, _HEIGHT, _WIDTH, _NAME, _VALUE, _GAP = 3, 64, 96, 200, 150, 6


def write_examples(folder: Path) -> None:
    """Writes a picture for each scorer that has scores, as ``SCORER.jpg``."""
    folder.mkdir(exist_ok=True)
    pool = [(name, frames, _scored(frames, fps)) for name, frames, fps in _pool()]
    for scorer in SCORERS:
        if scorer.scores:
            rows = [_heading(), *(_row(score.name, pool) for score in scorer.scores)]
            _, jpeg = cv2.imencode(".jpg", np.concatenate(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
            (folder / f"{scorer.name}.jpg").write_bytes(jpeg.tobytes())


def _pool() -> Iterator[tuple[str, Pictures, float]]:
    """Clips by name: uint8 [N, H, W, 3], and frames a second. Where two have one value, the first is shown."""
    clips = [real_clip(name) for name in NAMES]
    kitten, horse, train = clips
    pillars = kitten.copy()
    pillars[:, :, :90] = pillars[:, :, 630:] = 0
    yield "kitten", kitten, FPS
    for name in _ALTERED:
        yield name.replace("_", " "), getattr(faults, name)(kitten, np.random.default_rng(len(name))), FPS
    yield "horse", horse, FPS
    yield "train", train, 3 * FPS
    yield "pan", np.stack([kitten[0, :360, 4 * n : 4 * n + 480] for n in range(49)]), FPS
    yield "zoom", np.stack([_middle(kitten[0], 1 - n / 80) for n in range(33)]), FPS
    yield "dark", kitten // 10, FPS
    yield "vivid", _vivid(kitten), FPS
    yield "pillarbox", pillars, FPS
    yield "cut together", faults.cut_together(clips, np.random.default_rng(12)), FPS
    yield "slides", faults.slides(clips, np.random.default_rng(6)), FPS
    yield "screen recording", faults.screen_recording(48, (480, 720), np.random.default_rng(16)), FPS
    yield "portrait, short", np.ascontiguousarray(kitten[:12, ::2, 240:480:2]), FPS
    yield "subtitles", _written(kitten, "The cat sat on the grass.", (150, 440), 1.2), FPS
    yield "logo", _written(kitten, "CATS", (612, 40), 1.2), FPS
    page = _written(kitten // 4, "THE CAT", (90, 220), 4.0)
    yield "title page", _written(page, "a short film", (200, 340), 2.0), FPS


def _middle(picture: Pictures, share: float) -> Pictures:
    """The middle of a picture, a share of its sides, as large as the whole."""
    height, width = picture.shape[:2]
    high, wide = round(height * share), round(width * share)
    top, left = (height - high) // 2, (width - wide) // 2
    return cv2.resize(picture[top : top + high, left : left + wide], (width, height))


def _vivid(frames: Pictures) -> Pictures:
    grey = frames.mean(-1, keepdims=True)
    return np.clip(grey + 2.5 * (frames - grey), 0, 255).astype(np.uint8)


def _written(frames: Pictures, text: str, place: tuple[int, int], size: float) -> Pictures:
    written = frames.copy()
    for picture in written:
        _put(picture, text, place, size, 255, round(2 * size))
    return written


def _put(picture: Pictures, text: str, place: tuple[int, int], size: float, level: int, thick: int) -> None:
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, (level,) * 3, thick, cv2.LINE_AA)


def _scored(frames: Pictures, fps: float) -> Values:
    even = frames[:, : frames.shape[1] // 2 * 2, : frames.shape[2] // 2 * 2]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_mp4(path, even.transpose(0, 3, 1, 2), fps)
        measured = score_clip(Clip(str(path)), SCORERS)
    return {
        score.name: value
        for scorer, one in zip(SCORERS, measured, strict=True)
        for score, value in zip(scorer.scores, one.values or (), strict=bool(one.values))
    }


def _row(score: str, pool: list[tuple[str, Pictures, Values]]) -> Pictures:
    """A score's name, the clip of the pool with the least value and the one with the greatest."""
    known = [
        (value, name, frames)
        for name, frames, values in pool
        if not math.isnan(value := values.get(score, math.nan))
    ]
    parts = [_text(_NAME, (score, 0.42, 0))]
    for choose in (min, max):
        value, name, frames = choose(known, key=lambda each: each[0])
        number = f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
        parts += [_strip(frames), _text(_VALUE, (number, 0.55, -10), (name, 0.4, 12))]
    row = np.concatenate(parts, 1)
    return np.concatenate([row, np.full((_GAP, row.shape[1], 3), 255, np.uint8)])


def _heading() -> Pictures:
    ends = [_text(_STILLS * _WIDTH + _VALUE, (name, 0.45, 10)) for name in ("low", "high")]
    return np.concatenate([_text(_NAME, ("score", 0.45, 10)), *ends], 1)[24:]


def _strip(frames: Pictures) -> Pictures:
    """A few of a clip's pictures, whole, on grey."""
    stills = []
    for at in np.linspace(0, len(frames) - 1, _STILLS).round().astype(int):
        height, width = frames.shape[1:3]
        scale = min(_HEIGHT / height, (_WIDTH - 2) / width)
        small = cv2.resize(
            frames[at], (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA
        )
        still = np.full((_HEIGHT, _WIDTH, 3), 235, np.uint8)
        top, left = (_HEIGHT - small.shape[0]) // 2, (_WIDTH - small.shape[1]) // 2
        still[top : top + small.shape[0], left : left + small.shape[1]] = small
        stills.append(still)
    return np.concatenate(stills, 1)


def _text(width: int, *lines: tuple[str, float, int]) -> Pictures:
    """Lines of text, each with its size and its distance from the middle."""
    picture = np.full((_HEIGHT, width, 3), 255, np.uint8)
    for text, size, below in lines:
        _put(picture, text, (8, _HEIGHT // 2 + 5 + below), size, 20, 1)
    return picture
