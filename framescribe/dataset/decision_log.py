"""The history of decisions in a dataset's folder: several processes add to it, and what was added survives anything.

New entries go into a journal, ``decisions/_journal-000003.jsonl``: a line for each group of entries, with its
checksum in front, so that a group is there whole or not at all. A line is on the disk before ``append`` returns.
Writers take turns by a lock of the kernel's, which a killed one drops; half a line that it left is cut off by the next.
A journal that has grown becomes the Parquet shard of its number, and large groups are written as shards at once: in the
order of their numbers these are one order of all entries, whatever any clock said.

An object store can neither append nor lock: there each group is a shard of its own, and of two groups that are put at
the same moment the one whose name sorts later is the later.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from framescribe.dataset.folder import Folder, written
from framescribe.dataset.schema import DECISIONS
from framescribe.dataset.table import Table, shard_number
from framescribe.decision_row import DecisionRow
from framescribe.errors import UsageError
from framescribe.files import write_file
from framescribe.shown import shown, shown_value

_LOCK = "_lock"
_JOURNAL, _SUFFIX = "_journal-", ".jsonl"
_MAX_JOURNAL_BYTES = 4 << 20
_MAX_JOURNAL_ENTRIES = 2000
"""Of one group; a larger one is a shard of its own."""
_LOCK_TIMEOUT_S = 30.0
_COMPACTED = "journal"
_DIGEST_CHARS = 16


class DecisionLog:
    """All entries of a folder. Its methods may be called from any thread.

    Args:
        folder: of the dataset; it must be there.

    Raises:
        UsageError: (all methods) a shard or journal is damaged, or written by a newer framescribe.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._table = Table(folder, DECISIONS)
        self._guard = threading.RLock()
        self._entries: list[DecisionRow] = []
        self._by_id: dict[str, list[DecisionRow]] = {}
        self._read_shards: set[str] = set()
        self._offsets: dict[str, int] = {}
        self._is_checking = False

    def refresh(self) -> Sequence[DecisionRow]:
        """Reads what anybody has added, and returns all entries, oldest first; to be looked at, not changed."""
        with self._guard:
            if not self._is_checking and self._folder.has(DECISIONS.name):
                with self._locked(fcntl.LOCK_SH):
                    self._read()
            return self._entries

    def named(self, name: str) -> list[DecisionRow]:
        """The entries of a group, or the one entry of this id, as far as they have been read."""
        with self._guard:
            return list(self._by_id.get(name, ()))

    def append(
        self, entries: Sequence[DecisionRow], check: Callable[[], None] = lambda: None
    ) -> tuple[list[DecisionRow], bool]:
        """Adds a group of entries, all of it or nothing; it is on the disk when this returns.

        Args:
            entries: one or more, of one group id.
            check: is called when nobody else can add any more, and all that was added is read; may raise.

        Returns:
            The group as it is on the disk, and whether it was added now: one that is there already is not added again.

        Raises:
            UsageError: the log cannot be locked.
            OSError: it cannot be written, such as on a full disk; nothing was added.
        """
        group_id = entries[0].group_id
        with self._guard:
            self._folder.make(DECISIONS.name)
            with self._locked(fcntl.LOCK_EX):
                self._read()
                if known := self._by_id.get(group_id):
                    return list(known), False
                self._is_checking = True
                try:
                    check()
                finally:
                    self._is_checking = False
                self._write(entries)
                self._read()
            return list(self._by_id[group_id]), True

    def _write(self, entries: Sequence[DecisionRow]) -> None:
        """Writes a group behind all others; a journal is always the last of all places."""
        are_many = not self._folder.is_local or len(entries) > _MAX_JOURNAL_ENTRIES
        for journal in self._journals():
            if _number(journal) < self._table.next_number():  # it was compacted, and then a kill came
                self._remove(journal)
            elif are_many or self._folder.size(self._name(journal)) > _MAX_JOURNAL_BYTES:
                self._compact(journal)
            else:
                self._append_line(journal, _line(entries))
                return
        number = self._table.next_number()
        if are_many:
            self._table.append((entry.to_dict() for entry in entries), "", number)
            return
        self._folder.remove_leftovers(DECISIONS.name)
        journal = f"{_JOURNAL}{number:06}{_SUFFIX}"
        write_file(self._folder.path(self._name(journal)), b"", sync=True)
        self._append_line(journal, _line(entries))

    def _append_line(self, journal: str, line: bytes) -> None:
        path = self._folder.path(self._name(journal))
        with open(path, "r+b", buffering=0, opener=_without_links) as file:
            end = self._offsets.get(journal, 0)  # of the last whole line, as all was just read
            file.truncate(end)
            file.seek(end)
            try:
                left = memoryview(line)
                while left:
                    left = left[file.write(left) :]
                os.fsync(file.fileno())
            except OSError as error:
                with contextlib.suppress(OSError):
                    file.truncate(end)
                    os.fsync(file.fileno())
                raise written(
                    error, path, "nothing of this decision was written, those before are whole"
                ) from error

    def _compact(self, journal: str) -> None:
        """Turns a journal into the shard of its number; a kill in between leaves both, which hold the same entries."""
        with self._folder.open(self._name(journal)) as file:
            entries, _ = _parsed(file.read(), self._shown(journal))
        self._table.append((entry.to_dict() for entry in entries), "", _number(journal), _COMPACTED)
        self._remove(journal)

    def _remove(self, journal: str) -> None:
        self._folder.remove(self._name(journal))
        self._offsets.pop(journal, None)

    def _read(self) -> None:
        shards, journals = self._table.shards(), self._journals()
        compacted = {_number(shard) for shard in shards if shard.endswith(f"-{_COMPACTED}.parquet")}
        places = sorted((_number(name), name) for name in (*shards, *journals))
        for number, name in places:
            if not name.startswith(_JOURNAL):
                self._read_shard(name)
            elif number not in compacted:  # or else a kill came before it was removed
                self._read_journal(name)

    def _read_shard(self, shard: str) -> None:
        if shard in self._read_shards:
            return
        for _, batch in self._table.all_batches([shard], DECISIONS.arrow.names):
            self._take(map(_row_of, batch.to_pylist()))
        self._read_shards.add(shard)

    def _read_journal(self, journal: str) -> None:
        offset = self._offsets.get(journal, 0)
        with self._folder.open(self._name(journal)) as file:
            file.seek(offset)
            content = file.read()
        entries, length = _parsed(content, self._shown(journal))
        self._take(entries)
        self._offsets[journal] = offset + length

    def _take(self, entries: Iterable[DecisionRow]) -> None:
        for entry in entries:
            if entry.entry_id not in self._by_id:  # what was compacted is read again as a shard
                self._entries.append(entry)
                self._by_id[entry.entry_id] = [entry]
                self._by_id.setdefault(entry.group_id, []).append(entry)

    def _journals(self) -> list[str]:
        return [name for name in self._folder.list(DECISIONS.name) if name.startswith(_JOURNAL)]

    def _name(self, file: str) -> str:
        return f"{DECISIONS.name}/{file}"

    def _shown(self, journal: str) -> str:
        return shown(f"{self._folder.name}/{self._name(journal)}")

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        """Keeps other writers out; shared, lets other readers in. Where nothing may be written nobody writes."""
        if not self._folder.is_local:
            yield
            return
        path = self._folder.path(self._name(_LOCK))
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        except OSError as error:
            if how == fcntl.LOCK_EX:
                raise written(error, path) from error
            yield
            return
        try:
            _wait_for(descriptor, how, shown(self._folder.name))
            yield
        finally:
            os.close(descriptor)


def _number(name: str) -> int:
    """Of a shard or journal, in its path or name."""
    return shard_number(name.removesuffix(_SUFFIX))


def _wait_for(descriptor: int, how: int, name: str) -> None:
    deadline = time.monotonic() + _LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise UsageError(
                    f"{name}: another process has kept the decisions locked for {_LOCK_TIMEOUT_S:g} s; end it, or wait"
                ) from error
            time.sleep(0.002)


def _without_links(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _line(entries: Sequence[DecisionRow]) -> bytes:
    content = json.dumps([entry.to_dict() for entry in entries]).encode()
    return b"%s %s\n" % (_digest(content), content)


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest()[:_DIGEST_CHARS].encode()


def _parsed(content: bytes, name: str) -> tuple[list[DecisionRow], int]:
    """The entries of whole lines, and the length of these; a last line that is not whole was never acknowledged."""
    entries: list[DecisionRow] = []
    start = 0
    while (end := content.find(b"\n", start) + 1) > 0:
        line = content[start:end]
        if line[:_DIGEST_CHARS] != _digest(line[_DIGEST_CHARS + 1 : -1]):
            if end == len(content):
                break
            raise UsageError(f"{name} is damaged at byte {start}; bring back a copy")
        try:
            entries.extend(map(_row_of, json.loads(line[_DIGEST_CHARS + 1 :])))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise UsageError(f"{name} holds no decisions at byte {start}: {shown_value(error)}") from error
        start = end
    return entries, start


def _row_of(row: dict[str, Any]) -> DecisionRow:
    DECISIONS.check_version(row["schema_version"])
    if wrong := DECISIONS.wrong_value(row):
        raise TypeError(wrong)
    known = {name: row[name] for name in DECISIONS.types if row.get(name) is not None}
    return DecisionRow(**known | {"tags": tuple(row.get("tags") or ())})
