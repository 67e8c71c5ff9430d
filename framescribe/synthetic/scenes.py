"""The backgrounds of the synthetic world, painted once a process and then only sampled.

Each scene has landmarks and texture everywhere, so that a view that moves over it is seen to move, and
colours muted enough for subjects to stand out. A world is larger than the frame by what a camera can show
of it.

Shapes: G backgrounds, V variants, P pixels of a world's side.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch

from framescribe.synthetic import backdrops, landscapes
from framescribe.synthetic.canvas import WORLD_PX, Canvas
from framescribe.synthetic.facts import BACKGROUNDS
from framescribe.synthetic.staging import BACKGROUND_VARIANTS

_PAINTERS: dict[str, Callable[[Canvas], None]] = {
    "meadow": landscapes.meadow,
    "desert": landscapes.desert,
    "beach": landscapes.beach,
    "snow field": landscapes.snow_field,
    "city": landscapes.city,
    "forest": landscapes.forest,
    "mountains": landscapes.mountains,
    "lava field": landscapes.lava_field,
    "brick wall": backdrops.brick_wall,
    "underwater": backdrops.underwater,
    "outer space": backdrops.outer_space,
    "living room": backdrops.living_room,
    "wooden floor": backdrops.wooden_floor,
}


@lru_cache(maxsize=2)
def scenes(device: str = "cpu") -> torch.Tensor:
    """All backgrounds in all variants, uint8 [G, V, 3, P, P], in the order of ``BACKGROUNDS``."""
    worlds = [
        torch.stack([draw_scene(background, variant) for variant in range(BACKGROUND_VARIANTS)])
        for background in BACKGROUNDS
    ]
    return torch.stack(worlds).to(device)


def draw_scene(background: str, variant: int) -> torch.Tensor:
    """One background, uint8 [3, P, P]; the same for the same arguments."""
    canvas = Canvas(WORLD_PX, seed=1000 * BACKGROUNDS.index(background) + variant)
    _PAINTERS[background](canvas)
    return (canvas.pixels.clamp(0, 1) * 255).round().to(torch.uint8)
