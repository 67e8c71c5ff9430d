"""Weather and light: a change of all colours, and particles that fall or drift in front of everything.

Shapes: W weathers, P pixels of the frame's side, H height of the particles' pattern, which repeats downwards.
"""

from __future__ import annotations

import math
import random
from functools import lru_cache
from typing import NamedTuple

import torch

from framescribe.synthetic.facts import WEATHERS
from framescribe.synthetic.staging import FRAME_PX

PATTERN_PX = 2 * FRAME_PX


class WeatherLooks(NamedTuple):
    """What each weather does; colours as red, green and blue in 0..1.

    Attributes:
        gain, offset: float32 [W, 3]: the scenery's colours become colour x gain + offset.
        actor_gain: float32 [W, 3]: the subjects' colours change half as much, to remain recognizable.
        particles: float32 [W, H, P], how much of the particles' colour covers each pixel.
        particle_colour: float32 [W, 3].
        fall_px_s: float32 [W], how fast the pattern moves down.
    """

    gain: torch.Tensor
    offset: torch.Tensor
    actor_gain: torch.Tensor
    particles: torch.Tensor
    particle_colour: torch.Tensor
    fall_px_s: torch.Tensor


_GAIN = {
    "rain": (0.66, 0.72, 0.80),
    "snow": (0.84, 0.88, 0.95),
    "fog": (0.90, 0.90, 0.90),
    "sunset": (1.0, 0.76, 0.53),
    "night": (0.40, 0.44, 0.70),
}
_OFFSET = {"sunset": (0.10, 0.03, 0.0), "night": (0.0, 0.01, 0.05)}
_PARTICLE_COLOUR = {"rain": (0.85, 0.90, 0.97), "snow": (1.0, 1.0, 1.0), "fog": (0.86, 0.87, 0.88)}
_FALL_PX_S = {"rain": 330.0, "snow": 46.0, "fog": 5.0}


@lru_cache(maxsize=2)
def weather_looks(device: str = "cpu") -> WeatherLooks:
    """The looks of all weathers, in the order of ``WEATHERS``; always the same."""

    def table(values: dict[str, tuple[float, float, float]], default: float) -> torch.Tensor:
        return torch.tensor([values.get(weather, (default,) * 3) for weather in WEATHERS])

    particles = torch.zeros(len(WEATHERS), PATTERN_PX, FRAME_PX)
    particles[WEATHERS.index("rain")] = _rain()
    particles[WEATHERS.index("snow")] = _snow()
    particles[WEATHERS.index("fog")] = _fog()
    gain = table(_GAIN, 1.0)
    looks = WeatherLooks(
        gain=gain,
        offset=table(_OFFSET, 0.0),
        actor_gain=(1 + gain) / 2,
        particles=particles,
        particle_colour=table(_PARTICLE_COLOUR, 0.0),
        fall_px_s=torch.tensor([_FALL_PX_S.get(weather, 0.0) for weather in WEATHERS]),
    )
    return WeatherLooks(*(part.to(device) for part in looks))


def _rain() -> torch.Tensor:
    """Slanted streaks."""
    rng = random.Random(1)
    alpha = torch.zeros(PATTERN_PX, FRAME_PX)
    for _ in range(260):
        x, y, length = rng.uniform(0, FRAME_PX), rng.randrange(PATTERN_PX), rng.randrange(14, 26)
        strength = rng.uniform(0.45, 0.85)
        for step in range(length):
            column = x - 0.22 * step
            left = math.floor(column)
            for pixel, share in ((left, 1 - (column - left)), (left + 1, column - left)):
                place = ((y + step) % PATTERN_PX, pixel % FRAME_PX)
                alpha[place] = max(float(alpha[place]), strength * share)
    return alpha


def _snow() -> torch.Tensor:
    """Flakes of several sizes."""
    rng = random.Random(2)
    alpha = torch.zeros(PATTERN_PX, FRAME_PX)
    for _ in range(240):
        x, y, radius = rng.randrange(FRAME_PX), rng.randrange(PATTERN_PX), rng.uniform(1.3, 2.8)
        for dy in range(-3, 4):
            for dx in range(-3, 4):
                cover = min(1.0, max(0.0, radius + 0.5 - math.hypot(dx, dy)))
                place = ((y + dy) % PATTERN_PX, (x + dx) % FRAME_PX)
                alpha[place] = max(float(alpha[place]), 0.95 * cover)
    return alpha


def _fog() -> torch.Tensor:
    """Soft banks, repeating without a seam because the noise does."""
    coarse = torch.rand(1, 1, 9, 5, generator=torch.Generator().manual_seed(3))
    coarse[:, :, -1] = coarse[:, :, 0]
    size = (PATTERN_PX + 1, FRAME_PX)
    smooth = torch.nn.functional.interpolate(coarse, size, mode="bilinear", align_corners=True)[0, 0, :-1]
    return 0.22 + 0.30 * smooth
