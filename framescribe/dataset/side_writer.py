"""Scores, features and rewrites into the tables that stand beside captions."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from framescribe.dataset.store import RowFolder
from framescribe.feature_row import FeatureRow
from framescribe.rewrite_row import RewriteRow
from framescribe.score_row import ScoreRow

SideRow = ScoreRow | FeatureRow | RewriteRow

SIDE_ROWS_PER_SHARD = 20_000
SIDE_SECONDS_PER_SHARD = 60.0


class SideWriter:
    """Appends scores, features and rewrites to a folder, within ``locked``. Several threads may call ``write``.

    Rows that are written together are in one shard each of their tables. Features come first: a clip counts as scored
    by its scores.

    Args:
        folder: prepared.
        run: fingerprint of what writes.
        rows_per_shard: rows after which ``is_due``.
    """

    def __init__(self, folder: RowFolder, run: str, rows_per_shard: int = SIDE_ROWS_PER_SHARD) -> None:
        self._run, self._rows_per_shard = run, rows_per_shard
        self._tables = {FeatureRow: folder.features, ScoreRow: folder.scores, RewriteRow: folder.rewrites}
        self._rows: dict[type, list[SideRow]] = {kind: [] for kind in self._tables}
        self._numbers = {kind: table.next_number() for kind, table in self._tables.items()}
        self._last_flush = time.monotonic()
        self._lock = threading.Lock()

    def write(self, rows: Iterable[SideRow]) -> None:
        """Takes rows; they are safe after ``flush``."""
        with self._lock:
            for row in rows:
                self._rows[type(row)].append(row)

    @property
    def is_due(self) -> bool:
        """Whether enough rows or time have come together for a shard."""
        is_late = time.monotonic() - self._last_flush >= SIDE_SECONDS_PER_SHARD
        return is_late or max(map(len, self._rows.values())) >= self._rows_per_shard

    def flush(self) -> None:
        """Writes what was taken.

        Raises:
            OSError: it cannot be written: a full disk, no permission, the folder is gone.
        """
        with self._lock:
            taken, self._rows = self._rows, {kind: [] for kind in self._tables}
        for kind, rows in taken.items():
            if rows:
                self._tables[kind].make()
                self._tables[kind].append((row.to_dict() for row in rows), self._run, self._numbers[kind])
                self._numbers[kind] += 1
        self._last_flush = time.monotonic()
