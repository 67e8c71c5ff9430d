"""The clips of a pass as one file beside the rows: each host reads its slices there, the driver holds none."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from framescribe.dataset.store import CLIPS_FILE, RowFolder
from framescribe.errors import UsageError
from framescribe.pipeline.ray.plain import read_task, task_text
from framescribe.task import ClipTask

_MAX_SLICES = 10_000
"""A slice is one task of a decoder, and the driver knows each: its memory must not grow with the clips."""

Entry = tuple[ClipTask, str | None]
"""A clip with its questions, and its source's SHA-256 where that was asked for."""


@dataclass(frozen=True, slots=True)
class ClipList:
    """A list that has been written.

    Attributes:
        clips: how many.
        rows: how many rows they give.
        slices: how many parts, which are read one by one.
    """

    clips: int
    rows: int
    slices: int

    @classmethod
    def write(cls, folder: RowFolder, entries: Iterable[Entry], most: int, slice_clips: int) -> ClipList:
        """Writes the list, replacing an earlier one.

        Args:
            folder: of the rows.
            entries: different clips.
            most: clips at most, as far as known; slices grow with it.
            slice_clips: clips per slice, at least.

        Raises:
            OSError: it cannot be written.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = pa.schema([("clip", pa.string()), ("source_sha256", pa.string())])
        size = max(slice_clips, -(-most // _MAX_SLICES))
        clips = asked = slices = 0
        buffer = io.BytesIO()
        with pq.ParquetWriter(buffer, schema, compression="zstd", write_page_checksum=True) as writer:
            for part in _parts(entries, size):
                rows = [{"clip": task_text(task), "source_sha256": sha256} for task, sha256 in part]
                writer.write_table(pa.Table.from_pylist(rows, schema))
                clips, slices = clips + len(part), slices + 1
                asked += sum(len(task.questions) for task, _ in part)
        folder.put(CLIPS_FILE, buffer.getvalue())
        return cls(clips, asked, slices)

    @staticmethod
    def read(folder: RowFolder, number: int) -> Iterator[Entry]:
        """The clips of slice ``number``.

        Raises:
            UsageError: the file is not there or damaged.
        """
        import pyarrow.parquet as pq

        try:
            with (
                folder.open(CLIPS_FILE) as file,
                pq.ParquetFile(file, page_checksum_verification=True, pre_buffer=False) as table,
            ):
                rows = table.read_row_group(number, use_threads=False).to_pylist()
            entries = [(read_task(row["clip"]), row["source_sha256"]) for row in rows]
        except Exception as error:  # damaged bytes raise many types, which have no base in common
            raise UsageError(
                f"{folder.path(CLIPS_FILE)} is damaged: {error}; run the command again"
            ) from error
        yield from entries

    @staticmethod
    def remove(folder: RowFolder) -> None:
        """Removes the file, if it is there."""
        folder.remove(CLIPS_FILE)


def _parts(entries: Iterable[Entry], size: int) -> Iterator[list[Entry]]:
    part: list[Entry] = []
    for entry in entries:
        part.append(entry)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part
