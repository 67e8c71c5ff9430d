"""Clips of all that a user names (files, folders, globs, lists, tars, URLs), one by one: no list of them is held."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import chain

from framescribe.errors import UsageError
from framescribe.pipeline.listing import (
    TAR_SUFFIX,
    VIDEO_SUFFIXES,
    PassedOver,
    find_files,
    is_glob,
    no_transport_stream,
    passes,
)
from framescribe.pipeline.lists import LIST_SUFFIXES, is_list, read_list
from framescribe.types import Clip
from framescribe.video.address import (
    MARK,
    WEB,
    check_name,
    local_path,
    protocol_of,
    split_member,
    suffix_of,
)

__all__ = ["VIDEO_SUFFIXES", "check_sources", "expand_sources"]

_OTHER_ARCHIVES = (".7z", ".bz2", ".gz", ".rar", ".tbz2", ".tgz", ".txz", ".xz", ".zip", ".zst")


def expand_sources(names: Iterable[str], start_s: float = 0.0, end_s: float | None = None) -> Iterator[Clip]:
    """Finds the clips of everything that is named, in order; a folder's or glob's files come sorted by name.

    Args:
        names: files (any ending), folders (searched recursively for videos and tars of videos), globs (``**`` crosses
            folders), lists (see ``read_list``), tars of videos, and the same behind URLs (``docs/sources.md`` has the
            rules). What a search passes over is counted and logged, in one line a place.
        start_s, end_s: the span to take of every video, in seconds.

    A URL that cannot be had, and what a list or tar has in it, is a clip that fails with the reason.

    Raises:
        UsageError: a path that is not there or no regular file, a folder, glob or list with nothing in it, a list that
            cannot be read, a URL that is not read.
    """
    owners: dict[int, int] = {}
    for name in names:
        check_name(name)
        if is_glob(name) or _is_folder(name):
            yield from _expand_place(name, start_s, end_s, owners)
        else:
            yield from _expand_file(name, start_s, end_s, owners)


def check_sources(names: Iterable[str]) -> None:
    """Raises UsageError, as ``expand_sources`` would, for names that lead to no clip; no server is asked."""
    for name in names:
        check_name(name)
        if local_path(name) is not None:
            next(expand_sources([name]), None)


def _expand_place(name: str, start_s: float, end_s: float | None, owners: dict[int, int]) -> Iterator[Clip]:
    passed_over = PassedOver(name)
    names_lists = is_glob(name) and suffix_of(name) in LIST_SUFFIXES
    nothing = True
    for file in find_files(name, passed_over):
        if suffix_of(file) == TAR_SUFFIX:
            clips = _expand_tar(file, start_s, end_s)
        elif names_lists and is_list(file):
            clips = read_list(file, start_s, end_s, owners)
        else:
            clips = iter((Clip(file, start_s, end_s),))
        first = next(clips, None)
        if first is None:
            passed_over.reasons["empty lists"] += 1
        else:
            nothing = False
            yield from chain((first,), clips)
    if nothing:
        what = "nothing matches this pattern" if is_glob(name) else "there are no video files in this folder"
        rest = f" (passed over: {passed_over})" if passed_over.reasons else ""
        raise UsageError(f"{name}: {what}{rest}")
    passed_over.say()


def _expand_file(name: str, start_s: float, end_s: float | None, owners: dict[int, int]) -> Iterator[Clip]:
    _check_file(name)
    if split_member(name):
        yield Clip(name, start_s, end_s)
    elif suffix_of(name) == TAR_SUFFIX:
        yield from _expand_tar(name, start_s, end_s)
    elif is_list(name):
        nothing = True
        for clip in read_list(name, start_s, end_s, owners):
            nothing = False
            yield clip
        if nothing:
            raise UsageError(f"{name}: the list is empty")
    else:
        yield Clip(name, start_s, end_s)


def _check_file(name: str) -> None:
    """Raises UsageError for what can be known to be no file of use before it is opened."""
    if suffix_of(name) in _OTHER_ARCHIVES:
        raise UsageError(
            f"{name}: compressed archives are not read in place; unpack it, or make it a plain .tar"
        )
    found = split_member(name)
    path = local_path(name if found is None else found[0])
    if path is None:
        return
    try:
        exists, is_file = os.path.exists(path), os.path.isfile(path)
    except ValueError:  # a null byte
        exists = is_file = False
    if found is not None and os.path.exists(name):
        return  # a file whose own name has the mark in it
    if not exists:
        raise UsageError(f"{name}: there is no such file or folder")
    if not is_file:
        raise UsageError(f"{name}: is not a regular file (a pipe or a device)")


def _expand_tar(tar: str, start_s: float, end_s: float | None) -> Iterator[Clip]:
    from framescribe.video.tar import index_tar

    try:
        index = index_tar(tar)
    except Exception as error:  # noqa: BLE001 - back ends raise types of their own
        yield Clip(tar, start_s, end_s, problem=f"{tar}: cannot be opened: {error}")
        return
    passed_over = PassedOver(tar)
    passed_over.reasons += index.passed_over
    found = False
    for name, member in index.files.items():
        reason = passes(name)
        if reason is None and suffix_of(name) == TAR_SUFFIX:
            reason = "tars in the tar"
        if reason is None and local_path(tar) is not None:
            reason = no_transport_stream(name, member.open)
        if reason is not None:
            passed_over.reasons[reason] += 1
            continue
        found = True
        yield Clip(f"{tar}{MARK}{name}", start_s, end_s, data=member)
    passed_over.say()
    if index.problem is not None:
        yield Clip(tar, start_s, end_s, problem=f"{tar}: cannot be read to its end: {index.problem}")
    elif not found:
        rest = f" (passed over: {passed_over})" if passed_over.reasons else ""
        yield Clip(tar, start_s, end_s, problem=f"{tar}: there are no video files in this tar{rest}")


def _is_folder(name: str) -> bool:
    path = local_path(name)
    if path is not None:
        try:
            return os.path.isdir(path)
        except ValueError:  # a null byte
            return False
    if (
        protocol_of(name) in WEB
        or split_member(name)
        or suffix_of(name) in (*VIDEO_SUFFIXES, *LIST_SUFFIXES, ".tar")
    ):
        return False
    from framescribe.video.remote import open_filesystem

    try:
        filesystem, root = open_filesystem(name)
        return bool(filesystem.isdir(root))
    except Exception:  # noqa: BLE001 - opening the clip meets the same obstacle, and reports it as the clip's row
        return False
