"""Shards of about a gigabyte: tar files that hold each clip's members side by side."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from framescribe.export.pair import Pair

SHARD_BYTES = 10**9


def write_shards(
    pairs: Iterator[tuple[Pair, Mapping[str, bytes]]], folder: Path
) -> Iterator[tuple[Pair, str]]:
    """Packs clips into ``00000.tar`` and so on; a shard that has reached ``SHARD_BYTES`` is followed by the next.

    Args:
        pairs: each with the members that stand beside its clip, by ending.
        folder: where the shards go.

    Yields:
        each pair, and the stem of the shard that now holds it.
    """
    number, tar = 0, None
    try:
        for pair, texts in pairs:
            if tar is not None and tar.offset >= SHARD_BYTES:
                tar.close()
                number, tar = number + 1, None
            shard = f"{number:05}"
            if tar is None:
                tar = tarfile.open(folder / f"{shard}.tar", "w")  # noqa: SIM115 - closed below, or above
            assert pair.file is not None
            _add(tar, f"{pair.stem}{pair.suffix}", pair.file)
            for ending, text in texts.items():
                _add(tar, f"{pair.stem}.{ending}", io.BytesIO(text))
            yield pair, shard
    finally:
        if tar is not None:
            tar.close()


def _add(tar: tarfile.TarFile, name: str, file: IO[bytes]) -> None:
    member = tarfile.TarInfo(name)
    member.size = file.seek(0, os.SEEK_END)
    file.seek(0)
    tar.addfile(member, file)


def read_shard(path: Path) -> Iterator[dict[str, bytes]]:
    """Each sample of a shard: its members by ending, and its key as ``__key__``."""
    sample: dict[str, bytes] = {}
    with tarfile.open(path) as tar:
        for member in tar:
            key, _, ending = member.name.partition(".")
            if sample and sample["__key__"] != key.encode():
                yield sample
                sample = {}
            file = tar.extractfile(member)
            assert file is not None, "a shard holds files only"
            sample |= {"__key__": key.encode(), ending: file.read()}
    if sample:
        yield sample
