"""A folder of rows: append-only Parquet shards, local or behind any URL that fsspec opens.

``rows/part-000000-a1b2c3d4.parquet`` and so on; the last row for a clip counts, by the shards' names and the order
within them, whatever any clock said. Shards of one number were written side by side, and share no clip.
A shard appears whole or not at all: locally by renaming, on object stores because a put is.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from framescribe.dataset.folder import Folder
from framescribe.dataset.sealed_parquet import ParquetRows, write_sealed
from framescribe.dataset.table import row_schema, row_table
from framescribe.errors import UsageError
from framescribe.shown import shown

if TYPE_CHECKING:
    import numpy as np
    import pyarrow

Redo = Literal["failed", "flagged"]
RUN_FILE, LOCK_FILE, CLIPS_FILE = "_run.json", "_lock", "_todo.parquet"
"""What lies beside the rows, under names that Arrow, and so pandas, skips when it reads the folder."""
OLD_NAMES = {RUN_FILE: "run.json", LOCK_FILE: "lock"}
"""As they were named at first."""
_ROWS = "rows"
_RUN_KEY = "framescribe.run"
_ADVICE = "move it away to go on without its rows, whose clips are then captioned again, or bring back a copy"


class RowFolder(Folder):
    """A folder of rows.

    Args:
        target: path or URL; need not exist yet.

    Raises:
        UsageError: no package is there to open such a URL, or it names another host.
    """

    def exists(self) -> bool:
        """Whether there is a run's description or a shard."""
        return self.has(RUN_FILE) or self.has(OLD_NAMES[RUN_FILE]) or bool(self.shards())

    def prepare(self) -> None:
        """Makes the folder; removes nothing.

        Raises:
            UsageError: it cannot be made or written, or holds what no run wrote.
        """
        ours = {_ROWS, RUN_FILE, LOCK_FILE, *OLD_NAMES.values()}
        others = (
            []
            if self.exists()
            else [name for name in self.list() if name not in ours and name[0] not in "._"]
        )
        if others:
            raise UsageError(
                f"{shown(self.name)} holds {shown(others[0])}, but no rows; name a new or empty folder"
            )
        self.make(_ROWS)

    def clean(self) -> None:
        """Removes what killed runs left half written. Only who holds the folder's lock may."""
        for name in ("", _ROWS):
            self.remove_leftovers(name)

    def append(
        self, rows: Iterable[Mapping[str, Any]], run: str, number: int, token: str | None = None
    ) -> None:
        """Writes rows (``CaptionRow.to_dict``) as shard ``number``.

        Args:
            rows: any number.
            run: fingerprint of the run that made them.
            number: from ``next_number``.
            token: tells shards of one number apart, and replaces the one that has it; None makes a new one.

        Raises:
            OSError: as ``put``.
        """
        buffer = io.BytesIO()
        write_sealed(buffer, [row_table(rows)], {_RUN_KEY: run})
        self.put(f"{_ROWS}/part-{number:06}-{token or secrets.token_hex(4)}.parquet", buffer.getvalue())

    def shards(self) -> list[str]:
        """Paths of the shards, oldest first."""
        names = [name for name in self.list(_ROWS) if name.startswith("part-") and name.endswith(".parquet")]
        return [
            self.path(f"{_ROWS}/{name}") for name in sorted(names, key=lambda name: (_number(name), name))
        ]

    def next_number(self) -> int:
        """The number of the shard to write next."""
        shards = self.shards()
        return _number(shards[-1]) + 1 if shards else 0

    def size_bytes(self) -> int:
        """Of all shards together."""
        return sum(self.size(f"{_ROWS}/{Path(shard).name}") for shard in self.shards())

    def rows(self, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
        """The last row for each clip, in the order of writing; columns that a shard has not are None.

        Args:
            columns: which to read; None is all of them.

        Raises:
            UsageError: a shard is damaged, or written by a newer framescribe. So do the methods below.
        """
        import pyarrow as pa

        shards = self.shards()
        is_last = _latest(batch for _, batch in self._columns(shards, ["clip_id"]))
        nothing = dict.fromkeys(columns or row_schema().names)
        start = 0
        for shard in shards:
            with self._parquet(shard) as file:
                for batch in file.batches(columns):
                    kept = batch.filter(pa.array(is_last[start : start + len(batch)]))
                    start += len(batch)
                    yield from (nothing | row for row in file.values(kept))

    def done(self, run: str, others: Collection[str] = ()) -> dict[str, str | None]:
        """Clips that ``run`` has rows for, which no row of ``others`` has replaced, and what their sources' bytes were.

        Args:
            run, others: fingerprints. A row of a run that is none of them, such as one that mended a caption, leaves a
                clip as done as it was.

        The value is the hash; empty if the clip failed before there was one; None if none was asked for.
        """
        found: dict[str, str | None] = {}
        wanted = ["clip_id", "caption_status", "source_sha256"]
        for made_by, batch in self._columns(self.shards(), wanted):
            columns = [batch[name].to_pylist() for name in wanted]
            for clip_id, status, sha256 in zip(*columns, strict=True):
                if made_by in others:
                    found.pop(clip_id, None)
                elif made_by == run or clip_id in found:
                    found[clip_id] = sha256 or ("" if status == "error" else None)
        return found

    def clip_ids(self, since: int) -> set[str]:
        """Ids of all clips in the shards from number ``since`` on."""
        shards = [shard for shard in self.shards() if _number(shard) >= since]
        return {id for _, batch in self._columns(shards, ["clip_id"]) for id in batch["clip_id"].to_pylist()}

    def chosen(self, redo: Redo) -> set[str]:
        """Ids of the clips whose last row failed or has a flag."""
        rows = self.rows(["clip_id", "caption_status", "flags"])
        if redo == "failed":
            return {row["clip_id"] for row in rows if row["caption_status"] == "error"}
        return {row["clip_id"] for row in rows if row["flags"]}

    def num_rows(self) -> int:
        """Rows in all shards, also those that a later one has replaced."""
        total = 0
        for shard in self.shards():
            with self._parquet(shard) as file:
                total += file.num_rows
        return total

    def _columns(self, shards: Iterable[str], names: list[str]) -> Iterator[tuple[str, pyarrow.RecordBatch]]:
        """Some columns of all shards, with the fingerprint of the run that wrote them (empty if that is not said)."""
        for shard in shards:
            with self._parquet(shard) as file:
                made_by = file.metadata.get(_RUN_KEY.encode(), b"").decode("utf-8", "replace")
                for batch in file.batches(names):
                    if batch["clip_id"].null_count:
                        raise UsageError(
                            f"{shown(shard)} holds rows without a clip_id: no run wrote it; {_ADVICE}"
                        )
                    yield made_by, batch

    @contextmanager
    def _parquet(self, shard: str) -> Iterator[ParquetRows]:
        try:
            with self.open(f"{_ROWS}/{Path(shard).name}") as file:
                content = io.BytesIO(file.read())  # whole: its checksum is of all of it
        except OSError as error:
            raise UsageError(f"{shown(shard)} cannot be read: {error.strerror or error}") from error
        yield ParquetRows(content, shard, _ADVICE)


def _number(shard: str) -> int:
    number = Path(shard).name.split("-")[1]
    return int(number) if number.isdecimal() else 0


def _latest(ids: Iterable[pyarrow.RecordBatch]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """bool [N]: for each of all rows in order, whether it is its clip's last."""
    import numpy as np
    import pyarrow as pa

    batches = list(ids)
    if not batches:
        return np.zeros(0, np.bool_)
    table = pa.Table.from_batches(batches)
    numbered = table.append_column("row", pa.array(np.arange(len(table))))
    last = numbered.group_by("clip_id", use_threads=False).aggregate([("row", "max")])["row_max"].to_numpy()
    is_last = np.zeros(len(table), np.bool_)
    is_last[last] = True
    return is_last
