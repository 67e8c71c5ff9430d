"""LoRA adapters in PEFT's layout: what fine-tuning adds to a checkpoint, in a file of its own.

Layers are called as in the official checkpoint, so that other libraries find them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from framescribe.errors import UsageError
from framescribe.files import new_file, write_file
from framescribe.model.config import MAX_JSON_BYTES
from framescribe.model.stored import check_header
from framescribe.reading import read_json
from framescribe.shown import shown_value

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"

_PREFIX, _A, _B = "base_model.model.", ".lora_A.weight", ".lora_B.weight"
# Training takes some tens; what is no number, or endless, would make weights of the same kind.
_MOST_ALPHA = 1_000_000
_MOST_FACTOR = 1_000_000
# What would change the product of the two matrices; `read_adapter` reads adapters without it.
_OTHER_FORMS = ("use_dora", "rank_pattern", "alpha_pattern", "modules_to_save", "fan_in_fan_out", "lora_bias")


@dataclass(frozen=True, slots=True, eq=False)
class Adapter:
    """A LoRA adapter: each of its layers' weights becomes W + scale · B · A.

    Attributes:
        scale: of the products.
        factors: A [rank, in] and B [out, rank], fp32, by the official name of the weight.
    """

    scale: float
    factors: Mapping[str, tuple[Tensor, Tensor]]

    def merged(self, name: str, weight: Tensor) -> Tensor:
        """A weight with its product added, in fp32; as it is where the adapter has none."""
        if name not in self.factors:
            return weight
        a, b = self.factors[name]
        return torch.addmm(weight.float(), b, a, alpha=self.scale)


def save_adapter(adapter: Adapter, rank: int, base: str, folder: Path) -> None:
    """Writes an adapter as PEFT does, each file whole, the config last.

    Args:
        adapter: what to write.
        rank: of its matrices.
        base: the checkpoint that it belongs to, by name or path.
        folder: made if it is not there.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    layers = [name.removesuffix(".weight") for name in adapter.factors]
    tensors = {}
    for layer, (a, b) in zip(layers, adapter.factors.values(), strict=True):
        tensors[f"{_PREFIX}{layer}{_A}"] = a.detach().float().cpu().contiguous()
        tensors[f"{_PREFIX}{layer}{_B}"] = b.detach().float().cpu().contiguous()
    with new_file(folder / ADAPTER_WEIGHTS) as file:
        save_file(tensors, file.name, {"format": "pt"})
    config = {
        "peft_type": "LORA", "base_model_name_or_path": base, "r": rank, "lora_alpha": adapter.scale * rank,
        "target_modules": layers, "bias": "none", "lora_dropout": 0.0, "inference_mode": True,
    }  # fmt: skip
    write_file(folder / ADAPTER_CONFIG, json.dumps(config, indent=2) + "\n")


def base_of(folder: Path) -> str:
    """The checkpoint that an adapter belongs to, as its config names it.

    Raises:
        UsageError: it names none.
    """
    base = _read_config(folder).get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise UsageError(f"{folder / ADAPTER_CONFIG} names no base model but {shown_value(base)}")
    return base


def read_adapter(folder: Path, expected: Mapping[str, Tensor]) -> Adapter:
    """Reads an adapter for the model whose linear layers' weights are ``expected``, by their official names.

    Raises:
        UsageError: it is no plain LoRA adapter, or not one of this model.
    """
    from safetensors import SafetensorError, safe_open

    config, path = _read_config(folder), folder / ADAPTER_WEIGHTS
    rank, alpha = config.get("r"), config.get("lora_alpha")
    other = next((name for name in _OTHER_FORMS if config.get(name)), None)
    if config.get("peft_type") != "LORA" or config.get("bias", "none") != "none" or other:
        raise UsageError(f"{folder}: is no plain LoRA adapter{f' ({other} is set)' if other else ''}")
    if type(rank) is not int or rank < 1 or not isinstance(alpha, int | float):
        raise UsageError(f"{folder / ADAPTER_CONFIG}: r must be a whole number above 0, lora_alpha a number")
    if isinstance(alpha, bool) or not abs(alpha) <= _MOST_ALPHA:  # nor NaN
        raise UsageError(f"{folder / ADAPTER_CONFIG}: lora_alpha must be a number up to {_MOST_ALPHA:,}")
    factors = {}
    names = set(check_header(path))
    try:
        with safe_open(path, framework="pt") as file:
            for layer in {name.removeprefix(_PREFIX).removesuffix(_A).removesuffix(_B) for name in names}:
                weight = expected.get(f"{layer}.weight")
                pair = f"{_PREFIX}{layer}{_A}", f"{_PREFIX}{layer}{_B}"
                if weight is None or not names.issuperset(pair):
                    raise UsageError(f"{path}: {shown_value(layer)} is no linear layer of this model")
                shapes = [file.get_slice(name).get_shape() for name in pair]
                if shapes != [[rank, weight.shape[1]], [weight.shape[0], rank]]:
                    raise UsageError(f"{path}: the matrices of {layer} do not fit this model's")
                a, b = (file.get_tensor(name).float() for name in pair)
                if not (a.abs().max() <= _MOST_FACTOR and b.abs().max() <= _MOST_FACTOR):  # nor NaN
                    raise UsageError(
                        f"{path}: the matrices of {layer} are not all numbers up to {_MOST_FACTOR:,}"
                    )
                factors[f"{layer}.weight"] = a, b
    except (OSError, SafetensorError) as error:
        raise UsageError(f"{path} is not a readable safetensors file ({error})") from error
    if not factors:
        raise UsageError(f"{path} holds no layer")
    return Adapter(alpha / (math.sqrt(rank) if config.get("use_rslora") else rank), factors)


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        return read_json(folder / ADAPTER_CONFIG, MAX_JSON_BYTES)
    except OSError as error:
        raise UsageError(f"{folder / ADAPTER_CONFIG} cannot be read: {error.strerror or error}") from error
