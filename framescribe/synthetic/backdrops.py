"""Backgrounds without a horizon: walls, floors and depths."""

from __future__ import annotations

from framescribe.synthetic.canvas import WORLD_PX, Canvas, Colour


def brick_wall(canvas: Canvas) -> None:
    canvas.paint((0.80, 0.76, 0.70))
    for row in range(-1, WORLD_PX // 18 + 1):
        for column in range(-1, WORLD_PX // 38 + 2):
            left = column * 38 + 19 * (row % 2)
            light = canvas.random.uniform(0.75, 1.12)
            canvas.box((0.60 * light, 0.41 * light, 0.36 * light), left, row * 18, left + 35, row * 18 + 15)
    for x, y in canvas.scatter(4, 30, WORLD_PX - 60):  # posters
        colour = canvas.random.choice(((0.86, 0.82, 0.62), (0.60, 0.72, 0.70), (0.82, 0.82, 0.84)))
        canvas.box(colour, x - 16, y - 22, x + 16, y + 22)
        for line in range(4):
            canvas.box((0.35, 0.33, 0.35), x - 11, y - 14 + 9 * line, x + 11, y - 11 + 9 * line)
    canvas.shade(0.08 * canvas.noise(5))


def underwater(canvas: Canvas) -> None:
    floor = canvas.random.uniform(255, 275)
    canvas.paint(canvas.gradient((0.32, 0.72, 0.82), (0.06, 0.28, 0.50), 0, WORLD_PX))
    for _ in range(6):  # light from above
        x = canvas.random.uniform(-40, WORLD_PX)
        canvas.triangle((0.75, 0.93, 0.95), ((x, -20), (x + 60, 280), (x + 110, 280)), alpha=0.16)
    sand = floor + 8 * canvas.noise(50)[0]
    canvas.paint((0.62, 0.62, 0.50), canvas.below(sand))
    canvas.shade(0.12 * canvas.noise(8, 4) * canvas.below(sand))
    for x, y in canvas.scatter(13, floor + 8, WORLD_PX):
        weed = canvas.random.choice(((0.16, 0.46, 0.34), (0.70, 0.36, 0.42), (0.62, 0.42, 0.60)))
        for blade in range(4):
            height = canvas.random.uniform(25, 60)
            canvas.ellipse(weed, x + 6 * blade - 9, y - height / 2, 3.2, height / 2)
    for x, y in canvas.scatter(34, 0, floor):
        radius = canvas.random.uniform(2.5, 5.5)
        canvas.ellipse((0.80, 0.95, 0.98), x, y, radius, radius, alpha=0.8)
        canvas.ellipse((0.30, 0.62, 0.76), x + 0.8, y + 0.8, radius * 0.7, radius * 0.7, alpha=0.9)


def outer_space(canvas: Canvas) -> None:
    canvas.paint((0.04, 0.04, 0.11))
    canvas.paint((0.32, 0.14, 0.42), 0.55 * canvas.noise(80).clamp(0, 1))
    canvas.paint((0.10, 0.25, 0.45), 0.55 * canvas.noise(70).clamp(0, 1))
    for x, y in canvas.scatter(190, 0, WORLD_PX):
        radius = canvas.random.choice((0.9, 1.1, 1.4, 2.0))
        canvas.ellipse((0.95, 0.95, canvas.random.uniform(0.75, 1.0)), x, y, radius, radius)
    colours = ((0.70, 0.48, 0.35), (0.42, 0.60, 0.62), (0.66, 0.60, 0.48), (0.55, 0.45, 0.62))
    for (x, y), colour in zip(canvas.scatter(4, 20, WORLD_PX - 20), colours, strict=True):
        radius = canvas.random.uniform(12, 20)
        dark: Colour = (colour[0] * 0.5, colour[1] * 0.5, colour[2] * 0.5)
        canvas.ellipse(dark, x, y, radius, radius)
        canvas.ellipse(colour, x - radius * 0.12, y - radius * 0.12, radius * 0.86, radius * 0.86)
        canvas.ellipse((0.85, 0.80, 0.70), x, y, radius * 1.7, radius * 0.16, alpha=0.7)


def living_room(canvas: Canvas) -> None:
    floor = canvas.random.uniform(225, 245)
    for column in range(-1, WORLD_PX // 26 + 1):
        light = 0.97 if column % 2 else 0.90
        canvas.box((0.85 * light, 0.82 * light, 0.72 * light), column * 26, 0, column * 26 + 27, floor)
    canvas.box((0.55, 0.40, 0.28), -5, floor, WORLD_PX + 5, WORLD_PX + 5)
    for row in range(int(floor), WORLD_PX, 20):
        canvas.box((0.42, 0.30, 0.20), -5, row, WORLD_PX + 5, row + 2)
        joint = canvas.random.uniform(0, 90)
        for column in range(4):
            canvas.box((0.42, 0.30, 0.20), joint + 95 * column, row, joint + 95 * column + 2, row + 20)
    canvas.box((0.95, 0.94, 0.92), -5, floor - 9, WORLD_PX + 5, floor)
    x = canvas.random.uniform(50, 120)  # window, pictures and a sofa, from the left or mirrored
    canvas.box((0.97, 0.97, 0.96), x - 38, 40, x + 38, 135)
    canvas.box((0.66, 0.82, 0.92), x - 32, 46, x + 32, 129)
    canvas.box((0.97, 0.97, 0.96), x - 2, 46, x + 2, 129)
    canvas.box((0.97, 0.97, 0.96), x - 32, 85, x + 32, 89)
    for shift, top in ((95, 50), (160, 75)):
        canvas.box((0.45, 0.33, 0.22), x + shift - 21, top, x + shift + 21, top + 50)
        canvas.box((0.55, 0.66, 0.62), x + shift - 16, top + 5, x + shift + 16, top + 45)
        corners = ((x + shift, top + 14), (x + shift - 15, top + 44), (x + shift + 15, top + 44))
        canvas.triangle((0.40, 0.50, 0.42), corners)
    canvas.box((0.50, 0.56, 0.62), x + 60, floor - 52, x + 190, floor + 12)
    canvas.box((0.60, 0.66, 0.72), x + 70, floor - 20, x + 180, floor - 2)
    canvas.box((0.42, 0.48, 0.55), x + 124, floor - 52, x + 126, floor - 2)
    if canvas.random.random() < 0.5:
        canvas.pixels = canvas.pixels.flip(2)


def wooden_floor(canvas: Canvas) -> None:
    canvas.paint((0.72, 0.55, 0.36))
    grain = canvas.noise(5, 60)
    for index in range(-1, WORLD_PX // 44 + 1):
        light = canvas.random.uniform(0.84, 1.12)
        canvas.box((0.70 * light, 0.52 * light, 0.34 * light), index * 44, -5, index * 44 + 42, WORLD_PX + 5)
        canvas.box((0.36, 0.25, 0.16), index * 44 + 41, -5, index * 44 + 43, WORLD_PX + 5)
        for _ in range(3):
            y = canvas.random.uniform(0, WORLD_PX)
            canvas.box((0.38, 0.26, 0.16), index * 44, y, index * 44 + 42, y + 2)
    canvas.shade(0.13 * grain)
    for x, y in canvas.scatter(20, 0, WORLD_PX):  # knots
        canvas.ellipse((0.42, 0.28, 0.17), x, y, 3.5, 7)
        canvas.ellipse((0.55, 0.38, 0.23), x, y, 1.6, 4)
