"""Files in a folder, local or behind any URL that fsspec opens: the one place that knows the difference."""

from __future__ import annotations

import contextlib
import errno
import inspect
import os
import re
import time
from pathlib import Path
from typing import IO, Any

from framescribe.errors import UsageError
from framescribe.extras import require_for_url
from framescribe.files import remove_leftovers, write_file
from framescribe.reading import open_regular
from framescribe.shown import shown

_CLOCK_TICK_S = 2.0
"""Two changes within so short a time may leave one time stamp; file systems differ."""
_LOCAL = re.compile(r"(file|local):(?://(?P<host>[^/]*))?(?P<path>/.*)?", re.IGNORECASE | re.DOTALL)
_ADVICE = {
    errno.ENOSPC: "free some space and run it again",
    errno.EDQUOT: "free some space and run it again",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f) and run it again",
    errno.EACCES: "name a folder that this user may write to",
    errno.EPERM: "name a folder that this user may write to",
    errno.EROFS: "name a folder on a file system that can be written",
    errno.ENOLCK: "its file system has no locks: name a folder on another one",
    errno.ENOSYS: "its file system lacks what a run needs: name a folder on another one",
    errno.EOPNOTSUPP: "its file system lacks what a run needs: name a folder on another one",
}


def local_path(target: str) -> str | None:
    """The path that a path or URL means on this machine; None for what lies elsewhere.

    Local are ``DIR``, ``file:/DIR``, ``file:///DIR`` and the same with ``local``. As in fsspec, ``%`` is an ordinary
    letter.

    Raises:
        UsageError: a URL that names a host, such as ``file://DIR``.
    """
    if url := _LOCAL.fullmatch(target):
        host, path = url["host"], url["path"]
        if host not in (None, "", "localhost"):
            raise UsageError(
                f"{shown(target)} names the host {shown(host)}: write {url[1]}:///… for a path on this machine"
            )
        if path is not None:
            return str(path)
    return None if "://" in target else target


def written(error: OSError, name: str, more: str = "") -> OSError:
    """An error of writing as people need it: which file, why, and what to do."""
    reason = error.strerror or str(error)
    advice = _ADVICE.get(error.errno or 0, "")
    return OSError(error.errno, "; ".join(filter(None, (reason, more, advice))), name)


State = tuple[float, ...]


class Folder:
    """A folder of files.

    Args:
        target: path or URL; need not exist yet.

    Raises:
        UsageError: no package is there to open such a URL, or it names another host.
    """

    def __init__(self, target: str | Path) -> None:
        import fsspec

        self.name = str(target).rstrip("/") or "/"
        local = local_path(self.name)
        self.is_local = local is not None
        if local is not None:
            self._files, self.root = fsspec.filesystem("file"), os.path.abspath(local)
            return
        require_for_url(self.name)
        try:
            self._files, self.root = fsspec.core.url_to_fs(self.name)
        except (ImportError, ValueError) as error:
            raise UsageError(f"{shown(self.name)} cannot be opened: {error}") from error

    @property
    def creates_exclusively(self) -> bool:
        """Whether the store itself sees to it that of several that ``create`` a file only one can."""
        return bool(self._condition())

    def _condition(self) -> dict[str, Any]:
        """What makes a put one of a file that is not there yet, as this back end spells it; empty if it has no such."""
        from fsspec.spec import AbstractFileSystem

        put = getattr(self._files, "_pipe_file", self._files.pipe_file)
        if getattr(put, "__func__", put) is AbstractFileSystem.pipe_file:
            return {}  # the general one looks, and then writes
        parameters = inspect.signature(put).parameters
        if "mode" in parameters:
            return {"mode": "create"}
        return {"overwrite": False} if "overwrite" in parameters else {}

    def path(self, name: str) -> str:
        """A file within, as this file system spells it."""
        return f"{self.root}/{name}"

    def list(self, name: str = "") -> list[str]:
        """Names of what the folder, or one within it, holds; none if it is not there."""
        self._files.invalidate_cache()
        try:
            found = self._files.ls(self.path(name) if name else self.root, detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(Path(each).name for each in found)

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return bool(self._files.exists(self.path(name)))

    def make(self, name: str) -> None:
        """Makes the folder, and one within it.

        Raises:
            UsageError: it cannot be made.
        """
        try:
            self._files.makedirs(self.path(name), exist_ok=True)
        except OSError as error:
            told = written(error, self.name)
            raise UsageError(f"{shown(self.name)} cannot be written: {told.strerror}") from error

    def read(self, name: str) -> bytes | None:
        """A small file's content; None if it is not there."""
        with contextlib.suppress(FileNotFoundError), self.open(name) as file:
            return file.read()
        return None

    def open(self, name: str) -> IO[bytes]:
        """A file to read from, anywhere in it.

        Raises:
            OSError: it is not there, is no regular file, or cannot be read.
        """
        if self.is_local:
            return open_regular(self.path(name))
        file: IO[bytes] = self._files.open(self.path(name), "rb")
        return file

    def put(self, name: str, content: bytes) -> None:
        """Writes a file whole or not at all, replacing an older one.

        Raises:
            OSError: it cannot be written: a full disk, no permission, the folder is gone.
        """
        try:
            if self.is_local:
                write_file(self.path(name), content, sync=True)
            else:
                self._files.pipe_file(self.path(name), content)
        except OSError as error:
            raise written(error, f"{self.name}/{name}", "what was written before is whole") from error
        except Exception as error:  # back ends raise types of their own, without a common base
            raise OSError(f"{self.name}/{name} cannot be written: {error}") from error

    def create(self, name: str, content: bytes) -> None:
        """Writes a file of a store that is not there yet; see ``creates_exclusively``.

        Raises:
            FileExistsError: it is there.
            OSError: it cannot be written.
        """
        try:
            if condition := self._condition():
                self._files.pipe_file(self.path(name), content, **condition)
            else:
                if self.has(name):
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), f"{self.name}/{name}")
                self._files.pipe_file(self.path(name), content)
        except FileExistsError:
            raise
        except Exception as error:  # as in put
            raise OSError(f"{self.name}/{name} cannot be written: {error}") from error

    def remove(self, name: str) -> None:
        """Removes a file, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self.path(name))

    def size(self, name: str) -> int:
        """Of a file, in bytes."""
        return int(self._files.size(self.path(name)))

    def state(self, name: str) -> State | None:
        """What changes whenever a file does; None if that cannot be told."""
        if not self.is_local:
            return None
        status = os.stat(self.path(name))
        if time.time() - status.st_mtime < _CLOCK_TICK_S:
            return None
        return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino

    def remove_leftovers(self, name: str) -> None:
        """Removes what killed processes left half written, in the folder or one within it, which must be locked."""
        if self.is_local:
            remove_leftovers(self.path(name) if name else self.root)
