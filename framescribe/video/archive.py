"""Videos inside archives (tars, and Parquet tables that hold their bytes), read in place: nothing is extracted."""

from __future__ import annotations

import io
from typing import IO, Any

from framescribe.reading import open_regular
from framescribe.video.address import local_path, split_member
from framescribe.video.remote import open_remote


class Member(io.RawIOBase):
    """One file of an archive as a binary file that is opened when it is first used; can be sent to other processes.

    Args:
        where: what ``open`` needs to find its bytes, first the archive's path or URL.
    """

    def __init__(self, *where: Any) -> None:
        self._where = where
        self._file: IO[bytes] | None = None

    def open(self) -> IO[bytes]:
        """Its content, to be closed by the caller.

        Raises:
            OSError: it cannot be had; back ends raise errors of their own too.
        """
        raise NotImplementedError

    @property
    def where(self) -> tuple[Any, ...]:
        """What it was made from: plain values."""
        return self._where

    def _content(self) -> IO[bytes]:
        if self._file is None:
            self._file = self.open()
        return self._file

    def __reduce__(self) -> tuple[type[Member], tuple[Any, ...]]:
        return type(self), self._where

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._content().tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._content().seek(offset, whence)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        content = self._content().read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        super().close()


def open_archive(name: str) -> IO[bytes]:
    """An archive, a path or a URL, to read parts of.

    Raises:
        UsageError: a URL that is not read.
        OSError: it cannot be opened, or is no regular file; back ends raise errors of their own too.
    """
    path = local_path(name)
    return open_remote(name) if path is None else open_regular(path)


def find_member(name: str) -> IO[bytes] | None:
    """The content of ``x.tar::k.mp4``; None if ``name`` is not of this form.

    Raises:
        UsageError: the archive is behind a URL that is not read.
        OSError: there is no such archive, or no such file in it; back ends raise errors of their own too.
    """
    found = split_member(name)
    if found is None:
        return None
    archive, member = found
    if archive.lower().endswith(".parquet"):
        from framescribe.video.table import find_row

        return find_row(archive, member)
    from framescribe.video.tar import find_file

    return find_file(archive, member)
