"""Files that appear whole or not at all: the one place that makes temporary files beside what they become.

A temporary file has a random name of fixed length, so that nobody can lay a link where it will be, and the longest
final name still has one beside it. It is made anew: what lies there, or a link, is never opened or followed. The
leading dot hides it from globs, from Arrow and from trainers.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_TEMPORARY = re.compile(r"\.framescribe-[0-9a-f]{16}\.tmp")
_CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EROFS, errno.EACCES}


_OF_ONE_NAME = {
    errno.EACCES, errno.EILSEQ, errno.EINVAL, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT,
    errno.ENOTDIR, errno.EPERM, errno.EROFS,
}  # fmt: skip


def concerns_one_name(error: OSError) -> bool:
    """Whether an error is about one file's name or place, so that others may still be written; not so a full disk."""
    return error.errno in _OF_ONE_NAME


def temporary_beside(path: str | os.PathLike[str]) -> Path:
    """Makes up a random name, in the same folder, for what will become ``path``."""
    return Path(path).with_name(f".framescribe-{secrets.token_hex(8)}.tmp")


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Removes what killed processes left under names of ``temporary_beside``; nobody else may be writing there."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if not _TEMPORARY.fullmatch(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                Path(entry.path).unlink(missing_ok=True)


def create_file(path: str | os.PathLike[str], *, buffering: int = -1) -> BinaryIO:
    """Opens a file that is not there yet for writing and reading.

    Raises:
        FileExistsError: there is something of that name, be it a link that leads nowhere.
        OSError: it cannot be made.
    """

    def without_links(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NOFOLLOW, 0o666)

    return open(path, "x+b", buffering=buffering, opener=without_links)


@contextmanager
def new_file(path: str | os.PathLike[str], *, sync: bool = False) -> Iterator[BinaryIO]:
    """Writes a file that becomes ``path`` at the end of the ``with`` statement, or is removed if that raises.

    A library that writes to paths may be given ``file.name`` instead. An older file, or a link, of the final name is
    replaced, never written through. Permissions of an older file are kept; a new one gets those of any new file.

    Args:
        path: what to write; its folder must be there.
        sync: wait until content and name are on the disk, so that a power cut leaves no half file either.

    Raises:
        OSError: it cannot be written; the error names ``path``. What was there before is untouched.
    """
    temporary = temporary_beside(path)
    try:
        with create_file(temporary) as file:
            mode = _permissions(path, file.fileno())
            yield file
        if stat.S_IMODE(temporary.stat().st_mode) != mode:  # a library that writes to paths made it anew
            temporary.chmod(mode)
        if sync:
            _sync(temporary)  # before the name: that must not reach the disk before the content
        os.replace(temporary, path)
        if sync:
            _sync(temporary.parent)
    except OSError as error:
        if error.filename not in (None, str(temporary)):
            raise  # of something else, which was read to be written here
        raise OSError(error.errno, error.strerror or str(error), os.fspath(path)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_file(path: str | os.PathLike[str], content: bytes | str, *, sync: bool = False) -> None:
    """Writes a file whole, as ``new_file`` does. A text is written as UTF-8, line breaks as they are.

    Raises:
        OSError: as ``new_file``.
    """
    with new_file(path, sync=sync) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


def _permissions(path: str | os.PathLike[str], new: int) -> int:
    """The permissions of a file that is replaced, otherwise those that the system gave the new one."""
    with contextlib.suppress(OSError):
        older = os.lstat(path)
        if stat.S_ISREG(older.st_mode):
            return stat.S_IMODE(older.st_mode)
    return stat.S_IMODE(os.fstat(new).st_mode)


def _sync(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        # Some file systems cannot sync a folder, or do not let it be opened; a full disk is another matter.
        if not path.is_dir() or error.errno not in _CANNOT_SYNC:
            raise
