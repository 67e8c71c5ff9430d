"""A folder of rows: append-only Parquet shards, local or behind any URL that fsspec opens.

``rows/part-000000-a1b2c3d4.parquet`` and so on, in the order of writing; the last row for a clip counts. Shards of one
number were written side by side, and share no clip.
A shard appears whole or not at all: locally by renaming, on object stores because a put is.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from framescribe.errors import UsageError
from framescribe.files import write_file
from framescribe.pipeline.table import BATCH_ROWS, row_schema, row_table

if TYPE_CHECKING:
    import numpy as np
    import pyarrow
    import pyarrow.parquet

Redo = Literal["failed", "flagged", "rejected"]
_RUN_KEY = b"framescribe.run"
_TMP_SUFFIX = ".tmp"


class RowFolder:
    """A folder of rows.

    Args:
        target: path or URL; need not exist yet.

    Raises:
        UsageError: no package is there to open such a URL.
    """

    def __init__(self, target: str | Path) -> None:
        import fsspec

        self.name = str(target).rstrip("/") or "/"
        self.is_local = "://" not in self.name
        if self.is_local:
            self._files, self.root = fsspec.filesystem("file"), os.path.abspath(self.name)
            return
        try:
            self._files, self.root = fsspec.core.url_to_fs(self.name)
        except (ImportError, ValueError) as error:
            raise UsageError(f"{self.name} cannot be opened: {error}") from error

    def exists(self) -> bool:
        """Whether there is a run's description or a shard."""
        return bool(self._files.exists(self.path("run.json")) or self.shards())

    def path(self, name: str) -> str:
        """Of a file within, as this file system spells it."""
        return f"{self.root}/{name}"

    def prepare(self) -> None:
        """Makes the folder.

        Raises:
            UsageError: it cannot be made or written, or holds what no run wrote.
        """
        try:
            if not self.exists() and self._files.isdir(self.root):
                others = [Path(name).name for name in self._files.ls(self.root, detail=False)]
                others = sorted(
                    name for name in others if name not in ("rows", "lock") and not name.endswith(_TMP_SUFFIX)
                )
                if others:
                    raise UsageError(
                        f"{self.name} holds {others[0]}, but no rows; name a new or empty folder"
                    )
            self._files.makedirs(self.path("rows"), exist_ok=True)
        except OSError as error:
            raise UsageError(f"{self.name} cannot be written: {error.strerror or error}") from error
        if self.is_local:
            for folder in (self.root, self.path("rows")):
                for left in Path(folder).glob(f".*{_TMP_SUFFIX}"):  # of a killed run
                    left.unlink(missing_ok=True)

    def read(self, name: str) -> bytes | None:
        """A small file's content; None if it is not there."""
        with contextlib.suppress(FileNotFoundError):
            content: bytes = self._files.cat_file(self.path(name))
            return content
        return None

    def open(self, name: str) -> IO[bytes]:
        """A file to read from, anywhere in it.

        Raises:
            OSError: it is not there, or cannot be read.
        """
        file: IO[bytes] = self._files.open(self.path(name), "rb")
        return file

    def put(self, name: str, content: bytes) -> None:
        """Writes a file whole or not at all, replacing an older one.

        Raises:
            OSError: it cannot be written: a full disk, no permission, the folder is gone.
        """
        path = self.path(name)
        if not self.is_local:
            try:
                self._files.pipe_file(path, content)
            except Exception as error:  # back ends raise types of their own, without a common base
                raise OSError(f"{self.name}/{name} cannot be written: {error}") from error
            return
        try:
            write_file(path, content, sync=True)
        except OSError as error:
            reason = f"{error.strerror}; what was written before is whole"
            raise OSError(error.errno, reason, f"{self.name}/{name}") from error

    def remove(self, name: str) -> None:
        """Removes a file, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self.path(name))

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
        import pyarrow.parquet as pq

        table = row_table(rows).replace_schema_metadata({_RUN_KEY: run.encode()})
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        self.put(f"rows/part-{number:06}-{token or secrets.token_hex(4)}.parquet", buffer.getvalue())

    def shards(self) -> list[str]:
        """Paths of the shards, oldest first."""
        self._files.invalidate_cache()
        try:
            names = self._files.ls(self.path("rows"), detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(
            name for name in names if Path(name).name.startswith("part-") and name.endswith(".parquet")
        )

    def next_number(self) -> int:
        """The number of the shard to write next."""
        shards = self.shards()
        return _number(shards[-1]) + 1 if shards else 0

    def size_bytes(self) -> int:
        """Of all shards together."""
        return sum(self._files.size(shard) for shard in self.shards())

    def rows(self, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
        """The last row for each clip, in the order of writing; columns that a shard has not are None.

        Args:
            columns: which to read; None is all of them.
        """
        import pyarrow as pa

        shards = self.shards()
        is_last = _latest(table for _, table in self._columns(shards, ["clip_id"]))
        nothing = dict.fromkeys(columns or row_schema().names)
        start = 0
        for shard in shards:
            with self._parquet(shard) as table:
                names = [name for name in table.schema_arrow.names if columns is None or name in columns]
                for batch in table.iter_batches(BATCH_ROWS, columns=names):
                    kept = batch.filter(pa.array(is_last[start : start + len(batch)]))
                    start += len(batch)
                    yield from (nothing | row for row in kept.to_pylist())

    def done(self, run: str, others: Collection[str] = ()) -> dict[str, str | None]:
        """Clips that ``run`` has rows for, which no row of ``others`` has replaced, and what their sources' bytes were.

        Args:
            run, others: fingerprints. A row of a run that is none of them, such as one that mended a caption, leaves a
                clip as done as it was.

        The value is the hash; empty if the clip failed before there was one; None if none was asked for.
        """
        found: dict[str, str | None] = {}
        wanted = ["clip_id", "caption_status", "source_sha256"]
        for made_by, table in self._columns(self.shards(), wanted):
            columns = [table[name].to_pylist() for name in wanted]
            for clip_id, status, sha256 in zip(*columns, strict=True):
                if made_by in others:
                    found.pop(clip_id, None)
                elif made_by == run or clip_id in found:
                    found[clip_id] = sha256 or ("" if status == "error" else None)
        return found

    def clip_ids(self, since: int) -> set[str]:
        """Ids of all clips in the shards from number ``since`` on."""
        shards = [shard for shard in self.shards() if _number(shard) >= since]
        return {id for _, table in self._columns(shards, ["clip_id"]) for id in table["clip_id"].to_pylist()}

    def chosen(self, redo: Redo) -> set[str]:
        """Ids of the clips whose last row failed, has a flag, or was rejected (the flag ``rejected``)."""
        wanted: set[str] = set()
        for row in self.rows(["clip_id", "caption_status", "flags"]):
            flags = row["flags"] or ()
            is_wanted = {
                "failed": row["caption_status"] == "error",
                "flagged": bool(flags),
                "rejected": "rejected" in flags,
            }
            if is_wanted[redo]:
                wanted.add(row["clip_id"])
        return wanted

    def num_rows(self) -> int:
        """Rows in all shards, also those that a later one has replaced."""
        total = 0
        for shard in self.shards():
            with self._parquet(shard) as table:
                total += table.metadata.num_rows
        return total

    def _columns(self, shards: Iterable[str], names: list[str]) -> Iterator[tuple[str, pyarrow.Table]]:
        """The run's fingerprint (empty if it says none) and some columns of each shard."""
        for shard in shards:
            with self._parquet(shard) as table:
                yield (table.metadata.metadata or {}).get(_RUN_KEY, b"").decode(), table.read(names)

    @contextmanager
    def _parquet(self, shard: str) -> Iterator[pyarrow.parquet.ParquetFile]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        with self._files.open(shard, "rb") as file:
            try:
                with pq.ParquetFile(file) as table:
                    yield table
            except pa.ArrowInvalid as error:
                raise UsageError(f"{shard} is damaged: {error}; move it away to go on without it") from error


def _number(shard: str) -> int:
    return int(Path(shard).name.split("-")[1])


def _latest(ids: Iterable[pyarrow.Table]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """bool [N]: for each of all rows in order, whether it is its clip's last."""
    import numpy as np
    import pyarrow as pa

    tables = list(ids)
    if not tables:
        return np.zeros(0, np.bool_)
    table = pa.concat_tables(tables)
    numbered = table.append_column("row", pa.array(np.arange(len(table))))
    last = numbered.group_by("clip_id").aggregate([("row", "max")])["row_max"].to_numpy()
    is_last = np.zeros(len(table), np.bool_)
    is_last[last] = True
    return is_last
