"""Finding videos in folders, by globs and in tars, on this machine and behind URLs: by one set of rules."""

from __future__ import annotations

import fnmatch
import glob
import logging
import os
import posixpath
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import IO, Literal

from framescribe.errors import UsageError
from framescribe.reading import open_regular
from framescribe.shown import shorten, shown
from framescribe.video.address import WEB, local_path, protocol_of, split_member, suffix_of
from framescribe.video.remote import open_filesystem

VIDEO_SUFFIXES = {
    ".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".h264", ".h265", ".hevc", ".ivf", ".m1v",
    ".m2t", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mpv", ".mts", ".mxf",
    ".nut", ".ogg", ".ogm", ".ogv", ".qt", ".rm", ".rmvb", ".tod", ".trp", ".ts", ".vob", ".webm", ".wmv", ".wtv",
    ".y4m",
}  # fmt: skip
TAR_SUFFIX = ".tar"
_TRANSPORT_SUFFIXES = (".ts", ".mts", ".m2t", ".m2ts", ".trp")
_PACKET_BYTES = (188, 192, 204)
_MAX_DEPTH = 200

log = logging.getLogger("framescribe")


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a folder. A ``link`` leads to a folder; ``other`` is a pipe, a device, or a link to nothing."""

    name: str
    kind: Literal["file", "folder", "link", "other"]


@dataclass(frozen=True, slots=True)
class _Place:
    """A place to search: its name as the user spells it, its root in its file system, and what lists a folder there."""

    name: str
    root: str
    entries: Callable[[str], list[Entry]]


class PassedOver:
    """Counts what is passed over in the place ``name``, to be reported in one line."""

    _said: set[int] = set()  # noqa: RUF012 - shared by the process, as a run lists its sources several times

    def __init__(self, name: str) -> None:
        self._name = name
        self.reasons: Counter[str] = Counter()

    def __str__(self) -> str:
        return ", ".join(f"{number:,} {reason}" for reason, number in self.reasons.most_common(9))

    def say(self) -> None:
        """Logs the line, once a process."""
        line = f"{shown(self._name)}: passed over {self}"
        if self.reasons and hash(line) not in self._said:
            self._said.add(hash(line))
            log.info("%s", line)


def is_glob(name: str) -> bool:
    """Whether a name is a pattern: it has ``*``, ``?`` or ``[``, and no file has this very name."""
    # A question mark is part of many http addresses, and http has no listing to match a pattern against.
    if not glob.has_magic(name) or protocol_of(name) in WEB or split_member(name):
        return False
    path = local_path(name)
    return path is None or not os.path.lexists(path)


def find_files(pattern: str, passed_over: PassedOver) -> Iterator[str]:
    """Finds the files that match; names them sorted, folder by folder.

    Args:
        pattern: a folder, which is searched with all that lie in it, or a glob; ``**`` stands for any folders, but
            follows no links. A path, or a URL of what can be listed.
        passed_over: counts what is not taken: hidden, no video by its ending (except where the pattern itself names
            the ending), no regular file.

    Raises:
        UsageError: the place cannot be listed.
    """
    if is_glob(pattern):
        base, parts = _split(pattern)
    else:
        base, parts = pattern, ["**", "*"]
    place = _place(base)
    ending = parts[-1].rpartition(".")[
        2
    ]  # all of it where there is no dot: then only a name without magic counts
    is_taken = passes if glob.has_magic(ending) else _accept_any
    states = _closure({0}, parts)
    for name, kind in _walk(place, "", parts, states, passed_over, 0):
        found = _join(place.name, name)
        reason = _irregular(kind) or is_taken(name)
        if (
            reason is None and (path := local_path(found)) is not None
        ):  # elsewhere each look would be a request
            reason = no_transport_stream(found, partial(open_regular, path))
        if reason is not None:
            passed_over.reasons[reason] += 1
        else:
            yield found


def passes(name: str) -> str | None:
    """None for what a search takes by its name; else why not."""
    file = name.rsplit("/", 1)[-1]
    if any(part.startswith(".") and part not in (".", "..") for part in name.split("/")):
        return "hidden"
    suffix = suffix_of(file)
    if suffix in VIDEO_SUFFIXES or suffix == TAR_SUFFIX:
        return None
    return shown(shorten(suffix, 12)) if suffix else "without an ending"


def is_transport_stream(head: bytes) -> bool:
    """Whether a file's first bytes are MPEG-TS: a sync byte at the start of every packet."""
    return any(head[at : at + 2 * size + 1 : size] == b"GGG" for size in _PACKET_BYTES for at in range(size))


def _accept_any(name: str) -> str | None:
    return None


def _irregular(kind: str) -> str | None:
    return (
        None if kind == "file" else "no regular files" if kind == "other" else "folders (/** searches them)"
    )


def no_transport_stream(name: str, open_file: Callable[[], IO[bytes]]) -> str | None:
    """Why a file that is MPEG-TS by its name only is passed over (TypeScript has that ending too); else None."""
    suffix = suffix_of(name)
    if suffix not in _TRANSPORT_SUFFIXES:
        return None
    try:
        with open_file() as file:
            head = file.read(4096)
    except OSError:
        return None  # opening the clip says why
    return None if not head or is_transport_stream(head) else f"{suffix} without MPEG-TS in it"


def _split(pattern: str) -> tuple[str, list[str]]:
    """The folder before the first part with magic, and the parts from there on."""
    head = f"{protocol_of(pattern)}://" if protocol_of(pattern) else ""
    parts = pattern[len(head) :].split("/")
    first = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    base = "/".join(parts[:first])
    if not base and first == 1:
        base = "/"  # the pattern begins there
    rest = [part for part in parts[first:] if part]
    return head + base, [*rest, "*"] if rest[-1] == "**" else rest


def _place(name: str) -> _Place:
    path = local_path(name)
    if path is not None:
        return _Place(name, path, _local_entries)
    try:
        filesystem, root = open_filesystem(name)
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from error

    def entries(folder: str) -> list[Entry]:
        found = []
        for info in filesystem.ls(folder, detail=True):
            file = info["name"].rstrip("/")
            if file != folder.rstrip("/"):  # object stores list a folder's own marker
                kind = {"file": "file", "directory": "folder", "link": "link"}.get(info["type"], "other")
                found.append(Entry(file.rsplit("/", 1)[-1], kind))  # type: ignore[arg-type]
        return sorted(found, key=lambda entry: entry.name)

    return _Place(name, root, entries)


def _local_entries(folder: str) -> list[Entry]:
    with os.scandir(folder or ".") as listing:
        return sorted((Entry(entry.name, _kind(entry)) for entry in listing), key=lambda entry: entry.name)


def _kind(entry: os.DirEntry[str]) -> Literal["file", "folder", "link", "other"]:
    try:
        if entry.is_dir():
            return "link" if entry.is_symlink() else "folder"
        return "file" if entry.is_file() else "other"
    except OSError:
        return "other"


def _walk(
    place: _Place, folder: str, parts: list[str], states: set[int], passed_over: PassedOver, depth: int
) -> Iterator[tuple[str, str]]:
    """The name, from the place on, and the kind of all that match ``parts`` from one of ``states`` on."""
    try:
        entries = place.entries(_join(place.root, folder) if folder else place.root)
    except Exception as error:  # back ends raise types of their own, without a common base
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        if not folder:
            raise UsageError(f"{place.name}: cannot be listed: {shorten(str(reason))}") from error
        log.warning("%s: cannot be listed: %s", _join(place.name, folder), reason)
        return
    last = len(parts) - 1
    for entry in entries:
        name = posixpath.join(folder, entry.name)
        here = {state for state in states if _matches(entry.name, parts[state])}
        if entry.kind in ("folder", "link"):
            deeper = {state + 1 for state in here if state < last}
            if entry.kind == "folder" and not entry.name.startswith("."):
                deeper |= {state for state in states if parts[state] == "**"}
            if deeper and depth < _MAX_DEPTH:
                yield from _walk(place, name, parts, _closure(deeper, parts), passed_over, depth + 1)
            elif deeper:
                passed_over.reasons[f"folders more than {_MAX_DEPTH} deep"] += 1
            elif last in here:
                if entry.kind == "link":
                    passed_over.reasons["linked folders"] += 1
                elif "**" not in parts:
                    yield name, entry.kind
        elif last in here:
            yield name, entry.kind
        elif entry.name.startswith(".") and last in states:
            passed_over.reasons["hidden"] += 1


def _matches(name: str, part: str) -> bool:
    if part == "**" or (name.startswith(".") and not part.startswith(".")):
        return False
    return name == part or fnmatch.fnmatchcase(name, part)  # a name may look like a pattern


def _closure(states: set[int], parts: list[str]) -> set[int]:
    """The states with those that follow each ``**``, which may stand for no folder at all."""
    found = set(states)
    for state in sorted(states):
        while parts[state] == "**":
            state += 1  # noqa: PLW2901
            found.add(state)
    return found


def _join(base: str, name: str) -> str:
    return name if not base else f"{base}{name}" if base.endswith("/") else f"{base}/{name}"
