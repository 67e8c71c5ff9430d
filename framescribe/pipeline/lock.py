"""One run at a time writes to a folder of rows."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from framescribe.errors import UsageError
from framescribe.pipeline.store import RowFolder

_NAME = "lock"


@contextmanager
def locked(folder: RowFolder) -> Iterator[None]:
    """Holds the folder's lock.

    Locally the kernel holds it, and drops it however the process ends. An object store has no locks: there the holder's
    name lies in a file, and is taken over when that process is dead and was of this host.

    Raises:
        UsageError: another process has it; the message names process and host. Or it cannot be written.
    """
    holder = {"pid": os.getpid(), "host": socket.gethostname()}
    if folder.is_local:
        with _local_lock(folder, json.dumps(holder)):
            yield
        return
    if other := folder.read(_NAME):
        _refuse_living(folder, other, holder["host"])
    folder.put(_NAME, json.dumps(holder).encode())
    try:
        yield
    finally:
        folder.remove(_NAME)


@contextmanager
def _local_lock(folder: RowFolder, holder: str) -> Iterator[None]:
    # Never closed elsewhere in this process: closing any handle of the file would drop the lock.
    try:
        lock = open(folder.path(_NAME), "a+", encoding="utf-8")  # noqa: SIM115 - closed by the with statement below
    except OSError as error:
        raise UsageError(f"{folder.name} cannot be written: {_NAME}: {error.strerror}") from error
    with lock as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise UsageError(_message(folder, file.read())) from error
        file.truncate(0)
        file.write(holder)
        file.flush()
        yield


def _refuse_living(folder: RowFolder, other: bytes, host: object) -> None:
    holder = json.loads(other)
    if holder["host"] == host:
        try:
            os.kill(holder["pid"], 0)
        except ProcessLookupError:
            return
        except PermissionError:
            pass  # it lives, and is another user's
    advice = f"; if that one is dead, delete {folder.name}/{_NAME}"
    raise UsageError(_message(folder, other.decode()) + advice)


def _message(folder: RowFolder, holder: str) -> str:
    try:
        known = json.loads(holder)
        who = f"process {known['pid']} on {known['host']}"
    except (ValueError, KeyError):
        who = "another process"  # it has the lock and has not yet written its name
    return f"{who} is writing to {folder.name}; wait for it, or name another folder"
