"""Training from scratch starts with features that say where each patch is."""

from __future__ import annotations

import torch
from torch import Tensor

from framescribe.model.checkpoint import random_model
from framescribe.model.config import ModelConfig
from framescribe.train.initial import grid_embedding, place_patches
from tests.reference import CPU
from tests.train.small import SIZES


def explained(features_NC: Tensor, values_N: Tensor) -> float:
    """The share of the values' variance that a linear reading of other frames' features explains."""
    half = len(features_NC) // 2
    centred = features_NC.double() - features_NC.double().mean(0)
    x = torch.cat((centred / centred.std(0), torch.ones(len(centred), 1)), dim=1)
    ridge = 1e-3 * half * torch.eye(x.shape[1], dtype=torch.double)
    reader = torch.linalg.solve(x[:half].T @ x[:half] + ridge, x[:half].T @ values_N[:half].double())
    wrong = (x[half:] @ reader - values_N[half:]).square().mean()
    return 1 - float(wrong / values_N[half:].double().var())


def test_rows_and_columns_can_be_read_from_a_new_models_features() -> None:
    sizes = {**SIZES, "hidden_size": 96, "vision_config": {
        **SIZES["vision_config"], "image_size": 84, "num_positions": 145, "hidden_size": 64
    }}  # fmt: skip
    model = random_model(ModelConfig.from_dict(sizes), CPU, torch.float32, seed=1)
    place_patches(model)
    frames = torch.randn(80, 3, 84, 84, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        features = model.vision(frames)[:, 1:-1]
    cells = torch.arange(36).repeat(80)
    for place in (cells // 6, cells % 6):
        assert explained(features.flatten(0, 1), place) > 0.8


def test_every_patch_has_its_own_place() -> None:
    grid = grid_embedding(16, 70)
    assert grid.shape == (256, 70)
    distances = torch.cdist(grid, grid) + 9 * torch.eye(256)
    assert distances.min() > 0.2
