"""Entries of CSV, JSON, JSON lines and Parquet files, ours and others': which part is the clip, which the caption."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from glob import glob
from typing import Any

from framescribe.errors import UsageError
from framescribe.export.layout import LAYOUTS
from framescribe.export.templates import Trail, pattern_of, trail_of, value_at
from framescribe.export.writers import Entries
from framescribe.importing.found import Found, Problem, caption_text
from framescribe.pipeline.lists import entry_clip, read_entries
from framescribe.reading import read_text
from framescribe.shown import shown, shown_value
from framescribe.types import Clip
from framescribe.video.address import local_path, protocol_of, split_member, suffix_of
from framescribe.video.table import PATH_COLUMNS

ENTRY_SUFFIXES = (".csv", ".json", ".jsonl", ".parquet")
CAPTION_COLUMNS = ("caption", "text", "cap", "description", "prompt")
"""Where a caption is; the first of these that is there."""
_READ = {*PATH_COLUMNS, *CAPTION_COLUMNS, "id", "start_s", "end_s", "question", "model"}
_NESTED_FOLDERS = ("", "videos")
"""Where the paths of an entry may start, within its file's folder."""


class EntryFile:
    """The entries of one file.

    Attributes:
        dropped: names of values that are not read, as far as they have been seen.

    Args:
        name: path or URL.
        caption_column: where the caption is; None: as trainers and ``CAPTION_COLUMNS`` name it.
    """

    def __init__(self, name: str, caption_column: str | None = None) -> None:
        self.name = name
        self.dropped: set[str] = set()
        self._column = caption_column

    def __iter__(self) -> Iterator[Found | Problem]:
        """One for each entry.

        Raises:
            UsageError: the file cannot be read, or has no column of paths.
        """
        more = [each for each in (self._column, *CAPTION_COLUMNS, "question", "model") if each]
        entries = _json_list(self.name) if suffix_of(self.name) == ".json" else read_entries(self.name, more)
        for place, entry in entries:
            where = f"{self.name}:{place}"
            try:
                if isinstance(entry, str):
                    raise UsageError(entry)
                yield self._found(entry, where)
            except (UsageError, ValueError, TypeError) as error:
                yield Problem(where, str(error))

    def _found(self, entry: Mapping[str, Any], where: str) -> Found:
        paths, value, has_own_prompt = self._parts(entry)
        caption = caption_text(value)
        question = entry.get("question") or (entry.get("prompt") if has_own_prompt else None)
        model = entry.get("model")
        clip = self._clip({key: entry[key] for key in ("id", "start_s", "end_s") if key in entry}, paths)
        return Found(
            clip, caption, where,
            question if isinstance(question, str) else None, model if isinstance(model, str) else None,
        )  # fmt: skip

    def _parts(self, entry: Mapping[str, Any]) -> tuple[list[Any], Any, bool]:
        """Paths, caption, and whether a prompt beside the caption is what was asked."""
        if self._column is not None and self._column not in entry:
            raise UsageError(f"it has no {shown(self._column)}; it has {shown(', '.join(map(str, entry)))}")
        columns = CAPTION_COLUMNS if self._column is None else (self._column,)
        paths = [name for name in (*PATH_COLUMNS, *_flat_paths()) if entry.get(name) is not None]
        column = next((each for each in columns if each in entry), None)
        if paths and column is not None:
            self.dropped |= {str(key) for key in entry.keys() - _READ - {*paths, column}}
            return [entry[name] for name in paths], entry[column], column != "prompt"
        for path_trail, caption_trail in _nested():
            try:
                found = [value_at(path_trail, entry)], value_at(caption_trail, entry), False
            except (KeyError, IndexError, TypeError):
                continue
            self.dropped |= {str(key) for key in entry.keys() - {path_trail[0], caption_trail[0]}}
            return found
        raise UsageError(
            f"it has no path ({', '.join(PATH_COLUMNS)}) with a caption ({', '.join(CAPTION_COLUMNS)}); "
            f"it has {shown(', '.join(map(str, entry)))}"
        )

    def _clip(self, rest: dict[str, Any], paths: Sequence[Any]) -> Clip:
        """The first of the paths that leads to a file; a span, and an id, are of what the first one names."""
        clips = []
        for path in paths:
            is_relative = isinstance(path, str) and not protocol_of(path) and not os.path.isabs(path)
            for folder in _NESTED_FOLDERS if is_relative else ("",):
                entry = {"path": os.path.join(folder, path) if folder else path}
                clips.append(entry_clip(entry | (rest if path is paths[0] else {}), self.name, 0.0, None))
        found = next((clip for clip in clips if is_there(clip)), None)
        if found is None:
            raise UsageError(f"there is no video {shown(clips[0].source_video)}")
        return found


def is_there(clip: Clip) -> bool:
    """Whether a clip's file is there; one behind a URL is believed to be."""
    if clip.data is not None:
        return True
    member = split_member(clip.source_video)
    path = local_path(clip.source_video)
    if path is None or os.path.isfile(path):
        return True
    archive = None if member is None else local_path(member[0])
    return archive is not None and os.path.isfile(archive)


@cache
def _trails() -> tuple[tuple[Trail, Trail], ...]:
    """Where paths and captions stand in what exports write, for each layout of entries."""
    writers = [layout.writer for layout in LAYOUTS.values() if isinstance(layout.writer, Entries)]
    return tuple(
        dict.fromkeys((trail_of("path", each.entry), trail_of("caption", each.entry)) for each in writers)
    )


def _flat_paths() -> list[str]:
    return [str(path[0]) for path, _ in _trails() if len(path) == 1]


def _nested() -> list[tuple[Trail, Trail]]:
    return [(path, caption) for path, caption in _trails() if len(path) + len(caption) > 2]


def _json_list(name: str) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    path = local_path(name)
    try:
        entries = json.loads(read_text(name if path is None else path))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{shown(name)} cannot be read: {error}") from error
    if not isinstance(entries, list):
        raise UsageError(f"{shown(name)} is no JSON list of entries but {shown_value(entries)}")
    for number, entry in enumerate(entries, start=1):
        yield number, entry if isinstance(entry, dict) else "is no JSON object"


def entry_files(folder: str) -> list[str]:
    """Files of entries in a folder of this machine, by the names that exports give them, or named ``captions``."""
    writers = [layout.writer for layout in LAYOUTS.values() if isinstance(layout.writer, Entries)]
    patterns = {pattern_of(each.file) for each in writers} | {
        f"captions{suffix}" for suffix in ENTRY_SUFFIXES
    }
    found = {path for pattern in patterns for path in glob(pattern, root_dir=folder)}
    return [os.path.join(folder, path) for path in sorted(found)]
