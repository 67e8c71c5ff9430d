"""One run at a time writes to a folder of rows."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import secrets
import socket
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from framescribe.dataset.folder import written
from framescribe.dataset.store import LOCK_FILE, OLD_NAMES, RowFolder
from framescribe.errors import UsageError
from framescribe.shown import shown

_LOG = logging.getLogger(__name__)
_SETTLE_S = 2.0
"""How long a put may be under way, where two may both believe to be the first."""

_held: set[str] = set()
_held_guard = threading.Lock()


@contextmanager
def locked(folder: RowFolder) -> Iterator[None]:
    """Makes the folder if need be, and holds its lock. Only inside is anything in it written or removed.

    Locally the kernel holds it, and drops it however the process ends. An object store has no locks: there the holder's
    name lies in a file, which the store lets only one create (``RowFolder.creates_exclusively``); it is taken over when
    that process is dead and was of this host.

    Raises:
        UsageError: another process or thread has it; the message names process and host. Or it cannot be written.
        OSError: it cannot be written any more, such as on a full disk.
    """
    folder.prepare()
    with ExitStack() as stack:
        stack.enter_context(_only_here(folder))
        if not folder.is_local:
            stack.enter_context(_named_lock(folder))
        else:
            stack.enter_context(_kernel_lock(folder, LOCK_FILE))
            if folder.has(OLD_NAMES[LOCK_FILE]):  # an older version may be at work
                stack.enter_context(_kernel_lock(folder, OLD_NAMES[LOCK_FILE]))
                folder.remove(OLD_NAMES[LOCK_FILE])
        yield


@contextmanager
def _only_here(folder: RowFolder) -> Iterator[None]:
    """Keeps other threads of this process out, which the kernel takes for the holder itself."""
    name = os.path.realpath(folder.root) if folder.is_local else folder.name
    with _held_guard:
        if name in _held:
            raise UsageError(_message(folder, _holder()))
        _held.add(name)
    try:
        yield
    finally:
        with _held_guard:
            _held.discard(name)


@contextmanager
def _kernel_lock(folder: RowFolder, name: str) -> Iterator[None]:
    path = folder.path(name)
    try:
        # No link is followed: what it points to would be emptied.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        reason = written(error, path).strerror
        raise UsageError(f"{shown(folder.name)} cannot be written: {name}: {reason}") from error
    with open(descriptor, "r+b", buffering=0) as lock:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UsageError(
                f"{shown(folder.name)} cannot be written: {name} is no regular file; move it away"
            )
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise UsageError(_message(folder, lock.read(4096))) from error
        except OSError as error:
            reason = written(error, path).strerror
            raise UsageError(f"{shown(folder.name)} cannot be locked: {name}: {reason}") from error
        try:
            lock.truncate(0)
            lock.write(_holder())
        except OSError as error:
            raise written(error, f"{folder.name}/{name}") from error
        yield


@contextmanager
def _named_lock(folder: RowFolder) -> Iterator[None]:
    if not folder.creates_exclusively:
        _LOG.warning(
            "%s has no conditional writes: two runs that start within the same moment may not notice each other",
            shown(folder.name),
        )
    if older := folder.read(OLD_NAMES[LOCK_FILE]):
        _refuse_living(folder, OLD_NAMES[LOCK_FILE], older)
        folder.remove(OLD_NAMES[LOCK_FILE])
    mine = _holder()
    try:
        folder.create(LOCK_FILE, mine)
    except FileExistsError:
        _take_over(folder, mine)
    if not folder.creates_exclusively:
        time.sleep(_SETTLE_S)
    # Some stores take the condition and ignore it: then the last one to write has the lock.
    if (now := folder.read(LOCK_FILE)) != mine:
        raise UsageError(_message(folder, now or b""))
    try:
        yield
    finally:
        if folder.read(LOCK_FILE) == mine:
            folder.remove(LOCK_FILE)


def _take_over(folder: RowFolder, mine: bytes) -> None:
    """Puts our name in the place of a dead one's. Of several that try only one may, who can create a file of that."""
    other = folder.read(LOCK_FILE)
    if other is None:
        raise UsageError(_message(folder, b""))
    _refuse_living(folder, LOCK_FILE, other)
    claim = f"{LOCK_FILE}-{hashlib.sha256(other).hexdigest()[:16]}"
    try:
        folder.create(claim, mine)
    except FileExistsError as error:
        advice = f"; if none is, delete {shown(folder.name)}/{claim}"
        raise UsageError(_message(folder, folder.read(claim) or b"") + advice) from error
    try:
        if (now := folder.read(LOCK_FILE)) != other:
            raise UsageError(_message(folder, now or b""))
        folder.remove(LOCK_FILE)
        folder.create(LOCK_FILE, mine)
    except FileExistsError as error:
        raise UsageError(_message(folder, folder.read(LOCK_FILE) or b"")) from error
    finally:
        folder.remove(claim)


def _holder() -> bytes:
    who = {"pid": os.getpid(), "host": socket.gethostname(), "token": secrets.token_hex(8)}
    return json.dumps(who).encode()


def _refuse_living(folder: RowFolder, name: str, other: bytes) -> None:
    who = _parse(other)
    if who is not None and who[1] == socket.gethostname():
        try:
            os.kill(who[0], 0)
        except ProcessLookupError:
            return
        except PermissionError:
            pass  # it lives, and is another user's
    raise UsageError(_message(folder, other) + f"; if that one is dead, delete {shown(folder.name)}/{name}")


def _parse(holder: bytes) -> tuple[int, str] | None:
    """Process and host; None if it does not say, as its writer has not got that far."""
    try:
        known = json.loads(holder)
        pid, host = known["pid"], known["host"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return (pid, host) if isinstance(pid, int) and 0 < pid < 1 << 31 and isinstance(host, str) else None


def _message(folder: RowFolder, holder: bytes) -> str:
    who = _parse(holder)
    name = "another process" if who is None else f"process {who[0]} on {shown(who[1])}"
    return f"{name} is writing to {shown(folder.name)}; wait for it, or name another folder"
