"""How a clip is shown, in numbers: sizes, places, speeds, and nuisances that a caption does not tell.

Lengths are in pixels of the 224-pixel frame at zoom 1; x grows to the right and y downwards; the origin is
the world's centre. Everything a caption tells must be plain from the frames at 0, 1, …, 7 s alone: so
motions cover at least about 50 px in half a clip, turns advance by 50° to 80° from frame to frame, and hops
and circles have periods that whole seconds do not hide. The camera moves the scenery together with all
subjects, and nothing else does.
"""

from __future__ import annotations

import itertools
import math
import random
from functools import cache
from typing import NamedTuple

from framescribe.synthetic.facts import SIDES, Facts
from framescribe.synthetic.subjects import SUBJECTS

FRAME_PX = 224
CLIP_S = 7.0
HOP_S = 1.75  # a hop, up and down; at whole seconds: 0, .97, .43, .78 of its height, and back
ROUND_S = 3.5  # a round of a circle, or a sway to both sides
BACKGROUND_VARIANTS = 4
_GAP_PX = 6.0
_RIM_PX = 3.0
_LEAST_SCALE = 0.86
_SPUN_SIZE = 1.15  # a sprite's corners stick out when it turns
_SIZES_PX = ((60.0, 82.0), (50.0, 64.0), (47.0, 57.0))
_TRAVEL_PX = (60.0, 72.0)
_ZOOM_RATIO = (1.55, 1.75)


class Segment(NamedTuple):
    """One motion of the main subject: what changes over its time, all of it 0 for staying still."""

    start_s: float
    duration_s: float
    dx_px: float = 0.0
    dy_px: float = 0.0
    growth: float = 0.0  # natural logarithm of size at the end over size at the start
    turn_rad: float = 0.0
    hop_px: float = 0.0
    circle_px: float = 0.0  # radius; below 0, counterclockwise
    circle_phase_rad: float = 0.0
    sway_px: float = 0.0


class Actor(NamedTuple):
    """A subject's picture at the start: centre, longer side, slight tint of each colour channel, angle (clockwise)."""

    subject: int
    x_px: float
    y_px: float
    size_px: float
    red: float
    green: float
    blue: float
    tilt_rad: float = 0.0


class Camera(NamedTuple):
    """The view's centre and zoom at 0 s, and what they change by until 7 s (zoom: natural logarithm)."""

    x_px: float
    y_px: float
    zoom: float
    dx_px: float
    dy_px: float
    dzoom: float


class Staging(NamedTuple):
    """One clip in numbers. The main subject is the first actor; the others rest."""

    segments: tuple[Segment, ...]
    actors: tuple[Actor, ...]
    camera: Camera
    background_variant: int
    brightness: float
    weather_phase: float  # 0..1: where in its pattern the weather starts
    blur: float  # 0..1: share of a 3 x 3 mean
    grain: float  # standard deviation of the noise, in steps of 8-bit colour


class _Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def scaled(self, factor: float) -> _Box:
        return _Box(self.left * factor, self.top * factor, self.right * factor, self.bottom * factor)


def stage(facts: Facts, rng: random.Random) -> Staging:
    """Draws the numbers of one clip; the same facts and random state give the same clip."""
    uniform = rng.uniform
    count = len(facts.companions)
    segments = _segments(facts.motions, rng.random(), rng.choice((-1, 1)), uniform(0, 2 * math.pi))
    size = uniform(*_SIZES_PX[count])
    camera = _camera(facts.camera, rng.random())
    start_scale = _start_scale(segments)
    main_box = _sweep(segments, size)
    # Companions: centre and size relative to the main subject's start.
    placed = []
    box = main_box
    for companion in facts.companions:
        own_size = size * uniform(0.9, 1.02)
        x, y = _beside(main_box, companion.side, own_size, uniform(-0.12, 0.12))
        placed.append((companion.subject, x, y, own_size))
        box = _union(box, _Box(x - own_size / 2, y - own_size / 2, x + own_size / 2, y + own_size / 2))
    width, height = _room(camera)
    scale = min(1.0, width / (box.right - box.left), height / (box.bottom - box.top))
    segments = tuple(_scaled(segment, scale) for segment in segments)
    box = box.scaled(scale)
    slack_x = max(0.0, width - (box.right - box.left)) / 2
    slack_y = max(0.0, height - (box.bottom - box.top)) / 2
    camera_x, camera_y = uniform(-26, 26), uniform(-26, 26)
    x0 = camera_x - (box.left + box.right) / 2 + uniform(-slack_x, slack_x)
    y0 = camera_y - (box.top + box.bottom) / 2 + uniform(-slack_y, slack_y)
    actors = [_actor(facts.subject, x0, y0, size * scale * start_scale, rng)]
    actors += [_actor(name, x0 + x * scale, y0 + y * scale, s * scale, rng) for name, x, y, s in placed]
    camera = camera._replace(x_px=camera_x - camera.dx_px / 2, y_px=camera_y - camera.dy_px / 2)
    return Staging(
        segments=segments,
        actors=tuple(actors),
        camera=camera,
        background_variant=rng.randrange(BACKGROUND_VARIANTS),
        brightness=uniform(0.92, 1.06),
        weather_phase=rng.random(),
        blur=uniform(0.0, 0.6),
        grain=uniform(0.0, 5.0),
    )


def tilted(staging: Staging, share: float, rng: random.Random) -> Staging:
    """The same clip with a share of its subjects askew: for training, so that none is known upright only.

    A subject whose spinning is held out would else be known upright only, and taken for another when it spins; and with
    one that is never shown at rest, an unusual angle must not pass for turning.
    """
    actors = (
        actor._replace(tilt_rad=rng.uniform(0, 2 * math.pi)) if rng.random() < share else actor
        for actor in staging.actors
    )
    return staging._replace(actors=tuple(actors))


@cache
def sides_with_room(motions: tuple[str, ...], camera: str, count: int) -> tuple[tuple[str, ...], ...]:
    """The ways to place ``count`` companions beside these motions without making all small; perhaps none."""
    segments = _segments(motions, 0.5, 1, 0.0)
    size = sum(_SIZES_PX[count]) / 2
    width, height = _room(_camera(camera, 0.5))
    scales: dict[tuple[str, ...], float] = {}
    for sides in itertools.permutations(SIDES, count):
        main_box = _sweep(segments, size)
        across = sum(side in ("left", "right") for side in sides) * (size + _GAP_PX)
        upright = sum(side in ("above", "below") for side in sides) * (size + _GAP_PX)
        scales[sides] = min(
            width / (main_box.right - main_box.left + across),
            height / (main_box.bottom - main_box.top + upright),
        )
    return tuple(sides for sides, scale in scales.items() if scale >= _LEAST_SCALE)


def _segments(motions: tuple[str, ...], amount: float, sign: int, phase_rad: float) -> tuple[Segment, ...]:
    """``amount`` in 0..1 sets the speed, ``sign`` the unnamed sense of turning and swaying."""
    duration_s = CLIP_S / len(motions)
    low, high = (78.0, 100.0) if len(motions) == 1 else (66.0, 76.0)
    travel = low + (high - low) * amount
    changes: dict[str, dict[str, float]] = {
        "stays still": {},
        "moves left": {"dx_px": -travel},
        "moves right": {"dx_px": travel},
        "moves up": {"dy_px": -travel},
        "moves down": {"dy_px": travel},
        "spins": {"turn_rad": sign * math.radians(50 + 30 * amount) * duration_s},
        "grows": {"growth": math.log(2.1 + 0.4 * amount)},
        "shrinks": {"growth": -math.log(2.1 + 0.4 * amount)},
        "bounces": {"hop_px": 46 + 10 * amount},
        "circles": {"circle_px": sign * (28 + 6 * amount), "circle_phase_rad": phase_rad},
        "sways": {"sway_px": sign * (28 + 6 * amount)},
    }
    return tuple(
        Segment(index * duration_s, duration_s, **changes[motion]) for index, motion in enumerate(motions)
    )


def _camera(camera: str, amount: float) -> Camera:
    """The camera's motion, with its centre still to be set."""
    travel = _TRAVEL_PX[0] + (_TRAVEL_PX[1] - _TRAVEL_PX[0]) * amount
    dzoom = math.log(_ZOOM_RATIO[0] + (_ZOOM_RATIO[1] - _ZOOM_RATIO[0]) * amount)
    still = Camera(0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
    return {
        "static": still,
        "pans left": still._replace(dx_px=-travel),
        "pans right": still._replace(dx_px=travel),
        "tilts up": still._replace(dy_px=-travel),
        "tilts down": still._replace(dy_px=travel),
        "zooms in": still._replace(zoom=math.exp(-dzoom / 2), dzoom=dzoom),
        "zooms out": still._replace(zoom=math.exp(dzoom / 2), dzoom=-dzoom),
    }[camera]


def _room(camera: Camera) -> tuple[float, float]:
    """Width and height that stay in view for the whole clip."""
    seen = FRAME_PX / math.exp(abs(camera.dzoom) / 2) - 2 * _RIM_PX
    return seen - abs(camera.dx_px), seen - abs(camera.dy_px)


def _start_scale(segments: tuple[Segment, ...]) -> float:
    """Size at the start over nominal size, such that nominal lies in the middle of what growth reaches."""
    reached = [0.0, *itertools.accumulate(segment.growth for segment in segments)]
    return math.exp(-(min(reached) + max(reached)) / 2)


def _sweep(segments: tuple[Segment, ...], size: float) -> _Box:
    """What the main subject covers over the clip, its centre starting at (0, 0)."""
    x = y = 0.0
    xs, ys = [x], [y]
    for segment in segments:
        radius = segment.circle_px
        centre_x = x - abs(radius) * math.cos(segment.circle_phase_rad)
        centre_y = y - radius * math.sin(segment.circle_phase_rad)
        xs += [centre_x - abs(radius), centre_x + abs(radius)]
        xs += [x - abs(segment.sway_px), x + abs(segment.sway_px)]
        ys += [centre_y - abs(radius), centre_y + abs(radius), y - segment.hop_px]
        x, y = x + segment.dx_px, y + segment.dy_px
        xs.append(x)
        ys.append(y)
    reached = list(itertools.accumulate((segment.growth for segment in segments), initial=0.0))
    half = size / 2 * math.exp((max(reached) - min(reached)) / 2)
    if any(segment.turn_rad for segment in segments):
        half *= _SPUN_SIZE
    return _Box(min(xs) - half, min(ys) - half, max(xs) + half, max(ys) + half)


def _beside(box: _Box, side: str, size: float, shift: float) -> tuple[float, float]:
    """Centre of a companion on that side of the box, moved along it by a share ``shift`` of its length."""
    x = (box.left + box.right) / 2 + shift * (box.right - box.left)
    y = (box.top + box.bottom) / 2 + shift * (box.bottom - box.top)
    distance = _GAP_PX + size / 2
    return {
        "left": (box.left - distance, y),
        "right": (box.right + distance, y),
        "above": (x, box.top - distance),
        "below": (x, box.bottom + distance),
    }[side]


def _union(a: _Box, b: _Box) -> _Box:
    return _Box(min(a.left, b.left), min(a.top, b.top), max(a.right, b.right), max(a.bottom, b.bottom))


def _scaled(segment: Segment, factor: float) -> Segment:
    return segment._replace(
        dx_px=segment.dx_px * factor,
        dy_px=segment.dy_px * factor,
        hop_px=segment.hop_px * factor,
        circle_px=segment.circle_px * factor,
        sway_px=segment.sway_px * factor,
    )


def _actor(subject: str, x: float, y: float, size: float, rng: random.Random) -> Actor:
    tint = (rng.uniform(0.92, 1.06) for _ in range(3))
    return Actor(_SUBJECT_INDEX[subject], x, y, size, *tint)


_SUBJECT_INDEX = {subject: index for index, subject in enumerate(SUBJECTS)}
