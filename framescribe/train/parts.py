"""Which weights train: whole parts of the model, or LoRA on their linear layers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from framescribe.model.model import CaptionModel
from framescribe.train.settings import Part, TrainSettings

# Where each part keeps its layers, and the linear ones of a layer.
_LAYERS: dict[Part, str] = {"vision": "vision.layers", "language": "decoder.layers"}
_LINEAR: dict[Part, tuple[str, ...]] = {
    "vision": ("qkv", "attention_out", "mlp_in", "mlp_out"),
    "adapter": ("proj", "up", "gate", "down"),
    "language": ("qkv", "attention_out", "gate", "up", "down"),
}


def part_of(parameter: str) -> Part:
    """The part that a parameter of ``CaptionModel`` belongs to."""
    if parameter.startswith(("vision.adapter.", "vision.boi", "vision.eoi")):
        return "adapter"
    return "vision" if parameter.startswith("vision.") else "language"


def _linear_layers(model: CaptionModel, part: Part, last: int | None) -> list[str]:
    """The names of a part's linear layers: of its ``last`` layers, or of all. The adapter has one, and counts whole."""
    if part == "adapter":
        return [f"vision.adapter.{linear}" for linear in _LINEAR[part]]
    count = len(model.get_submodule(_LAYERS[part]))  # type: ignore[arg-type]  # a ModuleList
    first = 0 if last is None else max(0, count - last)
    return [f"{_LAYERS[part]}.{layer}.{linear}" for layer in range(first, count) for linear in _LINEAR[part]]


def choose_weights(model: CaptionModel, settings: TrainSettings) -> Callable[[], CaptionModel]:
    """Sets ``requires_grad`` on what trains; with LoRA, adds its weights (fp32) to the model.

    Returns:
        What gives the model to save: with LoRA, merges its weights into the layers', once.
    """
    if not settings.lora_rank:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(part_of(name) in settings.parts)
        return lambda: model
    from peft import LoraConfig
    from peft.tuners.lora import LoraModel

    targets = [name for part in settings.parts for name in _linear_layers(model, part, settings.lora_layers)]
    config = LoraConfig(r=settings.lora_rank, lora_alpha=settings.lora_alpha, target_modules=targets)
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)  # peft draws from the global generator
        tuner: nn.Module = LoraModel(model, config, "default")
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return tuner.merge_and_unload  # type: ignore[return-value]
