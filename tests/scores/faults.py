"""Faults planted in clips, in known amounts: frames in, frames out, uint8 [T, H, W, 3], RGB."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

Frames = np.ndarray


def frozen(frames: Frames, rng: Generator) -> Frames:
    """One frame for all the time."""
    return np.repeat(frames[rng.integers(len(frames))][None], len(frames), 0)


def half_frozen(frames: Frames, rng: Generator) -> Frames:
    """From 0.3 to 0.6 of its time on the picture stands still."""
    stop = round(len(frames) * rng.uniform(0.3, 0.6))
    return np.concatenate([frames[:stop], np.repeat(frames[stop][None], len(frames) - stop, 0)])


def slowed(frames: Frames, rng: Generator) -> Frames:
    """2 to 6 times as slow; frames in between are blended."""
    place = np.arange(len(frames)) / rng.uniform(2, 6)
    before = place.astype(int)
    share = (place - before).astype(np.float32)[:, None, None, None]
    return np.rint(frames[before] * (1 - share) + frames[before + 1] * share).astype(np.uint8)


def shaken(frames: Frames, rng: Generator) -> Frames:
    """The view jumps by 1 to 2 % of the diagonal (standard deviation) from frame to frame."""
    height, width = frames.shape[1:3]
    diagonal_px = np.hypot(height, width)
    margin = int(np.ceil(0.05 * diagonal_px))
    steps = rng.normal(0, rng.uniform(0.01, 0.02) * diagonal_px, (len(frames), 2))
    shifts = np.clip(np.rint(steps), -margin, margin).astype(int) + margin
    return np.stack(
        [
            frame[y : y + height - 2 * margin, x : x + width - 2 * margin]
            for frame, (y, x) in zip(frames, shifts, strict=True)
        ]
    )


def blurred(frames: Frames, rng: Generator) -> Frames:
    """A Gaussian of 0.7 to 1.5 % of the shorter side, but of 1.5 pixels at least."""
    sigma = max(1.5, rng.uniform(0.007, 0.015) * min(frames.shape[1:3]))
    return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in frames])


def darkened(frames: Frames, rng: Generator) -> Frames:
    """So little light that 30 to 70 % of the points are black."""
    return _lit(frames, 4 / 255, rng.uniform(0.3, 0.7))


def overexposed(frames: Frames, rng: Generator) -> Frames:
    """So much light that 15 to 60 % of the points are white."""
    return _lit(frames, 1.02, 1 - rng.uniform(0.15, 0.6))


def _lit(frames: Frames, level: float, share: float) -> Frames:
    """In the light, along a camera's curve, that makes so large a share of the points darker than a level of 1."""
    usual = max(np.quantile(frames.min(-1) if level > 0.5 else frames.max(-1), share) / 255, 1 / 255)
    curve = np.clip(np.arange(256) / 255 * level / usual, 0, 1)
    return np.rint(curve * 255).astype(np.uint8)[frames]


def grey(frames: Frames, rng: Generator) -> Frames:
    """Without colour."""
    luma = np.rint(frames @ np.array([0.299, 0.587, 0.114], np.float32)).astype(np.uint8)
    return np.repeat(luma[..., None], 3, -1)


def bordered(frames: Frames, rng: Generator) -> Frames:
    """Bars of 4 to 20 % above and below, left and right, or all around; black, or now and then another colour."""
    colour = np.zeros(3) if rng.random() < 0.7 else rng.integers(0, 256, 3)
    height, width = frames.shape[1:3]
    kind = rng.integers(3)
    rows = round(height * rng.uniform(0.04, 0.2)) if kind != 1 else 0
    columns = round(width * rng.uniform(0.04, 0.2)) if kind != 0 else 0
    made = np.empty_like(frames)
    made[:] = colour
    made[:, rows : height - rows, columns : width - columns] = frames[
        :, rows : height - rows, columns : width - columns
    ]
    return made


def cut_together(clips: list[Frames], rng: Generator) -> Frames:
    """Two to four clips of one size, one after the other within the time of one; none shorter than 0.15 of it."""
    count = len(clips[0])
    shots = rng.integers(2, len(clips) + 1)
    lengths = rng.dirichlet([2.0] * shots) * (1 - 0.15 * shots) + 0.15
    stops = np.concatenate([[0], np.rint(np.cumsum(lengths) * count)]).astype(int)
    return np.concatenate(
        [clip[start:stop] for clip, start, stop in zip(clips, stops, stops[1:], strict=False)]
    )[:count]


def slides(clips: list[Frames], rng: Generator) -> Frames:
    """A frame of each of three to four clips, each shown for a while; every other show fades from one to the next."""
    count = len(clips[0])
    stills = [clip[rng.integers(len(clip))] for clip in clips]
    stops = np.rint(np.linspace(0, count, len(stills) + 1)).astype(int)
    made = np.concatenate(
        [
            np.repeat(still[None], stop - start, 0)
            for still, start, stop in zip(stills, stops, stops[1:], strict=False)
        ]
    )
    if rng.random() < 0.5:
        fade = max(2, count // 16)
        for stop, before, after in zip(stops[1:-1], stills, stills[1:], strict=False):
            share = np.linspace(0, 1, fade + 2, dtype=np.float32)[1:-1, None, None, None]
            made[stop : stop + fade] = np.rint(before * (1 - share) + after * share)
    return made


def screen_recording(count: int, size: tuple[int, int], rng: Generator) -> Frames:
    """A window with lines of text that are typed, and now and then scrolled, and a pointer that moves."""
    height, width = size
    paper, ink = (250, 40) if rng.random() < 0.6 else (30, 210)
    page = np.full((4 * height, width, 3), paper, np.uint8)
    line_px = max(6, height // 28)
    words = []
    for top in range(line_px, 4 * height - line_px, line_px * 2):
        left = int(0.06 * width)
        while left < 0.9 * width * rng.uniform(0.6, 1):
            length = int(rng.integers(line_px, 5 * line_px))
            words.append((top, left, min(length, width - left - 2)))
            left += length + line_px // 2
    shown = int(len(words) * 0.2)
    for top, left, length in words[:shown]:
        _write(page, top, left, length, line_px, ink, rng)
    scroll = 0
    pointer = np.array([0.5, 0.5]) * size
    made = np.empty((count, height, width, 3), np.uint8)
    for number in range(count):
        if rng.random() < 0.3 and shown < len(words):
            _write(page, *words[shown], line_px, ink, rng)
            shown += 1
        if rng.random() < 0.02:
            scroll = min(scroll + int(rng.integers(1, 8)) * line_px, 3 * height)
        pointer = np.clip(
            pointer + rng.normal(0, 1, 2) * (rng.random() < 0.3) * line_px, 4, np.array(size) - 8
        )
        made[number] = page[scroll : scroll + height]
        y, x = pointer.astype(int)
        made[number, y : y + line_px, x : x + line_px // 2] = ink
        made[number, : height // 16] = (70, 90, 130)
    return made


def _write(page: Frames, top: int, left: int, length: int, line_px: int, ink: int, rng: Generator) -> None:
    """A word: strokes with gaps between."""
    strokes = rng.random((line_px, length)) < 0.5
    page[top : top + line_px, left : left + length][strokes] = ink
