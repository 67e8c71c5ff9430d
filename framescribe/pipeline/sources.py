"""What the user names (files, folders, globs, lists, tars, URLs) to clips, one by one: no list of them is ever held."""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from framescribe.errors import UsageError
from framescribe.pipeline.lists import LIST_SUFFIXES, is_list, read_list
from framescribe.types import Clip
from framescribe.video.archive import MARK, tar_members

VIDEO_SUFFIXES = {
    ".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4",
    ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m",
}  # fmt: skip

log = logging.getLogger("framescribe")


def expand_sources(names: Iterable[str], start_s: float = 0.0, end_s: float | None = None) -> Iterator[Clip]:
    """Clips of everything that is named, in order; a folder's or glob's files sorted by name.

    Args:
        names: files (any ending), folders (searched recursively for files with a video's ending; hidden ones are
            passed over), globs (``**`` crosses folders), lists (see ``read_list``), tars of videos, and the same
            behind URLs that fsspec opens.
        start_s, end_s: the span to take of every video, in seconds.

    A name that is nothing of these is a clip as it stands: captioning it says what is wrong with it.

    Raises:
        UsageError: a list that cannot be read as one.
    """
    for name in names:
        if is_list(name) and not _is_glob(name):
            yield from read_list(name, start_s, end_s)
            continue
        nothing = True
        for source in _expand_url(name) if "://" in name else _expand_path(name):
            nothing = False
            yield from _expand_found(source, start_s, end_s, name)
        if nothing:
            yield from _expand_found(name, start_s, end_s, name)


def _expand_found(source: str, start_s: float, end_s: float | None, name: str) -> Iterator[Clip]:
    if source.endswith(".tar"):
        yield from _expand_tar(source, start_s, end_s)
    elif name.endswith(LIST_SUFFIXES) and _is_glob(name) and is_list(source):
        yield from read_list(source, start_s, end_s)
    else:
        yield Clip(source, start_s, end_s)


def _expand_tar(tar: str, start_s: float, end_s: float | None) -> Iterator[Clip]:
    found = False
    try:
        for name, content in tar_members(tar):
            if _is_video(name):
                found = True
                yield Clip(f"{tar}{MARK}{name}", start_s, end_s, data=content)
    except Exception as error:  # noqa: BLE001 - back ends raise types of their own
        # Before the first member this is a clip that fails; after it, what was found before stands.
        yield Clip(tar, start_s, end_s, problem=f"{tar}: cannot be read to its end: {error}")
        return
    if not found:
        yield Clip(tar, start_s, end_s, problem=f"{tar}: there are no video files in this tar")


def _expand_path(name: str) -> Iterator[str]:
    if os.path.isdir(name):
        found = False
        for path in _walk(name):
            found = True
            yield path
        if not found:
            _warn_of_empty(name)
    elif _is_glob(name):
        yield from sorted(path for path in glob.glob(name, recursive=True) if os.path.isfile(path))


def _walk(folder: str) -> Iterator[str]:
    """The videos in a folder and those within, sorted by name, folder by folder."""
    try:
        with os.scandir(folder) as listing:
            entries = sorted((e.name, e.is_dir(follow_symlinks=False), e.is_dir()) for e in listing)
    except OSError as error:
        log.warning("%s: cannot be listed: %s", folder, error.strerror)
        return
    for name, is_folder, is_folder_or_link in entries:
        if name.startswith("."):
            continue
        path = os.path.join(folder, name)
        if is_folder:
            yield from _walk(path)
        elif not is_folder_or_link and _is_video(name):
            yield path


def _is_video(name: str) -> bool:
    file = name.rsplit("/", 1)[-1]
    return Path(file).suffix.lower() in VIDEO_SUFFIXES and not file.startswith(".")


def _is_glob(name: str) -> bool:
    if "://" in name:
        # A question mark is part of many http addresses, and http has no listing to match a glob against.
        return glob.has_magic(name) and not name.startswith(("http://", "https://"))
    return glob.has_magic(name) and not os.path.exists(name)


def _expand_url(url: str) -> Iterator[str]:
    """Files of a glob or folder behind a URL; none if it is neither, or cannot be listed."""
    if url.startswith(("http://", "https://")) or (_is_video(url) and not _is_glob(url)):
        return
    import fsspec

    nothing = True
    try:
        filesystem, path = fsspec.core.url_to_fs(url)
        if _is_glob(url):
            listing = filesystem.glob(path, detail=True)
            found = (file for file, info in sorted(listing.items()) if info["type"] == "file")
        elif filesystem.isdir(path):
            root = path.rstrip("/")
            found = (
                f"{folder.rstrip('/')}/{file}"
                for folder, folders, files in filesystem.walk(root)
                # Sorting the folders in place decides the order of the walk, and which are passed over.
                for file in _sorted_videos(folders, files)
            )
        else:
            return
        for file in found:
            nothing = False
            yield filesystem.unstrip_protocol(file)
        if nothing and not _is_glob(url):
            _warn_of_empty(url)
    except Exception as error:  # back ends raise types of their own
        if not nothing:
            raise UsageError(f"{url}: listing it stopped midway: {error}") from error
        # Opening the clip meets the same obstacle, and reports it as the clip's row.


def _sorted_videos(folders: list[str], files: list[str]) -> list[str]:
    folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
    return sorted(file for file in files if _is_video(file))


def _warn_of_empty(folder: str) -> None:
    log.warning("%s: no video files in this folder (looked for %s)", folder, " ".join(sorted(VIDEO_SUFFIXES)))
