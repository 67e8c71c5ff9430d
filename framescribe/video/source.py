"""From a clip to an open, seekable binary file, be its video a path, a URL, bytes or a file."""

from __future__ import annotations

import dataclasses
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

from framescribe.errors import ClipError, UsageError
from framescribe.reading import Member, open_regular
from framescribe.shown import shorten
from framescribe.types import Clip
from framescribe.video.address import check_name, local_path, split_member, suffix_of
from framescribe.video.random_access import FileView
from framescribe.video.remote import copy_part, fetch
from framescribe.video_frames import EncodedFrames, VideoFrames


@contextmanager
def open_source(clip: Clip) -> Iterator[IO[bytes]]:
    """Open a clip's video as a seekable binary file at position 0.

    What is opened here is closed here; a file that the caller handed over stays open. ``x.tar::k.mp4`` is a file
    within a tar. A video behind a URL (see ``docs/sources.md``) is first copied to a temporary file: decoding reads
    it twice, and not every server can serve a part of a file.

    Raises:
        ClipError: at stage ``open``, naming the source and the reason.
    """
    name = clip.source_video
    if clip.problem is not None:
        raise ClipError("open", clip.problem)
    if isinstance(clip.data, bytes):
        if not clip.data:
            raise ClipError("open", f"{name}: the video has 0 bytes")
        yield io.BytesIO(clip.data)
    elif isinstance(clip.data, VideoFrames | EncodedFrames):
        raise ClipError("open", f"{name}: is pictures in memory, not a file")
    elif clip.data is not None and not isinstance(clip.data, Member):
        yield _rewound(clip.data, name)
    else:
        with _opened(name, clip.data) as file:
            yield _rewound(file, name)


def opened_again(file: IO[bytes]) -> IO[bytes]:
    """A file of ``open_source`` once more, with a position of its own; valid while the first one is open."""
    if isinstance(file, io.BytesIO):
        return io.BytesIO(file.getbuffer())
    try:
        return cast("IO[bytes]", io.BufferedReader(FileView(file.fileno())))
    except (OSError, AttributeError):  # no file of the system's
        position = file.tell()
        file.seek(0)
        copy = copy_part(file)
        file.seek(position)
        return copy


@contextmanager
def crossing(clip: Clip) -> Iterator[Clip]:
    """The clip, within the ``with`` block: an open file without a name, or ``memory://``, is copied to a file.

    Raises:
        ClipError: what has to be copied cannot be read.
    """
    is_here = clip.data is None and clip.source_video.startswith("memory://")
    if not is_here and isinstance(clip.data, bytes | EncodedFrames | Member | None):
        yield clip
        return
    with open_source(clip) as file:
        if (path := _path(file)) is not None:
            yield dataclasses.replace(clip, data=_LocalFile(path))
            return
        with tempfile.NamedTemporaryFile(prefix="framescribe-") as copy:
            shutil.copyfileobj(file, copy)
            copy.flush()
            yield dataclasses.replace(clip, data=_LocalFile(copy.name))


class _LocalFile(Member):
    """A file of this machine by its path."""

    def open(self) -> IO[bytes]:
        path: str = self.where[0]
        return open_regular(path)


def _path(file: IO[bytes]) -> str | None:
    """Where an open file lies, if it is a plain one that is still there."""
    try:
        status = os.fstat(file.fileno())
        path = os.path.abspath(file.name)
        return path if os.path.samestat(status, os.stat(path)) else None
    except (OSError, AttributeError, TypeError, ValueError):  # not of the system, without a name, or gone
        return None


def _find_member(name: str) -> IO[bytes] | None:
    """The content of ``x.tar::k.mp4``; None if ``name`` is not of this form."""
    found = split_member(name)
    if found is None:
        return None
    archive, member = found
    if suffix_of(archive) == ".parquet":
        from framescribe.video.table import find_row

        return find_row(archive, member)
    from framescribe.video.tar import find_file

    return find_file(archive, member)


def _opened(name: str, member: Member | None) -> IO[bytes]:
    try:
        if member is not None:
            return member.open()
        path = local_path(name)
        if path is not None and os.path.exists(path):
            return open_regular(path)
        check_name(name)
        return _find_member(name) or (fetch(name) if path is None else open_regular(path))
    except IsADirectoryError as error:
        raise ClipError("open", f"{name}: is a folder, not a video file") from error
    except UsageError as error:
        raise ClipError("open", str(error) if name in str(error) else f"{name}: {error}") from error
    except Exception as error:  # back ends raise types of their own, without a common base
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        failure = "cannot be opened" if local_path(name) is not None else "cannot be fetched"
        raise ClipError("open", f"{name}: {failure}: {shorten(reason)}") from error


def _rewound(file: IO[bytes], name: str) -> IO[bytes]:
    try:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        is_binary = isinstance(file.read(0), bytes)
    except (OSError, ValueError, AttributeError) as error:
        raise ClipError("open", f"{name}: needs an open, seekable binary file: {error}") from error
    if not is_binary:
        raise ClipError("open", f"{name}: the file is open as text; open it in binary mode ('rb')")
    if size == 0:
        raise ClipError("open", f"{name}: the file has 0 bytes")
    return file
