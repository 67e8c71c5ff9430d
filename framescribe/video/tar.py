"""Tar files: which files one holds, as ``tar -x`` would leave them, and where their bytes lie."""

from __future__ import annotations

import io
import itertools
import posixpath
import tarfile
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from os import stat
from typing import IO, cast

from framescribe.reading import Member
from framescribe.video.address import local_path
from framescribe.video.random_access import RandomAccess
from framescribe.video.remote import copy_part, max_download_bytes, open_parts

MAX_FILES = 1_000_000
_MAX_HEADER_BYTES = 1 << 20
_MAX_LINKS = 40

Piece = tuple[int, int, int]
"""Where bytes belong in the file, how many, and where they lie in the tar."""

_Place = tuple[str, int, tuple[Piece, ...]]
"""A file's name as the tar spells it, its size, and its pieces; between them are zeros."""


@dataclass(slots=True)
class TarIndex:
    """What a tar holds.

    Attributes:
        files: the content by name, in the tar's order; of several files with one name, the last.
        passed_over: how many members cannot be read as files, by reason.
        problem: why the tar was not read to its end, if it was not.
    """

    files: dict[str, TarMember] = field(default_factory=dict)
    passed_over: Counter[str] = field(default_factory=Counter)
    problem: str | None = None


class TarMember(Member):
    """One file of a tar.

    Args:
        where: path or URL of the tar; the file's size; its pieces.
    """

    def open(self) -> IO[bytes]:
        tar, size, pieces = self.where
        content = cast("IO[bytes]", io.BufferedReader(_Pieces(open_parts(tar), size, pieces)))
        if local_path(tar) is not None:
            return content
        with content:  # decoding reads it twice
            return copy_part(content)


class _Pieces(RandomAccess):
    """A file made of parts of another, with zeros between them."""

    def __init__(self, file: IO[bytes], size: int, pieces: tuple[Piece, ...]) -> None:
        super().__init__(size)
        self._file, self._pieces = file, pieces
        self._starts = [start for start, _, _ in pieces]

    def read_at(self, at: int, count: int) -> bytes:
        index = bisect_right(self._starts, at) - 1
        start, length, offset = self._pieces[index] if index >= 0 else (0, 0, 0)
        if at < start + length:
            self._file.seek(offset + at - start)
            return self._file.read(min(count, start + length - at))
        end = self._starts[index + 1] if index + 1 < len(self._starts) else self._size
        return bytes(min(count, end - at))

    def close(self) -> None:
        self._file.close()
        super().close()


class _Bounded:
    """The tar as ``tarfile`` reads it, for headers only: one that claims gigabytes is not read into memory.

    Attributes:
        left: bytes that the headers of the next member may still have; newer Pythons read them in pieces.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.left = file, _MAX_HEADER_BYTES
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        self.left -= size
        if size < 0 or self.left < 0:
            raise OSError(
                f"it has a header of no possible size; at most {_MAX_HEADER_BYTES:,} bytes are read"
            )
        return self._file.read(size)


def index_tar(tar: str) -> TarIndex:
    """All files of a tar (path or URL), links to other members among them; its contents are not read.

    Raises:
        UsageError: a URL that is not read.
        OSError: it cannot be opened; back ends raise errors of their own too.
    """
    index = TarIndex()
    found: dict[
        str, _Place | str
    ] = {}  # by what tells names apart; text: the name that a symbolic link leads to
    with open_parts(tar) as file:
        try:
            for member in _headers(file):
                key = _key(member.name)
                place = _place(member, found)
                if isinstance(place, Counter):
                    index.passed_over += place
                else:
                    found.pop(key, None)  # replaced, as extraction would
                    found[key] = place
        except (tarfile.TarError, OSError, ValueError, OverflowError, RecursionError) as error:
            index.problem = f"it is damaged or no tar file: {error}"
    for key, value in found.items():
        target = _follow(key, found)
        if target is None:
            index.passed_over["links to what is no file of the tar"] += 1
        else:
            name = value[0] if isinstance(value, tuple) else key
            index.files[name] = TarMember(tar, *target[1:])
    return index


def find_file(tar: str, name: str) -> IO[bytes]:
    """The content of a file in a tar.

    Raises:
        OSError: as ``index_tar``, and if there is no such file.
    """
    path = local_path(tar)
    if path is None:
        index = index_tar(tar)
    else:
        status = stat(path)
        index = _kept_index(tar, status.st_mtime_ns, status.st_size)
    if name in index.files:
        return index.files[name].open()
    raise FileNotFoundError(index.problem or f"there is no {name} in {tar}")


@lru_cache(maxsize=1)
def _kept_index(tar: str, changed_ns: int, size: int) -> TarIndex:
    """Files are often looked for in the tar of the one before."""
    return index_tar(tar)


def _headers(file: IO[bytes]) -> Iterator[tarfile.TarInfo]:
    bounded = _Bounded(file)
    with tarfile.open(
        fileobj=cast("IO[bytes]", bounded), mode="r:", errors="surrogateescape", errorlevel=2
    ) as archive:
        last = -1
        for count in itertools.count():
            bounded.left = _MAX_HEADER_BYTES
            member = archive.next()
            archive.members.clear()  # type: ignore[attr-defined]  # it would remember every member
            if member is None:
                break
            if member.offset <= last:
                raise OSError(f"the header at byte {last} leads back to {member.offset}")
            if count >= MAX_FILES:
                raise OSError(f"it has more than {MAX_FILES:,} members")
            last = member.offset
            yield member
        file.seek(archive.offset)
        # A tar ends in zeros; tarfile takes anything else for the end too.
        if any(file.read(tarfile.BLOCKSIZE)):
            raise OSError(f"what comes at byte {archive.offset} is no part of a tar")


def _key(name: str) -> str:
    """Names that extraction would give to one file have one key."""
    return posixpath.normpath(name).lstrip("/")


def _place(member: tarfile.TarInfo, found: dict[str, _Place | str]) -> _Place | str | Counter[str]:
    """Where a member's bytes are, the key that it links to, or why it is passed over; folders count as nothing."""
    if member.issym():
        if member.linkname.startswith("/"):
            return Counter({"links that lead out of the tar": 1})
        target = posixpath.normpath(posixpath.join(posixpath.dirname(_key(member.name)), member.linkname))
        return Counter({"links that lead out of the tar": 1}) if target.startswith("../") else target
    if member.islnk():
        linked = found.get(_key(member.linkname))
        if linked is None:
            return Counter({"links to what is no file of the tar": 1})
        return (member.name, *linked[1:]) if isinstance(linked, tuple) else linked
    if member.isdir():
        return Counter()
    if not member.isreg():
        return Counter({"no regular files": 1})
    if member.sparse is None:
        return member.name, member.size, ((0, member.size, member.offset_data),)
    if member.size > max_download_bytes():
        return Counter({f"sparse files of more than {max_download_bytes():,} bytes": 1})
    return member.name, member.size, tuple(_sparse_pieces(member))


def _sparse_pieces(member: tarfile.TarInfo) -> Iterator[Piece]:
    offset, end = member.offset_data, 0
    for start, length in cast("Iterable[tuple[int, int]]", member.sparse or ()):
        if length == 0:
            continue  # unused places of the map, and one at the end of files that end in a hole
        if length < 0 or start < end or start + length > member.size:
            raise OSError(f"{member.name}: its map of holes makes no sense")
        yield start, length, offset
        offset, end = offset + length, start + length


def _follow(key: str, found: dict[str, _Place | str]) -> _Place | None:
    """The file that a name leads to through symbolic links."""
    for _ in range(_MAX_LINKS):
        value = found.get(key)
        if not isinstance(value, str):
            return value
        key = value
    return None
