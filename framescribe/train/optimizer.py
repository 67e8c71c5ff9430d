"""What turns gradients into new weights: AdamW, and the learning rate of each step."""

from __future__ import annotations

import math

import torch

from framescribe.model.model import CaptionModel
from framescribe.train.settings import TrainSettings

# Rows of these are looked up or added as they stand, not multiplied with: shrinking them would only fade them.
_EMBEDDINGS = (
    "embedding.weight",
    "vision.position_embedding",
    "vision.class_embedding",
    "vision.boi",
    "vision.eoi",
)


def learning_rate_at(step: int, settings: TrainSettings) -> float:
    """Linear warm-up, then a cosine from the peak to a hundredth of it (arXiv 1608.03983)."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    done = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return settings.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


def make_optimizer(model: CaptionModel, settings: TrainSettings) -> torch.optim.Optimizer:
    """AdamW (arXiv 1711.05101) of what trains; norms, biases and embeddings do not decay."""
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    still = {name for name, weight in trained.items() if weight.ndim < 2 or name in _EMBEDDINGS}
    groups = [
        {
            "params": [trained[name] for name in trained if name not in still],
            "weight_decay": settings.weight_decay,
        },
        {"params": [trained[name] for name in trained if name in still], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=settings.learning_rate,
        betas=(0.9, 0.95),
        fused=model.device.type == "cuda",
    )
