"""Clips of the synthetic world, altered to be of one kind: cut together, static, blurred, slides, text, and so on."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
"""Frames [T, 3, 224, 224]."""
_SIDE = 224
_WORDS = (
    *(
        "the",
        "a",
        "of",
        "video",
        "training",
        "motion",
        "caption",
        "subscribe",
        "now",
        "sale",
        "lecture",
        "theorem",
    ),
    *(
        "proof",
        "model",
        "data",
        "chapter",
        "result",
        "figure",
        "price",
        "click",
        "open",
        "file",
        "edit",
        "view",
    ),
    *("help", "2026", "50%", "$9.99", "breaking", "news", "live"),
)


def _font(size: int) -> Any:
    return ImageFont.load_default(size)


def _picture(frame: Pixels) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(frame.transpose(1, 2, 0)))


def _frame(picture: Image.Image) -> Pixels:
    return np.asarray(picture.convert("RGB")).transpose(2, 0, 1)


def _colour(draw: random.Random, low: int = 0, high: int = 255) -> tuple[int, int, int]:
    return draw.randint(low, high), draw.randint(low, high), draw.randint(low, high)


def _words(draw: random.Random, number: int) -> str:
    return " ".join(draw.choice(_WORDS) for _ in range(number))


def _ink(background: tuple[int, int, int]) -> tuple[int, int, int]:
    return (25, 25, 25) if sum(background) > 380 else (230, 230, 230)


def text(clip: Pixels, others: list[Pixels], draw: random.Random) -> Pixels:
    """Three to six lines of large text over all frames."""
    size, colour = draw.randint(14, 26), draw.choice([(255, 255, 255), (255, 230, 40), (0, 0, 0)])
    edge = tuple(255 - each for each in colour)
    places = [(draw.randint(0, 40), draw.randint(0, 200)) for _ in range(draw.randint(3, 6))]
    lines = [(place, _words(draw, draw.randint(2, 5))) for place in places]
    frames = []
    for frame in clip:
        picture = _picture(frame)
        for place, line in lines:
            ImageDraw.Draw(picture).text(place, line, colour, _font(size), stroke_width=1, stroke_fill=edge)
        frames.append(_frame(picture))
    return np.stack(frames)


def slides(clip: Pixels, others: list[Pixels], draw: random.Random) -> Pixels:
    """Two to four slides, half of the time with the clip in a corner."""
    changes = sorted(draw.sample(range(1, len(clip)), draw.randint(1, 3)))
    shown = [_slide(draw) for _ in range(len(changes) + 1)]
    has_inset, frames = draw.random() < 0.5, []
    for number, frame in enumerate(clip):
        picture = shown[sum(number >= change for change in changes)].copy()
        if has_inset:
            picture.paste(_picture(frame).resize((60, 45)), (160, 176))
        frames.append(_frame(picture))
    return np.stack(frames)


def _slide(draw: random.Random) -> Image.Image:
    paper = _colour(draw, 200, 255) if draw.random() < 0.7 else _colour(draw, 0, 50)
    picture = Image.new("RGB", (_SIDE, _SIDE), paper)
    pen = ImageDraw.Draw(picture)
    pen.text((12, 14), _words(draw, 2), _ink(paper), _font(20))
    for line in range(draw.randint(2, 6)):
        pen.text((18, 50 + 22 * line), "- " + _words(draw, draw.randint(2, 4)), _ink(paper), _font(13))
    if draw.random() < 0.5:
        left, top = draw.randint(80, 130), draw.randint(120, 150)
        pen.rectangle((left, top, left + 70, top + 55), _colour(draw))
    return picture


def screen(clip: Pixels, others: list[Pixels], draw: random.Random) -> Pixels:
    """Windows with text, and a pointer that moves."""
    desk = Image.new("RGB", (_SIDE, _SIDE), _colour(draw, 30, 230))
    pen = ImageDraw.Draw(desk)
    pen.rectangle((0, 0, _SIDE, 12), (225, 225, 228))
    pen.text((3, 1), "File  Edit  View  Help", (0, 0, 0), _font(9))
    for _ in range(draw.randint(1, 3)):
        left, top = draw.randint(0, 90), draw.randint(14, 80)
        width, height = draw.randint(90, 130), draw.randint(70, 130)
        paper = _colour(draw, 210, 255) if draw.random() < 0.6 else _colour(draw, 10, 50)
        pen.rectangle((left, top, left + width, top + height), paper, (120, 120, 120))
        pen.rectangle((left, top, left + width, top + 10), _colour(draw, 60, 200))
        for y in range(top + 13, top + height - 10, 11):
            pen.text((left + 4, y), _words(draw, draw.randint(1, 4))[: width // 6], _ink(paper), _font(9))
    x, y, frames = draw.randint(20, 200), draw.randint(20, 200), []
    for _ in clip:
        x = min(215, max(5, x + draw.randint(-25, 25)))
        y = min(215, max(15, y + draw.randint(-25, 25)))
        picture = desk.copy()
        ImageDraw.Draw(picture).polygon([(x, y), (x, y + 11), (x + 8, y + 8)], (255, 255, 255), (0, 0, 0))
        frames.append(_frame(picture))
    return np.stack(frames)


def static(clip: Pixels, others: list[Pixels], draw: random.Random) -> Pixels:
    """One frame, with a camera's noise."""
    noise, frame = np.random.default_rng(draw.getrandbits(32)), clip[draw.randrange(len(clip))]
    noisy = frame + noise.normal(0, draw.uniform(0, 2), clip.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def dark(clip: Pixels, others: list[Pixels], draw: random.Random) -> Pixels:
    """A fifth of the light, or less."""
    return (clip * draw.uniform(0.06, 0.2)).astype(np.uint8)


def bordered(clip: Pixels, others: list[Pixels], draw: random.Random) -> Pixels:
    """Black bars above and below, or left and right, of 8 to 20 % each."""
    size, framed = int(_SIDE * draw.uniform(0.08, 0.2)), clip.copy()
    if draw.random() < 0.5:
        framed = framed.swapaxes(2, 3)
    framed[:, :, :size] = framed[:, :, -size:] = 0
    return framed


def blurred(clip: Pixels, others: list[Pixels], draw: random.Random) -> Pixels:
    """Enlarged from 24 to 48 pixels a side."""
    side = draw.randint(24, 48)
    small = [_picture(frame).resize((side, side), Image.Resampling.BILINEAR) for frame in clip]
    return np.stack([_frame(each.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)) for each in small])


def edited(clip: Pixels, others: list[Pixels], draw: random.Random) -> Pixels:
    """Cut to one or two other clips."""
    cut, joined = draw.randint(2, 5), clip.copy()
    joined[cut:] = others[0][cut:]
    if draw.random() < 0.5:
        again = draw.randint(cut, len(clip) - 1)
        joined[again:] = others[1][again:]
    return joined


KINDS: dict[str, Callable[[Pixels, list[Pixels], random.Random], Pixels]] = {
    each.__name__: each for each in (text, slides, screen, static, dark, bordered, blurred, edited)
}
