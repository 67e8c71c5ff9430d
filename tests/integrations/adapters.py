"""A LoRA adapter of tiny-random, as ``framescribe train`` writes one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from framescribe.model.adapter import Adapter, save_adapter
from framescribe.model.checkpoint import load_model
from framescribe.model.layout import official_tensors
from tests.reference import CPU, TINY

_LAYERS = (
    "language_expert_query_key_value.weight",
    "language_expert_dense.weight",
    "up_proj.weight",
    "down_proj.weight",
)


def write_adapter(
    folder: Path,
    change: Callable[[str, Tensor], Tensor] = lambda _, factor: factor,
    layers: tuple[str, ...] = _LAYERS,
    seed: int = 0,
    model: Path = TINY,
) -> None:
    """Writes it, of random weights, unless told otherwise for the layers of tiny-random's decoder.

    Args:
        folder: made for it.
        change: what is done with each factor, for layers of another shape: to the side that is the layer's.
        layers: how the names of the weights end.
        seed: of the draw.
        model: another one.
    """
    drawn = torch.Generator().manual_seed(seed)
    factors = {}
    for name, weight in official_tensors(load_model(model, CPU, torch.float32)).items():
        if name.endswith(layers):
            rows, columns = weight.shape
            a, b = (torch.randn(shape, generator=drawn) / 8 for shape in ((4, columns), (rows, 4)))
            is_out = "dense" in name  # padding is of its input, and of the output of others
            factors[name] = (change(name, a), b) if is_out else (a, change(name, b))
    save_adapter(Adapter(2.0, factors), 4, str(model), folder)
