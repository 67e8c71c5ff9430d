"""Reading checkpoints: tensor by tensor to the target device and dtype, checked before anything is read.

Only JSON and safetensors are read: no pickle, and no code of the checkpoint's.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from framescribe.errors import UsageError
from framescribe.model.config import MAX_JSON_BYTES, ModelConfig
from framescribe.model.decoder import rope_dtype, rotary_frequencies
from framescribe.model.layout import (
    CONFIG_FILE,
    GENERATION_FILE,
    INDEX_FILE,
    SINGLE_FILE,
    native_names,
    official_tensors,
)
from framescribe.model.model import CaptionModel
from framescribe.reading import open_regular, read_json
from framescribe.shown import shorten, shown, shown_value

_MAX_INDEX_BYTES = _MAX_HEADER_BYTES = 16 << 20
_MAX_STOP_IDS = 1000

# A linear layer's path and the layer itself, complete on its device, to what takes its place.
Quantize = Callable[[str, nn.Linear], nn.Module]
# A weight's official name and the weight as it is stored, to the weight as it is to be.
Merge = Callable[[str, Tensor], Tensor]
# Called with the parameters loaded so far, and all there are.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where a checkpoint keeps a tensor, and its shape and dtype as its file says."""

    shard: Path
    shape: tuple[int, ...]
    dtype: str


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """All tensors of the checkpoint in ``folder`` by official name, from the shards' headers alone.

    Raises:
        UsageError: no weights, a shard that the index names is missing or damaged, index and shards disagree.
    """
    from safetensors import SafetensorError, safe_open

    index_path, single_path = folder / INDEX_FILE, folder / SINGLE_FILE
    weight_map: dict[str, str] | None = None
    if index_path.is_file():
        weight_map = _read_weight_map(index_path)
        shards = [folder / name for name in sorted(set(weight_map.values()))]
        if missing := [shard.name for shard in shards if not shard.is_file()]:
            raise UsageError(
                f"{folder}: {INDEX_FILE} names shards that are not there: {', '.join(missing)}; "
                "download the checkpoint again"
            )
    elif single_path.is_file():
        shards = [single_path]
    else:
        raise UsageError(f"{folder} holds neither {INDEX_FILE} nor {SINGLE_FILE}: no weights to load")
    stored: dict[str, StoredTensor] = {}
    for shard in shards:
        names = check_header(shard)
        if twice := [name for name in names if name in stored]:
            raise UsageError(f"{shard} and {stored[twice[0]].shard} both hold {_listed(twice)}")
        try:
            with safe_open(shard, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 - safe_open is no mapping
                    part = file.get_slice(name)
                    stored[name] = StoredTensor(shard, tuple(part.get_shape()), part.get_dtype())
        except (SafetensorError, OSError) as error:
            raise UsageError(
                f"{shard} is not a readable safetensors file ({error}); download it again"
            ) from error
    if weight_map is not None:
        wrong = [
            name
            for name, shard in weight_map.items()
            if name not in stored or stored[name].shard.name != shard
        ]
        if wrong:
            raise UsageError(f"{index_path} names tensors that its shards do not hold: {_listed(wrong)}")
    return stored


def _read_weight_map(index_path: Path) -> dict[str, str]:
    try:
        weight_map = read_json(index_path, _MAX_INDEX_BYTES).get("weight_map")
    except OSError as error:
        raise UsageError(f"{index_path} cannot be read: {error.strerror or error}") from error
    if not isinstance(weight_map, dict):
        raise UsageError(
            f"{index_path} is not a safetensors index: its weight_map is {shown_value(weight_map)}"
        )
    for shard in weight_map.values():
        # An index comes from elsewhere: it may name files of its own folder only.
        if not isinstance(shard, str) or Path(shard).name != shard or not shard.endswith(".safetensors"):
            raise UsageError(
                f"{index_path} names {shown_value(shard)}, which is not a .safetensors file of its folder"
            )
    return weight_map


def check_header(shard: Path) -> list[str]:
    """Names of a shard's tensors. Its header is looked at before the library reads it.

    Raises:
        UsageError: it is no safetensors file, its header is larger than the file or than any, or a name is there twice.
    """
    try:
        with open_regular(shard) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            length = int.from_bytes(file.read(8), "little")
            if not 0 < length <= min(_MAX_HEADER_BYTES, size - 8):
                raise ValueError(f"its header has {length} bytes, and the file {size}")
            pairs: list[tuple[str, Any]] = json.loads(file.read(length), object_pairs_hook=list)
        names = [str(name) for name, _ in pairs]
    except (OSError, ValueError, TypeError, RecursionError) as error:
        reason = shown(str(error)) or type(error).__name__
        raise UsageError(
            f"{shard} is not a readable safetensors file ({reason}); download it again"
        ) from error
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise UsageError(f"{shard} holds more than once: {_listed(twice)}")
    return [name for name in names if name != "__metadata__"]


def check_tensors(expected: dict[str, Tensor], stored: dict[str, StoredTensor], folder: Path) -> None:
    """Raises UsageError that lists every missing, unexpected, misshapen or non-floating tensor."""
    shared = expected.keys() & stored.keys()
    problems = {
        "missing": [name for name in expected if name not in stored],
        "unexpected": [name for name in stored if name not in expected],
        "of another shape": [
            f"{name} {list(stored[name].shape)} instead of {list(expected[name].shape)}"
            for name in expected
            if name in shared and stored[name].shape != tuple(expected[name].shape)
        ],
        "not floating point": [
            f"{name} {stored[name].dtype}"
            for name in expected
            if name in shared and stored[name].dtype not in ("BF16", "F16", "F32", "F64")
        ],
    }
    if any(problems.values()):
        found = "; ".join(
            f"{len(names)} {kind}: {_listed(names)}" for kind, names in problems.items() if names
        )
        raise UsageError(f"{folder} does not hold the model that its {CONFIG_FILE} describes. {found}")


def _listed(names: list[str], most: int = 50) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(shown(shorten(name, 300)) for name in names[:most]) + rest


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
        UsageError: what the folder lacks, has too much of, or cannot be read (``stored_tensors``, ``check_tensors``).
    """
    from safetensors import safe_open

    config = ModelConfig.from_file(folder / CONFIG_FILE)
    model = empty_model(config)
    expected = official_tensors(model)
    stored = stored_tensors(folder)
    check_tensors(expected, stored, folder)

    rotary = model.decoder.rotary
    rotary.inv_freq_NE = torch.empty_like(rotary.inv_freq_NE, device=device, dtype=rope_dtype(config, dtype))
    total = sum(tensor.numel() for tensor in expected.values())
    done = 0
    for shard in sorted({tensor.shard for tensor in stored.values()}):
        with safe_open(shard, framework="pt") as file:
            for official, name in native_names(config).items():
                if stored[official].shard != shard:
                    continue
                tensor = file.get_tensor(official)
                if merge is not None:
                    tensor = merge(official, tensor)
                if name.row is not None:
                    rotary.inv_freq_NE[name.row].copy_(tensor)
                else:
                    # Always a copy: the file's tensors are views of a mapping that closes with it.
                    fill(model, name.path, tensor.to(device=device, dtype=dtype, copy=True), quantize)
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
