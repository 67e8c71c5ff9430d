"""Files beside the clips: a text for each, lists of lines, or entries in a JSON, JSON lines, CSV or Parquet file."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from framescribe.export.pair import Pair
from framescribe.export.templates import as_json, filled, pattern_of, trail_of, value_at

_GROUP_ROWS = 10_000


class Writer(Protocol):
    """How clips and their captions are written, and read back as trainers do."""

    def write(self, pairs: Iterator[Pair], folder: Path) -> None:
        """Writes all but the clips into ``folder``."""

    def read(self, folder: Path) -> Iterator[tuple[str, str]]:
        """(path as written, caption) of each pair."""


@dataclass(frozen=True, slots=True)
class Texts:
    """A text file for each clip, of the same stem. No line break ends the text.

    Attributes:
        clips: folder of the clips.
        texts: folder of the texts, which may be the same.
    """

    clips: str
    texts: str

    def write(self, pairs: Iterator[Pair], folder: Path) -> None:
        (folder / self.texts).mkdir(exist_ok=True)
        for pair in pairs:
            append(folder / self.texts / f"{pair.stem}.txt", pair.caption)

    def read(self, folder: Path) -> Iterator[tuple[str, str]]:
        clips = {path.stem: path for path in (folder / self.clips).iterdir() if path.suffix != ".txt"}
        for text in (folder / self.texts).glob("*.txt"):
            yield str(PurePosixPath(self.clips, clips[text.stem].name)), text.read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class CaptionLists:
    """One JSON file beside the clips: a list of captions under the name of each clip's file.

    Attributes:
        file: its path.
    """

    file: str

    def write(self, pairs: Iterator[Pair], folder: Path) -> None:
        captions: dict[str, list[str]] = {}
        for pair in pairs:
            captions.setdefault(PurePosixPath(pair.path).name, []).append(pair.caption)
        append(folder / self.file, as_json(captions, indent=1) + "\n")

    def read(self, folder: Path) -> Iterator[tuple[str, str]]:
        for name, captions in json.loads((folder / self.file).read_text(encoding="utf-8")).items():
            for caption in captions:
                yield str(PurePosixPath(self.file).with_name(name)), caption


@dataclass(frozen=True, slots=True)
class Lists:
    """Files with a line for each clip, in the same order. A blank line would shift every pair after it: there is none.

    Attributes:
        files: what stands in a line, by file name. A clip for which it is empty gets no line.
    """

    files: Mapping[str, str]

    def write(self, pairs: Iterator[Pair], folder: Path) -> None:
        for pair in pairs:
            values = pair.values()
            for name, template in self.files.items():
                if line := filled(template, values):
                    append(folder / name, f"{line}\n")

    def read(self, folder: Path) -> Iterator[tuple[str, str]]:
        found = {}
        for name, template in self.files.items():
            if template != "{image}":
                lines = (folder / name).read_text(encoding="utf-8").splitlines()
                found[template] = [line.strip() for line in lines if line.strip()]
        return zip(found["{path}"], found["{caption}"], strict=True)


@dataclass(frozen=True, slots=True)
class Entries:
    """An entry for each clip in a file, whose name says its form.

    Attributes:
        file: its name: ``.jsonl`` for an object a line, ``.json`` for a list of them, ``.csv``, ``.parquet``. If values
            are part of it, as ``.jsonl`` allows, there are several files.
        entry: template of a clip's entry.
    """

    file: str
    entry: Mapping[str, Any]

    def write(self, pairs: Iterator[Pair], folder: Path) -> None:
        if self.file.endswith(".jsonl"):
            for pair in pairs:
                values = pair.values()
                append(folder / self.file.format_map(values), as_json(filled(self.entry, values)) + "\n")
            return
        write = {".json": _write_json, ".csv": _write_csv, ".parquet": _write_parquet}[Path(self.file).suffix]
        write(folder / self.file, (filled(self.entry, pair.values()) for pair in pairs))

    def read(self, folder: Path) -> Iterator[tuple[str, str]]:
        path, caption = trail_of("path", self.entry), trail_of("caption", self.entry)
        for file in folder.glob(pattern_of(self.file)):
            for entry in _entries(file):
                yield value_at(path, entry), value_at(caption, entry)


def append(path: Path, text: str) -> None:
    """Adds a text to a file as it is, and makes the file if there is none."""
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(text)


def _write_json(path: Path, entries: Iterator[dict[str, Any]]) -> None:
    """An entry is a line, as in JSON lines."""
    with path.open("x", encoding="utf-8", newline="\n") as file:
        mark = "["
        for entry in entries:
            file.write(f"{mark}\n{as_json(entry)}")
            mark = ","
        file.write("\n]")


def _write_csv(path: Path, entries: Iterator[dict[str, Any]]) -> None:
    with path.open("x", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        for number, entry in enumerate(entries):
            if number == 0:
                writer.writerow(entry)
            writer.writerow(entry.values())


def _write_parquet(path: Path, entries: Iterator[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(list(itertools.islice(entries, _GROUP_ROWS)))
    with path.open("xb") as file, pq.ParquetWriter(file, table.schema) as writer:
        while table.num_rows:
            writer.write_table(table)
            table = pa.Table.from_pylist(list(itertools.islice(entries, _GROUP_ROWS)), table.schema)


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_GROUP_ROWS):
                yield from batch.to_pylist()
        return
    with path.open(encoding="utf-8", newline="") as lines:
        match path.suffix:
            case ".csv":
                yield from csv.DictReader(lines)
            case ".jsonl":
                yield from map(json.loads, lines)
            case _:
                yield from json.load(lines)
