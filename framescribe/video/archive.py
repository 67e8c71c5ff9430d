"""Videos inside tar files (WebDataset's shards), read in place: nothing is extracted."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

MARK = "::"
"""Between a tar and its member: ``shard-000.tar::clip.mp4``."""


class TarMember(io.RawIOBase):
    """One file of a tar as a binary file that is opened when it is first read; can be sent to other processes.

    Args:
        tar: path or URL.
        start, size: where its bytes lie in the tar.
    """

    def __init__(self, tar: str, start: int, size: int) -> None:
        self._tar, self._start, self._size = tar, start, size
        self._at = 0
        self._file: IO[bytes] | None = None

    def __reduce__(self) -> tuple[type[TarMember], tuple[str, int, int]]:
        return TarMember, (self._tar, self._start, self._size)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = max(0, min(len(buffer), self._size - self._at))
        if count == 0:
            return 0
        if self._file is None:
            self._file = _open(self._tar)
        self._file.seek(self._start + self._at)
        read = self._file.read(count)
        buffer[: len(read)] = read
        self._at += len(read)
        return len(read)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        super().close()


def tar_members(tar: str) -> Iterator[tuple[str, IO[bytes]]]:
    """Names and contents of the regular files in a tar (path or URL), in its order; read as it goes.

    Raises:
        OSError: it cannot be opened, or is damaged from some point on.
    """
    with _reading(tar) as (archive, file):
        for member in archive:
            if member.isreg():
                yield member.name, cast("IO[bytes]", TarMember(tar, member.offset_data, member.size))
            archive.members.clear()  # type: ignore[attr-defined]  # it would remember every member
        file.seek(archive.offset)
        if any(
            file.read(tarfile.BLOCKSIZE)
        ):  # a tar ends in zeros; tarfile takes anything else for the end too
            raise OSError(f"what comes at byte {archive.offset} is no part of a tar")


def find_member(name: str) -> IO[bytes] | None:
    """The content of ``x.tar::k.mp4``; None if ``name`` is not of this form.

    Raises:
        OSError: there is no such tar, or no such file in it.
    """
    tar, mark, wanted = name.partition(f".tar{MARK}")
    if not mark:
        return None
    for member, content in tar_members(f"{tar}.tar"):
        if member == wanted:
            return content
    raise FileNotFoundError(f"there is no {wanted} in {tar}.tar")


@contextmanager
def _reading(tar: str) -> Iterator[tuple[tarfile.TarFile, IO[bytes]]]:
    with _open(tar) as file:
        try:
            with tarfile.open(fileobj=file, mode="r:", errors="surrogateescape", errorlevel=2) as archive:
                yield archive, file
        except tarfile.TarError as error:
            raise OSError(f"it is damaged or no tar file: {error}") from error


def _open(tar: str) -> IO[bytes]:
    if "://" not in tar:
        return open(tar, "rb")
    import fsspec

    file: IO[bytes] = fsspec.open(tar, "rb").open()
    return file
