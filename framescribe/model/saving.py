"""Writing checkpoints in the official layout, whole files only."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from framescribe.errors import UsageError
from framescribe.files import new_file, write_file
from framescribe.model.layout import (
    CONFIG_FILE,
    GENERATION_FILE,
    INDEX_FILE,
    SINGLE_FILE,
    official_tensors,
)
from framescribe.model.model import CaptionModel
from framescribe.reading import open_regular

MAX_SHARD_BYTES = 5_000_000_000
_METADATA = {"format": "pt"}
_COPIED_FILES = (GENERATION_FILE, "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def plan_shards(tensors: Mapping[str, Tensor], max_bytes: int = MAX_SHARD_BYTES) -> dict[str, list[str]]:
    """Which tensors go to which file, in order, none above ``max_bytes`` unless one tensor is; shapes suffice."""
    shards: list[list[str]] = []
    room = 0
    for name, tensor in tensors.items():
        if not shards or tensor.nbytes > room:
            shards.append([])
            room = max_bytes
        shards[-1].append(name)
        room -= tensor.nbytes
    if len(shards) == 1:
        return {SINGLE_FILE: shards[0]}
    return {
        f"model-{number:05d}-of-{len(shards):05d}.safetensors": names
        for number, names in enumerate(shards, start=1)
    }


def save_checkpoint(
    model: CaptionModel, folder: Path, tokenizer_folder: Path, max_shard_bytes: int = MAX_SHARD_BYTES
) -> None:
    """Writes ``model`` and the tokenizer's files in the official layout; the weights keep their dtype.

    Every file is written under a temporary name, then renamed; the config comes last.

    Raises:
        UsageError: the model is quantized (the layout has no place for that).
    """
    from safetensors.torch import save_file

    tensors = official_tensors(model)
    if any(tensor.dtype.itemsize == 1 or type(tensor.data) is not Tensor for tensor in tensors.values()):
        raise UsageError("a quantized model cannot be saved in the official layout; load it without `quant`")
    folder.mkdir(parents=True, exist_ok=True)
    shards = plan_shards(tensors, max_shard_bytes)
    for file_name, names in shards.items():
        with new_file(folder / file_name) as file:
            save_file({name: tensors[name].contiguous() for name in names}, file.name, _METADATA)
    if SINGLE_FILE not in shards:
        total = sum(tensor.nbytes for tensor in tensors.values())
        weight_map = {name: file_name for file_name, names in shards.items() for name in names}
        _write_json(folder / INDEX_FILE, {"metadata": {"total_size": total}, "weight_map": weight_map})
    else:
        (folder / INDEX_FILE).unlink(missing_ok=True)
    for path in folder.glob("model*.safetensors"):
        if path.name not in shards:
            path.unlink()  # of an earlier checkpoint in this folder, cut in other shards
    for file_name in _COPIED_FILES:
        source = tokenizer_folder / file_name
        if source.is_file() and source.resolve() != (folder / file_name).resolve():
            with open_regular(source) as content, new_file(folder / file_name) as file:
                shutil.copyfileobj(content, file)
    _write_json(folder / CONFIG_FILE, model.config.official_values(str(model.dtype).removeprefix("torch.")))


def _write_json(path: Path, value: object) -> None:
    write_file(path, json.dumps(value, indent=2) + "\n")
