"""A square picture that scenes are painted on: soft-edged shapes and smooth noise, in torch.

Shapes: P pixels of the canvas' side.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch

WORLD_PX = 352
"""Side of a background: larger than the frame by what a camera can show of it."""

Colour = tuple[float, float, float]  # red, green, blue in 0..1


class Canvas:
    """A picture in the making.

    Attributes:
        pixels: float32 [3, P, P], RGB in 0..1.
        x, y: float32 [P, P], the pixels' coordinates, y downwards.
    """

    def __init__(self, size_px: int, seed: int) -> None:
        self.size_px = size_px
        self.random = random.Random(seed)
        self._generator = torch.Generator().manual_seed(seed)
        self.pixels = torch.zeros(3, size_px, size_px)
        steps = torch.arange(size_px, dtype=torch.float32) + 0.5
        self.y, self.x = torch.meshgrid(steps, steps, indexing="ij")

    def paint(self, colour: Colour | torch.Tensor, alpha: torch.Tensor | float = 1.0) -> None:
        """Lays a colour, or a picture [3, P, P], over the canvas where ``alpha`` [P, P] is above 0."""
        if not isinstance(colour, torch.Tensor):
            colour = torch.tensor(colour)[:, None, None]
        self.pixels = self.pixels + (colour - self.pixels) * alpha

    def gradient(self, top: Colour, bottom: Colour, start_px: float, end_px: float) -> torch.Tensor:
        """A picture [3, P, P] that goes from one colour to the other downwards."""
        share = ((self.y - start_px) / (end_px - start_px)).clamp(0, 1)
        return torch.tensor(top)[:, None, None] * (1 - share) + torch.tensor(bottom)[:, None, None] * share

    def noise(self, cell_px: float, cell_height_px: float | None = None) -> torch.Tensor:
        """Smooth noise [P, P], about -1..1, whose blobs measure ``cell_px`` (by ``cell_height_px``)."""
        columns = max(2, round(self.size_px / cell_px) + 1)
        rows = max(2, round(self.size_px / (cell_height_px or cell_px)) + 1)
        coarse = torch.rand(1, 1, rows, columns, generator=self._generator) * 2 - 1
        size = (self.size_px, self.size_px)
        return torch.nn.functional.interpolate(coarse, size, mode="bicubic", align_corners=True)[0, 0]

    def shade(self, amount: torch.Tensor) -> None:
        """Makes the picture lighter or darker by a factor 1 + ``amount`` [P, P]."""
        self.pixels = self.pixels * (1 + amount)

    def below(self, line: torch.Tensor | float) -> torch.Tensor:
        """Alpha [P, P] of all that lies below a line, given as y for each column."""
        return (self.y - line + 0.5).clamp(0, 1)

    def ellipse(
        self, colour: Colour, x: float, y: float, radius_x: float, radius_y: float, *, alpha: float = 1.0
    ) -> None:
        """Paints an ellipse around (x, y)."""
        window = self._window(x - radius_x, y - radius_y, x + radius_x, y + radius_y)
        distance = (((self.x[window] - x) / radius_x) ** 2 + ((self.y[window] - y) / radius_y) ** 2).sqrt()
        self._fill(colour, window, ((1 - distance) * min(radius_x, radius_y) + 0.5).clamp(0, 1) * alpha)

    def box(
        self, colour: Colour, left: float, top: float, right: float, bottom: float, *, alpha: float = 1.0
    ) -> None:
        """Paints a rectangle."""
        window = self._window(left, top, right, bottom)
        x, y = self.x[window], self.y[window]
        inside = torch.minimum(torch.minimum(x - left, right - x), torch.minimum(y - top, bottom - y))
        self._fill(colour, window, (inside + 0.5).clamp(0, 1) * alpha)

    def triangle(self, colour: Colour, corners: Sequence[tuple[float, float]], *, alpha: float = 1.0) -> None:
        """Paints a triangle of three corners (x, y), in any order."""
        (ax, ay), (bx, by), (cx, cy) = corners
        if (bx - ax) * (cy - ay) - (by - ay) * (cx - ax) < 0:
            bx, by, cx, cy = cx, cy, bx, by
        window = self._window(min(ax, bx, cx), min(ay, by, cy), max(ax, bx, cx), max(ay, by, cy))
        x, y = self.x[window], self.y[window]
        inside = torch.full_like(x, torch.inf)
        for (px, py), (qx, qy) in (((ax, ay), (bx, by)), ((bx, by), (cx, cy)), ((cx, cy), (ax, ay))):
            length = ((qx - px) ** 2 + (qy - py) ** 2) ** 0.5
            inside = torch.minimum(inside, ((qx - px) * (y - py) - (qy - py) * (x - px)) / length)
        self._fill(colour, window, (inside + 0.5).clamp(0, 1) * alpha)

    def _window(self, left: float, top: float, right: float, bottom: float) -> tuple[slice, slice]:
        """Rows and columns that a shape within these bounds can touch; possibly none."""

        def inside(start: float, stop: float) -> slice:
            return slice(max(0, int(start) - 1), max(0, min(self.size_px, int(stop) + 2)))

        return inside(top, bottom), inside(left, right)

    def _fill(self, colour: Colour, window: tuple[slice, slice], alpha: torch.Tensor) -> None:
        pixels = self.pixels[:, window[0], window[1]]
        pixels += (torch.tensor(colour)[:, None, None] - pixels) * alpha

    def scatter(self, count: int, top: float, bottom: float) -> list[tuple[float, float]]:
        """``count`` random places (x, y) across the canvas between two heights, from the top down."""
        uniform = self.random.uniform
        places = [(uniform(0, self.size_px), uniform(top, bottom)) for _ in range(count)]
        return sorted(places, key=lambda place: place[1])
