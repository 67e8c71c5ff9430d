"""From a clip to an open, seekable binary file, be its video a path, a URL, bytes or a file."""

from __future__ import annotations

import io
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from framescribe.errors import ClipError
from framescribe.types import Clip
from framescribe.video.archive import find_member
from framescribe.video_frames import VideoFrames

_EXTRA_OF_PROTOCOL = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}


@contextmanager
def open_source(clip: Clip) -> Iterator[IO[bytes]]:
    """Open a clip's video as a seekable binary file at position 0.

    What is opened here is closed here; a file that the caller handed over stays open. ``x.tar::k.mp4`` is a file
    within a tar. A video behind a URL
    (anything with ``://``, by fsspec) is first copied to a temporary file: decoding reads it twice, and not
    every server can serve a part of a file.

    Raises:
        ClipError: at stage ``open``, naming the source and the reason.
    """
    name = clip.source_video
    if clip.problem is not None:
        raise ClipError("open", clip.problem)
    data = clip.data if clip.data is not None else _member(name)
    if data is None:
        with _open_url(name) if "://" in name else _open_path(name, name) as file:
            yield file
    elif isinstance(data, bytes):
        if not data:
            raise ClipError("open", f"{name}: the video has 0 bytes")
        yield io.BytesIO(data)
    elif isinstance(data, VideoFrames):
        raise ClipError("open", f"{name}: is pictures in memory, not a file")
    else:
        yield _rewound(data, name)


def _member(name: str) -> IO[bytes] | None:
    if os.path.exists(name):
        return None
    try:
        return find_member(name)
    except Exception as error:  # back ends raise types of their own, without a common base
        raise ClipError("open", f"{name}: cannot be opened: {error}") from error


@contextmanager
def _open_path(path: str, name: str) -> Iterator[IO[bytes]]:
    try:
        # Look before opening: opening a named pipe would wait for a writer.
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise ClipError("open", f"{name}: is a folder, not a video file")
        if not stat.S_ISREG(status.st_mode):
            raise ClipError("open", f"{name}: is not a regular file (a pipe or a device)")
        if status.st_size == 0:
            raise ClipError("open", f"{name}: the file has 0 bytes")
        file = open(path, "rb")  # noqa: SIM115 - closed by the with statement below
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path; ClipError is one too
        if isinstance(error, ClipError):
            raise
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ClipError("open", f"{name}: cannot be opened: {reason}") from error
    with file:
        yield file


@contextmanager
def _open_url(url: str) -> Iterator[IO[bytes]]:
    from fsspec.core import url_to_fs
    from fsspec.implementations.local import LocalFileSystem

    with tempfile.TemporaryDirectory(prefix="framescribe-") as folder:
        copy = str(Path(folder) / "video")
        try:
            filesystem, path = url_to_fs(url)
            if isinstance(filesystem, LocalFileSystem):
                copy = path
            else:
                filesystem.get_file(path, copy)
        except ImportError as error:
            extra = _EXTRA_OF_PROTOCOL.get(url.split("://", maxsplit=1)[0])
            advice = f"install it with: pip install 'framescribe[{extra}]'" if extra else str(error)
            raise ClipError("open", f"{url}: reading it needs a package that is missing; {advice}") from error
        except Exception as error:  # back ends raise types of their own, without a common base
            reason = str(error) or type(error).__name__
            raise ClipError("open", f"{url}: cannot be fetched: {type(error).__name__}: {reason}") from error
        with _open_path(copy, url) as file:
            yield file


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
