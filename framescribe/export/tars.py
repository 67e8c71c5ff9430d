"""Shards of about a gigabyte: tar files that hold each clip's members side by side."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from framescribe.export.pair import Pair
from framescribe.export.templates import as_json, filled
from framescribe.export.writers import append

SHARD_BYTES = 10**9


@dataclass(frozen=True, slots=True)
class Tars:
    """``00000.tar`` and so on, in which a clip's members share a key without dots: ``k.mp4``, ``k.txt`` …

    Attributes:
        members: templates of what stands beside each clip, by ending; tables become JSON.
        lines: template of a clip's line in ``00000.meta.jsonl`` beside its tar; none where it is empty.
    """

    members: Mapping[str, Any]
    lines: Mapping[str, Any] = field(default_factory=dict)

    def write(self, pairs: Iterator[Pair], folder: Path) -> None:
        """A shard that has reached ``SHARD_BYTES`` is followed by the next."""
        number, tar = 0, None
        try:
            for pair in pairs:
                if tar is not None and tar.offset >= SHARD_BYTES:
                    tar.close()
                    number, tar = number + 1, None
                if tar is None:
                    tar = tarfile.open(folder / f"{number:05}.tar", "w")  # noqa: SIM115 - closed below, or above
                assert pair.file is not None, "clips are open where they are packed"
                _add(tar, f"{pair.stem}{pair.suffix}", pair.file)
                values = pair.values()
                for ending, template in self.members.items():
                    _add(tar, f"{pair.stem}.{ending}", io.BytesIO(_content(filled(template, values))))
                if self.lines:
                    append(folder / f"{number:05}.meta.jsonl", as_json(filled(self.lines, values)) + "\n")
        finally:
            if tar is not None:
                tar.close()

    def read(self, folder: Path) -> Iterator[tuple[str, str]]:
        for tar in sorted(folder.glob("*.tar")):
            captions = _captions(tar.with_suffix(".meta.jsonl")) if self.lines else {}
            for key, sample in _samples(tar):
                if sample.keys() == {"mp4", *self.members} and sample["mp4"]:
                    yield f"{key}.mp4", captions[key] if self.lines else sample["txt"].decode()


def _content(value: object) -> bytes:
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def _add(tar: tarfile.TarFile, name: str, file: IO[bytes]) -> None:
    member = tarfile.TarInfo(name)
    member.size = file.seek(0, os.SEEK_END)
    file.seek(0)
    tar.addfile(member, file)


def _captions(path: Path) -> dict[str, str]:
    with path.open(encoding="utf-8") as lines:
        return {line["key"]: line["caption"] for line in map(json.loads, lines)}


def _samples(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Each sample of a shard: its key, and its members by ending."""
    last = ""
    sample: dict[str, bytes] = {}
    with tarfile.open(path) as tar:
        for member in tar:
            key, _, ending = member.name.partition(".")
            if sample and key != last:
                yield last, sample
                sample = {}
            file = tar.extractfile(member)
            assert file is not None, "a shard holds files only"
            last, sample[ending] = key, file.read()
    if sample:
        yield last, sample
