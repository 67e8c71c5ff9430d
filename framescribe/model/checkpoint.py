"""Checkpoints loaded: tensor by tensor to the target device and dtype."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from pathlib import Path

import torch
from torch import Tensor, nn

from framescribe.errors import UsageError
from framescribe.model.config import MAX_JSON_BYTES, ModelConfig
from framescribe.model.decoder import rope_dtype, rotary_frequencies
from framescribe.model.layout import CONFIG_FILE, GENERATION_FILE, native_names, official_tensors
from framescribe.model.model import CaptionModel
from framescribe.model.stored import Merge, checked_tensors, read_tensors
from framescribe.reading import read_json
from framescribe.shown import shown_value

_MAX_STOP_IDS = 1000

# A linear layer's path and the layer itself, complete on its device, to what takes its place.
Quantize = Callable[[str, nn.Linear], nn.Module]
# Called with the parameters loaded so far, and all there are.
Progress = Callable[[int, int], None]


def load_model(
    folder: Path,
    device: torch.device,
    dtype: torch.dtype,
    quantize: Quantize | None = None,
    progress: Progress | None = None,
    merge: Merge | None = None,
) -> CaptionModel:
    """Builds the model of ``folder``'s config on ``device`` and fills it tensor by tensor.

    Args:
        folder: the official layout.
        device, dtype: of the weights. The RoPE frequencies take the config's ``rope_dtype``.
        quantize: applied to each linear layer as soon as it is complete, so that no more than one of them is ever
            held at full precision.
        progress: called after each tensor.
        merge: what is added to the weights, such as an adapter's.

    Raises:
        UsageError: as ``checked_tensors``.
    """
    config = ModelConfig.from_file(folder / CONFIG_FILE)
    model, places = empty_model(config), native_names(config)
    stored = checked_tensors(folder, official_tensors(model))
    rotary = model.decoder.rotary
    rotary.inv_freq_NE = torch.empty_like(rotary.inv_freq_NE, device=device, dtype=rope_dtype(config, dtype))
    total = sum(prod(tensor.shape) for tensor in stored.values())
    done = 0
    for official, tensor in read_tensors(stored, places, merge):
        place = places[official]
        if place.row is not None:
            rotary.inv_freq_NE[place.row].copy_(tensor)
        else:
            # Always a copy: the file's tensors are views of a mapping that closes with it.
            fill(model, place.path, tensor.to(device=device, dtype=dtype, copy=True), quantize)
        done += tensor.numel()
        if progress is not None:
            progress(done, total)
    return model.eval().requires_grad_(False)


def read_stop_ids(folder: Path, config: ModelConfig) -> frozenset[int]:
    """Tokens that end a caption: the config's EOS and those of ``generation_config.json``, where there is one."""
    path = folder / GENERATION_FILE
    if not path.is_file():
        return frozenset({config.eos_token_id})
    try:
        extra = read_json(path, MAX_JSON_BYTES).get("eos_token_id")
    except (UsageError, OSError) as error:
        raise UsageError(f"{path} is not a generation config: {error}") from error
    ids = [] if extra is None else extra if isinstance(extra, list) else [extra]
    if len(ids) > _MAX_STOP_IDS or not all(type(id) is int and 0 <= id < config.vocab_size for id in ids):
        raise UsageError(
            f"{path} is not a generation config: eos_token_id is {shown_value(extra)}, not tokens of the vocabulary of "
            f"{config.vocab_size}"
        )
    return frozenset({config.eos_token_id, *ids})


def empty_model(config: ModelConfig) -> CaptionModel:
    """The model on the meta device: shapes without memory."""
    with torch.device("meta"):
        return CaptionModel(config)


def random_model(
    config: ModelConfig,
    device: torch.device,
    dtype: torch.dtype,
    seed: int,
    quantize: Quantize | None = None,
) -> CaptionModel:
    """A model of random weights, for training from scratch and for benchmarks; arguments as in ``load_model``.

    Matrices are drawn from N(0, 0.02²) (the official ``initializer_range``); norms start at 1, biases at 0.
    """
    model = empty_model(config)
    model.decoder.rotary.inv_freq_NE = rotary_frequencies(config).to(device, rope_dtype(config, dtype))
    generator = torch.Generator(device).manual_seed(seed)
    for path, parameter in list(model.named_parameters()):
        weight = torch.empty(parameter.shape, device=device, dtype=dtype)
        if path.endswith("bias"):
            weight.zero_()
        elif path.endswith("norm.weight"):
            weight.fill_(1.0)
        else:
            weight.normal_(0.0, 0.02, generator=generator)
        fill(model, path, weight, quantize)
    return model.eval().requires_grad_(False)


def fill(model: CaptionModel, path: str, weight: Tensor, quantize: Quantize | None) -> None:
    """Puts a weight into its place; a linear layer that this completes is quantized."""
    module_path, _, leaf = path.rpartition(".")
    module = model.get_submodule(module_path)
    setattr(module, leaf, nn.Parameter(weight, requires_grad=False))
    complete = not any(parameter.is_meta for parameter in module.parameters(recurse=False))
    if quantize is not None and complete and isinstance(module, nn.Linear):
        model.set_submodule(module_path, quantize(module_path, module))
