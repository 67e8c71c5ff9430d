"""What turns gradients into new weights: AdamW or Muon, and the learning rate of each step."""

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
_HEAD = "lm_head.weight"


def learning_rate_at(step: int, settings: TrainSettings) -> float:
    """Linear warm-up, then a cosine from the peak to a hundredth of it (arXiv 1608.03983)."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    done = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return settings.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


def make_optimizers(model: CaptionModel, settings: TrainSettings) -> list[torch.optim.Optimizer]:
    """The optimizers that ``settings.optimizer`` asks for; each weight that trains is in one of them.

    AdamW (arXiv 1711.05101) takes all; with Muon (arXiv 2502.16982), what is no matrix between hidden states. Muon's
    updates are as large as AdamW's would be, so both take one learning rate. Norms, biases and embeddings do not decay.
    """
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    hidden, other, still = [], [], []
    for name, weight in trained.items():
        if weight.ndim < 2 or name in _EMBEDDINGS:
            still.append(weight)
        elif settings.optimizer == "muon" and weight.ndim == 2 and name != _HEAD:
            hidden.append(weight)
        else:
            other.append(weight)
    optimizers: list[torch.optim.Optimizer] = []
    if hidden:
        optimizers.append(
            torch.optim.Muon(
                hidden,
                lr=settings.learning_rate,
                weight_decay=settings.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    groups = [
        {"params": other, "weight_decay": settings.weight_decay},
        {"params": still, "weight_decay": 0.0},
    ]
    if groups := [group for group in groups if group["params"]]:
        optimizers.append(
            torch.optim.AdamW(
                groups, lr=settings.learning_rate, betas=(0.9, 0.95), fused=model.device.type == "cuda"
            )
        )
    return optimizers
