"""Rows into a folder of rows, shard by shard."""

from __future__ import annotations

import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any

from framescribe.caption_row import CaptionRow
from framescribe.dataset.runs import Run, RunLog
from framescribe.dataset.side_writer import SideWriter
from framescribe.dataset.store import RowFolder
from framescribe.errors import UsageError
from framescribe.feature_row import FeatureRow
from framescribe.score_row import ScoreRow

ROWS_PER_SHARD = 1000
SECONDS_PER_SHARD = 60.0


class RowWriter:
    """Appends a run's rows to a folder; use it in a ``with`` statement, within ``locked``.

    A shard is written every ``rows_per_shard`` rows or ``SECONDS_PER_SHARD`` seconds, and at the end, also when the end
    is Ctrl-C. A kill loses what is not in a shard yet: those clips are captioned again.

    Args:
        folder: prepared.
        log, run: the run is the log's current one; its rate is kept up to date.
        hardware: what the rate is of.
        rows_per_shard: at most.

    Raises:
        UsageError: fewer than one row per shard.
    """

    def __init__(
        self,
        folder: RowFolder,
        log: RunLog,
        run: Run,
        hardware: str,
        rows_per_shard: int = ROWS_PER_SHARD,
    ) -> None:
        if rows_per_shard < 1:
            raise UsageError(f"`rows_per_shard` must be at least 1, not {rows_per_shard}")
        self._folder, self._log, self._run, self._hardware = folder, log, run, hardware
        self._rows_per_shard = rows_per_shard
        self._rows: list[dict[str, Any]] = []
        self._side = SideWriter(folder, run.fingerprint)
        self._number = folder.table.next_number()

    def __enter__(self) -> RowWriter:
        self._last_flush = time.monotonic()
        return self

    def write(self, row: CaptionRow) -> None:
        """Takes a row; it is safe once its shard is written.

        Raises:
            OSError: the shard cannot be written: a full disk, no permission, the folder is gone.
        """
        self._rows.append(row.to_dict())
        is_late = time.monotonic() - self._last_flush >= SECONDS_PER_SHARD
        if is_late or len(self._rows) >= self._rows_per_shard:
            self._flush()

    def write_beside(self, rows: Iterable[ScoreRow | FeatureRow]) -> None:
        """Takes what a clip gave beside its caption; it is safe before the caption's row is."""
        self._side.write(rows)

    def _flush(self) -> None:
        self._side.flush()  # before the rows: a clip that has its row is done
        if not self._rows:
            return
        self._folder.table.append(self._rows, self._run.fingerprint, self._number)
        self._number += 1
        now = time.monotonic()
        self._run.add_rate(self._hardware, len(self._rows), now - self._last_flush)
        self._rows.clear()
        self._last_flush = now
        self._log.save()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()
