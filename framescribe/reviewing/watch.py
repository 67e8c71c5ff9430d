"""What changes in the folder while it is reviewed: rows that are captioned, decisions of other processes."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from framescribe.dataset.store import RowFolder
from framescribe.errors import UsageError

if TYPE_CHECKING:
    from framescribe.decisions.decisions import Decisions
    from framescribe.reviewing.index import RowIndex

_LOG = logging.getLogger(__name__)
_EVERY_S = 2.0


class Watch:
    """Fills an index, and keeps it up to date, on a thread.

    Args:
        name: of the folder; other files of rows do not change.
        index: what is kept.
        decisions: of the folder.
    """

    def __init__(self, name: str, index: RowIndex, decisions: Decisions) -> None:
        self._index, self._decisions = index, decisions
        self._table = None if name.endswith((".jsonl", ".parquet")) else RowFolder(name).table
        self._known = set(self._table.shards()) if self._table else set()
        self._position = 0
        self._taking = threading.Lock()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="review-watch", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def close(self) -> None:
        """Ends, with what is under way."""
        self._is_over.set()
        self._index.interrupt()
        self._thread.join(timeout=10)

    def take_new(self) -> None:
        """Takes decisions that were written since the last time, by anybody."""
        with self._taking:
            entries = self._decisions.since(self._position)
            self._position += len(entries)
            keys = {(entry.clip_id, entry.prompt_index) for entry in entries}
            self._index.decided({key: self._decisions.current(*key) for key in keys})

    def _run(self) -> None:
        self._position = self._decisions.position
        self._index.load()
        while not self._is_over.wait(_EVERY_S):
            try:
                self._take_rows()
                self.take_new()
            except (UsageError, OSError) as error:
                self._index.problem = str(error)
                _LOG.warning("%s", error)
            else:
                self._index.problem = None

    def _take_rows(self) -> None:
        if self._table is None:
            return
        new = [shard for shard in self._table.shards() if shard not in self._known]
        if not new:
            return
        import pyarrow as pa

        columns = [name for name in self._table.schema.types if name in self._index.stored]
        for shard in new:
            batches = [batch for _, batch in self._table.all_batches([shard], columns)]
            if batches:
                self._index.renew(pa.Table.from_batches(batches))
            self._known.add(shard)
