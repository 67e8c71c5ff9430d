"""Read-only files whose bytes are had by their position: the part that all such files share."""

from __future__ import annotations

import io
import os


class RandomAccess(io.RawIOBase):
    """A seekable binary file of a known size; a subclass says how its bytes are read."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._at = 0

    def read_at(self, at: int, count: int) -> bytes:
        """1 to ``count`` bytes from position ``at`` on, all of which lie within the file.

        Raises:
            OSError: they cannot be read.
        """
        raise NotImplementedError

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = min(len(buffer), self._size - self._at)
        content = self.read_at(self._at, count) if count > 0 else b""
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)


class FileView(RandomAccess):
    """An open file, which may have no name, read from a position of its own; valid while that file is open."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(os.fstat(descriptor).st_size)
        self._descriptor = descriptor

    def read_at(self, at: int, count: int) -> bytes:
        return os.pread(self._descriptor, count, at)
