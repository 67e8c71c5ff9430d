"""What the user names (files, folders, globs, URLs) to clips."""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from framescribe.types import Clip

VIDEO_SUFFIXES = {
    ".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4",
    ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m",
}  # fmt: skip

log = logging.getLogger("framescribe")


def expand_sources(names: Iterable[str], start_s: float = 0.0, end_s: float | None = None) -> Iterator[Clip]:
    """Clips of everything that is named, in order; a folder's or glob's files sorted by name.

    Args:
        names: files (any ending), folders (searched recursively for files with a video's ending; hidden ones are
            passed over), globs (``**`` crosses folders), URLs that fsspec opens, globs among them too.
        start_s, end_s: the span to take of every video, in seconds.

    A name that is nothing of these is a clip as it stands: captioning it says what is wrong with it.
    """
    for name in names:
        found = _expand_url(name) if "://" in name else _expand_path(name)
        for source in found or [name]:
            yield Clip(source, start_s, end_s)


def _expand_path(name: str) -> list[str]:
    if os.path.isdir(name):
        found = [
            os.path.join(folder, file)
            for folder, _, files in os.walk(name)
            for file in files
            if Path(file).suffix.lower() in VIDEO_SUFFIXES and not _is_hidden(folder, name) and file[0] != "."
        ]
        if not found:
            log.warning(
                "%s: no video files in this folder (looked for %s)", name, " ".join(sorted(VIDEO_SUFFIXES))
            )
        return sorted(found)
    if glob.has_magic(name) and not os.path.exists(name):
        return sorted(path for path in glob.glob(name, recursive=True) if os.path.isfile(path))
    return []


def _is_hidden(folder: str, root: str) -> bool:
    return any(part.startswith(".") and part != "." for part in Path(os.path.relpath(folder, root)).parts)


def _expand_url(url: str) -> list[str]:
    if not glob.has_magic(url) or url.startswith(("http://", "https://")):
        # A question mark is part of many http addresses, and http has no listing to match a glob against.
        return []
    import fsspec

    try:
        filesystem, pattern = fsspec.core.url_to_fs(url)
        found = filesystem.glob(pattern, detail=True)
        return sorted(
            filesystem.unstrip_protocol(path) for path, info in found.items() if info["type"] == "file"
        )
    except Exception:  # noqa: BLE001 - back ends raise types of their own
        # Opening the clip meets the same obstacle, and reports it as the clip's row.
        return []
