"""Which weights train: whole parts of the model, or LoRA on their linear layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from framescribe.model.adapter import Adapter
from framescribe.model.layout import native_names
from framescribe.model.model import CaptionModel
from framescribe.train.settings import Part, TrainSettings

if TYPE_CHECKING:
    from peft.tuners.lora import LoraModel

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


@dataclass(frozen=True, slots=True, eq=False)
class Tuning:
    """What trains of a model, and what becomes of it.

    Attributes:
        model: that trains.
        lora: what holds LoRA's weights beside the model's layers; None where the layers themselves train.
        rank, scale: of LoRA.
        layers: that have LoRA's weights.
    """

    model: CaptionModel
    lora: LoraModel | None = None
    rank: int = 0
    scale: float = 0.0
    layers: tuple[str, ...] = ()

    def adapter(self) -> Adapter:
        """LoRA's weights by themselves."""
        official = {name.path: official for official, name in native_names(self.model.config).items()}
        factors = {}
        for layer in self.layers:
            module = self.model.get_submodule(layer)
            factors[official[f"{layer}.weight"]] = (
                module.lora_A["default"].weight,  # type: ignore[union-attr, index]
                module.lora_B["default"].weight,  # type: ignore[union-attr, index]
            )
        return Adapter(self.scale, factors)

    def merged(self) -> CaptionModel:
        """The model to save: LoRA's weights are merged into the layers', once."""
        return self.model if self.lora is None else self.lora.merge_and_unload()  # type: ignore[return-value]


def choose_weights(model: CaptionModel, settings: TrainSettings) -> Tuning:
    """Sets ``requires_grad`` on what trains; with LoRA, adds its weights (fp32) to the model."""
    if not settings.lora_rank:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(part_of(name) in settings.parts)
        return Tuning(model)
    from peft import LoraConfig
    from peft.tuners.lora import LoraModel

    layers = [name for part in settings.parts for name in _linear_layers(model, part, settings.lora_layers)]
    config = LoraConfig(r=settings.lora_rank, lora_alpha=settings.lora_alpha, target_modules=layers)
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)  # peft draws from the global generator
        lora = LoraModel(model, config, "default")
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    scale = settings.lora_alpha / settings.lora_rank
    return Tuning(model, lora, settings.lora_rank, scale, tuple(layers))
