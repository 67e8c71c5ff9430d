"""Backgrounds under the open sky."""

from __future__ import annotations

import torch

from framescribe.synthetic.canvas import WORLD_PX, Canvas, Colour


def _sky(canvas: Canvas, top: Colour, bottom: Colour, horizon: float, clouds: int = 4) -> None:
    canvas.paint(canvas.gradient(top, bottom, 0, horizon))
    for x, y in canvas.scatter(clouds, 15, horizon - 30):
        for _ in range(5):
            dx, dy = canvas.random.uniform(-22, 22), canvas.random.uniform(-5, 5)
            canvas.ellipse((0.97, 0.97, 0.98), x + dx, y + dy, 17, 8, alpha=0.75)


def meadow(canvas: Canvas) -> None:
    horizon = canvas.random.uniform(120, 150)
    _sky(canvas, (0.55, 0.75, 0.93), (0.80, 0.90, 0.96), horizon)
    hills = horizon + 12 * canvas.noise(70)[0]
    ground = canvas.gradient((0.47, 0.68, 0.38), (0.36, 0.58, 0.29), horizon, WORLD_PX)
    canvas.paint(ground, canvas.below(hills))
    canvas.shade(0.10 * canvas.noise(7, 4) * canvas.below(hills))
    for x, y in canvas.scatter(90, horizon + 15, WORLD_PX):
        colour = canvas.random.choice(((0.98, 0.97, 0.9), (0.98, 0.87, 0.35), (0.87, 0.52, 0.72)))
        radius = 1.6 + 2.6 * (y - horizon) / WORLD_PX
        canvas.ellipse(colour, x, y, radius, radius)
    for x, y in canvas.scatter(9, horizon + 20, WORLD_PX):  # bushes
        canvas.ellipse((0.20, 0.42, 0.20), x, y, 13, 8)
        canvas.ellipse((0.28, 0.52, 0.26), x - 2, y - 2, 9, 5)


def desert(canvas: Canvas) -> None:
    horizon = canvas.random.uniform(110, 140)
    _sky(canvas, (0.62, 0.78, 0.88), (0.95, 0.90, 0.78), horizon, clouds=0)
    for index in range(6):
        start = horizon + index * 38
        ridge = start + 26 * canvas.noise(120)[0]
        light = 0.90 - 0.05 * (index % 2)
        sand = canvas.gradient((light, light * 0.80, light * 0.55), (0.76, 0.57, 0.36), start, start + 60)
        canvas.paint(sand, canvas.below(ridge))
    canvas.shade(0.05 * canvas.noise(40, 3) * canvas.below(horizon + 20))
    for x, y in canvas.scatter(24, horizon + 15, WORLD_PX):
        radius = canvas.random.uniform(4, 8)
        canvas.ellipse((0.55, 0.42, 0.30), x, y, radius * 1.5, radius)
        canvas.ellipse((0.68, 0.54, 0.40), x - 1, y - 2, radius, radius * 0.6)


def beach(canvas: Canvas) -> None:
    horizon, shore = canvas.random.uniform(85, 105), canvas.random.uniform(170, 200)
    _sky(canvas, (0.50, 0.76, 0.95), (0.82, 0.93, 0.98), horizon)
    canvas.paint(
        canvas.gradient((0.13, 0.47, 0.66), (0.35, 0.74, 0.78), horizon, shore), canvas.below(horizon)
    )
    waves = (canvas.noise(28, 5) > 0.35).float() * canvas.below(horizon + 6)
    canvas.paint((0.80, 0.93, 0.95), 0.55 * waves)
    line = shore + 9 * canvas.noise(45)[0]
    canvas.paint((0.96, 0.97, 0.96), canvas.below(line - 7))
    canvas.paint(
        canvas.gradient((0.82, 0.73, 0.55), (0.93, 0.86, 0.68), shore, shore + 40), canvas.below(line)
    )
    canvas.shade(0.06 * canvas.noise(5) * canvas.below(line))
    for x, y in canvas.scatter(26, shore + 18, WORLD_PX):
        colour = canvas.random.choice(((0.98, 0.95, 0.90), (0.85, 0.62, 0.55), (0.60, 0.50, 0.40)))
        canvas.ellipse(colour, x, y, 5, 3.2)


def snow_field(canvas: Canvas) -> None:
    horizon = canvas.random.uniform(120, 145)
    _sky(canvas, (0.66, 0.74, 0.84), (0.84, 0.88, 0.93), horizon, clouds=2)
    hills = horizon + 10 * canvas.noise(80)[0]
    canvas.paint(
        canvas.gradient((0.90, 0.93, 0.97), (0.78, 0.84, 0.92), horizon, WORLD_PX), canvas.below(hills)
    )
    canvas.shade(0.07 * canvas.noise(45, 9) * canvas.below(hills))
    for x, y in canvas.scatter(17, horizon + 4, WORLD_PX - 10):
        height = 12 + 20 * (y - horizon) / 200
        for step in range(3):
            top = y - height * (1.5 - 0.4 * step)
            width = height * (0.32 + 0.12 * step)
            corners = ((x, top), (x - width, top + height * 0.75), (x + width, top + height * 0.75))
            canvas.triangle((0.26, 0.38, 0.40), corners)
            canvas.triangle(
                (0.93, 0.96, 0.99), ((x, top), (x - width / 2, top + 7), (x + width / 2, top + 7))
            )


def city(canvas: Canvas) -> None:
    street = canvas.random.uniform(235, 255)
    canvas.paint(canvas.gradient((0.70, 0.78, 0.86), (0.88, 0.88, 0.86), 0, street))
    left = -10.0
    while left < WORLD_PX:
        width, top = canvas.random.uniform(42, 68), canvas.random.uniform(30, 150)
        wall = canvas.random.choice(
            (
                (0.55, 0.50, 0.50),
                (0.62, 0.60, 0.62),
                (0.50, 0.55, 0.62),
                (0.70, 0.62, 0.55),
                (0.45, 0.47, 0.52),
            )
        )
        canvas.box(wall, left, top, left + width - 2, street)
        for row in range(int(top) + 9, int(street) - 12, 17):
            for column in range(int(left) + 7, int(left + width) - 11, 13):
                lit = canvas.random.random() < 0.4
                canvas.box(
                    (0.97, 0.90, 0.62) if lit else (0.33, 0.40, 0.48), column, row, column + 6, row + 9
                )
        left += width
    canvas.box((0.72, 0.71, 0.70), 0, street, WORLD_PX, street + 16)
    canvas.box((0.34, 0.34, 0.36), 0, street + 16, WORLD_PX, WORLD_PX)
    offset = canvas.random.uniform(0, 60)
    for column in range(-1, 7):
        canvas.box(
            (0.93, 0.93, 0.90), offset + 60 * column, street + 55, offset + 60 * column + 30, street + 60
        )
    canvas.shade(0.10 * canvas.noise(6) * canvas.below(street))


def forest(canvas: Canvas) -> None:
    floor = canvas.random.uniform(225, 245)
    canvas.paint(canvas.gradient((0.42, 0.56, 0.44), (0.24, 0.38, 0.28), 0, floor))
    canvas.shade(0.25 * canvas.noise(16))
    for depth, count in enumerate((9, 7)):
        for _ in range(count):
            x, width = canvas.random.uniform(0, WORLD_PX), canvas.random.uniform(7, 11) * (1 + 0.7 * depth)
            bark = ((0.34, 0.33, 0.27), (0.38, 0.28, 0.20))[depth]
            canvas.box(bark, x - width / 2, 0, x + width / 2, floor + 12 * depth + 6)
            canvas.box((0.48, 0.40, 0.30), x - width / 2, 0, x - width / 5, floor + 12 * depth + 6, alpha=0.5)
    leaves = ((0.23, 0.42, 0.22), (0.31, 0.50, 0.26), (0.17, 0.34, 0.20), (0.40, 0.56, 0.28))
    for x, y in canvas.scatter(110, -10, 95):
        canvas.ellipse(canvas.random.choice(leaves), x, y, 14, 10, alpha=0.9)
    ground = floor + 6 * canvas.noise(30)[0]
    canvas.paint((0.36, 0.30, 0.20), canvas.below(ground))
    canvas.shade(0.18 * canvas.noise(6, 4) * canvas.below(ground))
    for x, y in canvas.scatter(40, floor + 12, WORLD_PX):
        canvas.ellipse(canvas.random.choice(leaves), x, y, 8, 3.5)


def mountains(canvas: Canvas) -> None:
    _sky(canvas, (0.45, 0.65, 0.88), (0.80, 0.88, 0.94), 190, clouds=5)
    for depth, (foot, count) in enumerate(((210, 5), (260, 4))):
        rock = ((0.56, 0.58, 0.66), (0.42, 0.43, 0.48))[depth]
        dark = ((0.46, 0.48, 0.57), (0.33, 0.34, 0.40))[depth]
        for index in range(count):
            x = (index + canvas.random.uniform(0.1, 0.9)) * WORLD_PX / count
            top, half = foot - canvas.random.uniform(95, 150) + 20 * depth, canvas.random.uniform(65, 95)
            height = foot - top
            canvas.triangle(rock, ((x, top), (x - half, foot), (x + half, foot)))
            canvas.triangle(dark, ((x, top), (x + half * 0.2, foot), (x + half, foot)))
            cap = half * 0.25
            canvas.triangle(
                (0.95, 0.96, 0.98), ((x, top), (x - cap, top + height / 4), (x + cap, top + height / 4))
            )
        canvas.box(rock, 0, foot - 1, WORLD_PX, WORLD_PX)
    ground = 262 + 9 * canvas.noise(40)[0]
    canvas.paint((0.47, 0.50, 0.40), canvas.below(ground))
    canvas.shade(0.16 * canvas.noise(7, 5) * canvas.below(ground))
    for x, y in canvas.scatter(26, 272, WORLD_PX):
        canvas.ellipse((0.60, 0.60, 0.60), x, y, canvas.random.uniform(3, 8), 4)


def lava_field(canvas: Canvas) -> None:
    canvas.paint((0.20, 0.17, 0.18))
    canvas.shade(0.5 * canvas.noise(9))
    crack = (canvas.noise(42).abs() < 0.055).float() + (canvas.noise(60).abs() < 0.05).float()
    glow = torch.nn.functional.avg_pool2d(crack[None, None], 9, 1, 4)[0, 0]
    canvas.paint((0.75, 0.18, 0.05), (1.3 * glow).clamp(0, 0.9))
    canvas.paint((1.0, 0.62, 0.15), crack.clamp(0, 1))
    for x, y in canvas.scatter(18, 0, WORLD_PX):
        radius = canvas.random.uniform(5, 11)
        canvas.ellipse((0.12, 0.10, 0.12), x, y, radius * 1.3, radius)
        canvas.ellipse((0.30, 0.27, 0.28), x - 2, y - 2, radius * 0.8, radius * 0.5)
