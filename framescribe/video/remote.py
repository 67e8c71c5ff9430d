"""Files behind URLs: fetched into temporary files without a name, which no end of the process leaves behind."""

from __future__ import annotations

import http.client
import io
import os
import tempfile
import time
from typing import IO, TYPE_CHECKING

from framescribe.errors import UsageError
from framescribe.extras import require_for_url
from framescribe.reading import open_regular
from framescribe.video.address import WEB, check_name, local_path, protocol_of
from framescribe.video.web import WebFile, decoded, ranged_size, requested

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

DOWNLOAD_SETTING = "FRAMESCRIBE_MAX_DOWNLOAD_GB"
"""Environment variable with the limit on one file's bytes; decoding processes inherit it."""

_DEFAULT_GB = 16.0
_CHUNK_BYTES = 1 << 20
_READ_AHEAD_BYTES = 1 << 20
_PATIENCE_S = 60.0
_SLOWEST_BYTES_PER_S = 10_000.0


def max_download_bytes() -> int:
    """How much is taken of one file behind a URL, compressed or not.

    Raises:
        UsageError: the environment's setting is no number.
    """
    text = os.environ.get(DOWNLOAD_SETTING, "")
    try:
        limit = float(text) if text else _DEFAULT_GB
        return int(limit * 1e9)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{DOWNLOAD_SETTING} is {text!r}; a number of gigabytes is needed") from error


def fetch(url: str) -> IO[bytes]:
    """Fetches a file whole: a seekable temporary file at position 0.

    Raises:
        UsageError: a URL that is not read (see ``check_name``), or that needs a package.
        OSError: it cannot be had, broke off, or is too large or too slow; back ends raise errors of their own too.
    """
    check_name(url)
    if protocol_of(url) in WEB:
        with requested(url) as response:
            is_plain = "Content-Encoding" not in response.headers
            return _copied(decoded(response), response.length if is_plain else None)
    filesystem, path = open_filesystem(url)
    with filesystem.open(path, "rb") as file:
        return _copied(file, getattr(file, "size", None))


def open_parts(name: str) -> IO[bytes]:
    """Opens a path or URL, seekable, to read parts of it; where a server sends no parts, all of it is fetched.

    Raises:
        UsageError, OSError: as ``fetch``; also of a path that is no regular file.
    """
    if (local := local_path(name)) is not None:
        return open_regular(local)
    check_name(name)
    if protocol_of(name) not in WEB:
        filesystem, path = open_filesystem(name)
        file: IO[bytes] = filesystem.open(path, "rb")
        return file
    with requested(name, (0, 1)) as response:
        size = ranged_size(response.headers) if response.status == http.client.PARTIAL_CONTENT else None
    if size is None:
        return fetch(name)
    return io.BufferedReader(WebFile(name, size), _READ_AHEAD_BYTES)


def open_filesystem(url: str) -> tuple[AbstractFileSystem, str]:
    """The file system that lists and reads a URL, and the path in it; not for web servers.

    Raises:
        UsageError: a URL that is not read (see ``check_name``), or that needs a package.
    """
    from fsspec.core import url_to_fs

    check_name(url)
    require_for_url(url)
    try:
        filesystem, path = url_to_fs(url)
    except ImportError as error:
        raise UsageError(f"reading it needs a package that is missing: {error}") from error
    return filesystem, path


def copy_part(file: IO[bytes]) -> IO[bytes]:
    """Copies the rest of an open file to a temporary file at position 0, within the limit of ``fetch``."""
    return _copied(file, None)


def _copied(file: IO[bytes], size: int | None) -> IO[bytes]:
    """Copies a file; ``size`` is what the server promises, in bytes."""
    limit = max_download_bytes()
    if size is not None and size > limit:
        raise OSError(f"it has {size:,} bytes, more than the {limit:,} that {DOWNLOAD_SETTING} allows")
    read = getattr(file, "read1", file.read)
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - handed to the caller
    try:
        started, count = time.monotonic(), 0
        while chunk := read(_CHUNK_BYTES):
            count += len(chunk)
            if count > limit:
                raise OSError(f"it has more than the {limit:,} bytes that {DOWNLOAD_SETTING} allows")
            elapsed_s = time.monotonic() - started
            if elapsed_s > _PATIENCE_S and count < elapsed_s * _SLOWEST_BYTES_PER_S:
                raise OSError(f"only {count:,} bytes came in {elapsed_s:.0f} s")
            copy.write(chunk)
        if size is not None and count < size:
            raise OSError(f"it broke off after {count:,} of {size:,} bytes")
        copy.seek(0)
    except BaseException:
        copy.close()
        raise
    return copy
