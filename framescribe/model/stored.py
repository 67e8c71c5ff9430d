"""The files of a checkpoint: which tensors they hold, checked before any is read, and the tensors one by one.

Only JSON and safetensors are read: no pickle, and no code of the checkpoint's.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from framescribe.errors import UsageError
from framescribe.model.layout import CONFIG_FILE, INDEX_FILE, SINGLE_FILE
from framescribe.reading import open_regular, read_json
from framescribe.shown import shorten, shown, shown_value

_MAX_INDEX_BYTES = _MAX_HEADER_BYTES = 16 << 20

# A weight's official name and the weight as it is stored, to the weight as it is to be.
Merge = Callable[[str, Tensor], Tensor]


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


def checked_tensors(folder: Path, expected: Mapping[str, Tensor]) -> dict[str, StoredTensor]:
    """As ``stored_tensors``, of a checkpoint that holds the ``expected`` tensors, by official name, and no others.

    Raises:
        UsageError: as there; lists every missing, unexpected, misshapen or non-floating tensor.
    """
    stored = stored_tensors(folder)
    _check(expected, stored, folder)
    return stored


def read_tensors(
    stored: Mapping[str, StoredTensor], names: Iterable[str], merge: Merge | None = None
) -> Iterator[tuple[str, Tensor]]:
    """Tensors by official name, shard by shard, on the CPU and to be copied: each is valid until the next.

    Args:
        stored: where they are.
        names: those wanted.
        merge: what is added to them, such as an adapter's product.
    """
    from safetensors import safe_open

    of_shard = defaultdict(list)
    for name in names:
        of_shard[stored[name].shard].append(name)
    for shard in sorted(of_shard):
        with safe_open(shard, framework="pt") as file:
            for name in of_shard[shard]:
                tensor = file.get_tensor(name)
                yield name, tensor if merge is None else merge(name, tensor)


def _check(expected: Mapping[str, Tensor], stored: Mapping[str, StoredTensor], folder: Path) -> None:
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
