"""A folder under review: its rows and decisions, and a thread that takes what changes in it meanwhile."""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from framescribe.dataset.dataset import Dataset
from framescribe.dataset.schema import CAPTIONS
from framescribe.dataset.store import RowFolder
from framescribe.decisions.decisions import Decisions
from framescribe.errors import UsageError
from framescribe.reviewing.index import RowIndex
from framescribe.reviewing.row_table import DECIDED_COLUMNS, RowTable

if TYPE_CHECKING:
    import pyarrow

    from framescribe.dataset.table import Table

_LOG = logging.getLogger(__name__)
_EVERY_S = 2.0


class ReviewedFolder:
    """Fills an index of a folder's rows, and takes captions, scores and decisions that other processes add.

    Args:
        name: of the folder, a path or URL.
        reviewer: whose decisions they are where nothing else is said; None: this user's.

    Attributes:
        name: of the folder.
        decisions: of the folder.
        table: its rows.
        index: what answers about them.
        is_complete: whether all rows have been read.
        problem: why the rest cannot be read, if so.

    Raises:
        UsageError: there are no captions.
    """

    def __init__(self, name: str, reviewer: str | None) -> None:
        self.name = name
        self._dataset = Dataset(name)
        self.decisions = Decisions(name, reviewer=reviewer)
        self.table = RowTable(self._dataset.schema)
        self.index = RowIndex(self.table)
        self.is_complete = False
        self.problem: str | None = None
        self._folder = RowFolder(name)
        self._known: dict[Table, set[str]] = {
            each: set(each.shards()) for each in (self._folder.table, self._folder.scores)
        }
        self._position = 0
        self._taking = threading.Lock()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="review-watch", daemon=True)

    def start(self) -> None:
        """Reads the rows on a thread, then watches for new ones."""
        self._thread.start()

    def close(self) -> None:
        """Ends what is under way."""
        self._is_over.set()
        self.table.interrupt()
        self._thread.join(timeout=10)
        self.table.close()

    def progress(self) -> dict[str, Any]:
        """How far the rows are read, and a number that grows with each change."""
        return {
            "total": self.table.loaded,
            "is_complete": self.is_complete,
            "problem": self.problem,
            "generation": self.table.generation,
        }

    def take_decisions(self) -> None:
        """Takes decisions that anybody wrote since the last time; what cannot be taken now is taken later."""
        with contextlib.suppress(OSError):  # the thread tries again, and says why
            self._take_decisions()

    def _take_decisions(self) -> None:
        with self._taking:
            entries = self.decisions.since(self._position)
            if keys := {(entry.clip_id, entry.prompt_index) for entry in entries}:
                self.table.decide(self.decisions.state(keys))
            self._position += len(entries)

    def _run(self) -> None:
        self._load()
        while not self._is_over.wait(_EVERY_S):
            try:
                self._take_rows()
                self._take_decisions()
            except (UsageError, OSError) as error:
                self.problem = str(error)
                _LOG.warning("%s", error)
            else:
                self.problem = None

    def _load(self) -> None:
        """Reads all rows, the first of them at once, then their decisions."""
        try:
            self._position = self.decisions.position
            batches = self._dataset.batches(self.table.stored)
            self.table.append(batches, 1)
            while not self._is_over.is_set() and self.table.append(batches):
                pass
            if states := self.decisions.state():
                self.table.decide(states)
        except (UsageError, OSError) as error:
            self.problem = str(error)
        self.is_complete = True

    def _take_rows(self) -> None:
        """Takes captions and scores of shards that are new."""
        import pyarrow as pa

        clips: set[str] = set()
        for batches in self._new(self._folder.table, list(CAPTIONS.types)):
            rows = pa.Table.from_batches(batches).select(
                [n for n in self.table.stored if n in CAPTIONS.types]
            )
            self.table.renew(rows)
            clips.update(rows["clip_id"].to_pylist())
            keys = zip(rows["clip_id"].to_pylist(), rows["prompt_index"].to_pylist(), strict=True)
            self.table.decide(self.decisions.state(keys))
        for batches in self._new(self._folder.scores, ["clip_id"]):
            clips.update(itertools.chain.from_iterable(batch["clip_id"].to_pylist() for batch in batches))
        if clips and self._known[self._folder.scores]:
            self._take_scores(clips)

    def _new(self, table: Table, columns: list[str]) -> Iterator[list[pyarrow.RecordBatch]]:
        """The rows of each shard that is new, which counts as known once they are taken."""
        for shard in table.shards():
            if shard not in self._known[table]:
                if batches := [batch for _, batch in table.all_batches([shard], columns)]:
                    yield batches
                self._known[table].add(shard)

    def _take_scores(self, clips: set[str]) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        scored = Dataset.scored(self.name)
        names = [name for name in scored.columns if name not in {*CAPTIONS.types, *DECIDED_COLUMNS}]
        wanted = pa.array(list(clips), pa.string())
        batches = [
            batch.filter(pc.is_in(batch["clip_id"], value_set=wanted))
            for batch in scored.batches(["clip_id", *names])
        ]
        if names and batches:
            self.table.score(pa.Table.from_batches(batches))
