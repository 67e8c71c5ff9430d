"""The table of scores, turned: one row for each clip, one column for each score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from framescribe.dataset.schema import BATCH_ROWS
from framescribe.dataset.table import Table

if TYPE_CHECKING:
    import pyarrow

    from framescribe.dataset.readers import Row

_Turned = tuple["pyarrow.Array", list["pyarrow.Array"]]
_SPAN = ("clip_id", "source_video", "start_s", "end_s")
_FAILURE = ("error_stage", "error_message")
CLIP_COLUMNS = (*_SPAN, *_FAILURE)
"""What a scored clip's row has besides scores: which clip it is, and why a scorer failed, where one did."""


class ScoreColumns:
    """Scores as columns of captions: float64, null where a clip has none.

    Args:
        table: of scores.
    """

    def __init__(self, table: Table) -> None:
        self._table, self._names = table, _ScoreNames(table)
        self._values: tuple[tuple[list[str], list[str]], _Turned] | None = None

    def fields(self) -> list[pyarrow.Field]:
        import pyarrow as pa

        return [pa.field(name, pa.float64()) for name in self._names()]

    def keys(self, names: Sequence[str]) -> tuple[str, ...]:
        return ("clip_id",)

    def of(self, keys: pyarrow.RecordBatch, names: Sequence[str]) -> list[pyarrow.Array]:
        import pyarrow.compute as pc

        asked = self._table.shards(), list(names)
        if self._values is None or self._values[0] != asked:
            self._values = asked, _turned(self._table, names)
        clip_ids, values = self._values[1]
        places = pc.index_in(keys["clip_id"], value_set=clip_ids)
        return [pc.take(each, places) for each in values]


class ScoredClips:
    """A reader of one row for each clip that was scored: which clip, and its scores.

    Args:
        table: of scores.
    """

    def __init__(self, table: Table) -> None:
        self._table, self._names = table, _ScoreNames(table)

    def schema(self) -> pyarrow.Schema:
        import pyarrow as pa

        clip = [self._table.schema.arrow.field(name) for name in CLIP_COLUMNS]
        scores = [name for name in self._names() if name not in CLIP_COLUMNS]
        return pa.schema([*clip, *(pa.field(name, pa.float64()) for name in scores)])

    def names(self) -> list[str]:
        return list(self.schema().names)

    def rows(self) -> Iterator[Row]:
        for batch in self.batches(self.names()):
            yield from batch.to_pylist()

    def batches(self, columns: Sequence[str]) -> Iterator[pyarrow.RecordBatch]:
        import pyarrow as pa

        names = [name for name in columns if name not in CLIP_COLUMNS]
        clip_ids, values = _turned(self._table, names)
        arrays: dict[str, Any] = dict(zip(names, values, strict=True))
        for kind in (_SPAN, _FAILURE):
            if clip := [name for name in columns if name in kind]:
                arrays |= zip(clip, _first_of_each(self._table, clip_ids, clip), strict=True)
        whole = pa.table([arrays[name] for name in columns], list(columns))
        yield from whole.to_batches(max_chunksize=BATCH_ROWS)


class _ScoreNames:
    """Names of the scores that any clip has, in the order in which they first came; read once for the same shards."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._found: tuple[list[str], list[str]] = [], []

    def __call__(self) -> list[str]:
        import pyarrow.compute as pc

        shards = self._table.shards()
        if shards != self._found[0]:
            names: dict[str, None] = {}
            for batch in self._table.batches(["names"]):
                names |= dict.fromkeys(pc.unique(batch["names"].flatten()).to_pylist())
            self._found = shards, list(names)
        return self._found[1]


def _turned(table: Table, names: Sequence[str]) -> _Turned:
    """The ids of all clips [N], in the order of their first score; and each score of them, float64 [N] with nulls."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    ids: list[pyarrow.Array] = []
    found: dict[str, list[tuple[Any, Any]]] = {name: [] for name in names}
    start = 0
    for batch in table.batches(["clip_id", "names", "values"]):
        ids.append(batch["clip_id"])
        rows = np.from_dlpack(pc.list_parent_indices(batch["names"]).cast(pa.int64())) + start
        its_names, values = batch["names"].flatten().dictionary_encode(), batch["values"].flatten()
        if values.null_count:
            values = pc.fill_null(values, float("nan"))  # which imports pandas
        codes, numbers = np.from_dlpack(its_names.indices), np.from_dlpack(values)
        for code, name in enumerate(its_names.dictionary.to_pylist()):
            if name in found:
                chosen = codes == code
                found[name].append((rows[chosen], numbers[chosen]))
        start += len(batch)
    clips = pa.chunked_array(ids, pa.string()).combine_chunks().dictionary_encode()
    clip_of_row = np.from_dlpack(clips.indices)
    columns = []
    for name in names:
        column = np.full(len(clips.dictionary), np.nan)
        for rows, numbers in found[name]:
            column[clip_of_row[rows]] = numbers
        # Not pa.array(), which would import pandas.
        has_value = np.packbits(~np.isnan(column), bitorder="little")
        buffers = [pa.py_buffer(has_value), pa.py_buffer(column)]
        columns.append(pa.Array.from_buffers(pa.float64(), len(column), buffers))
    return clips.dictionary, columns


def _first_of_each(table: Table, clip_ids: pyarrow.Array, names: Sequence[str]) -> list[pyarrow.Array]:
    """What the first row of each clip says in some columns; of failures, the first row that tells of one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    batches = list(table.batches(["clip_id", *(name for name in names if name != "clip_id")]))
    whole = pa.Table.from_batches(batches)
    if names[0] in _FAILURE:
        whole = whole.filter(pc.is_valid(whole[names[0]]))
    whole = whole.combine_chunks()
    places = pc.index_in(clip_ids, value_set=whole["clip_id"].combine_chunks())
    return [whole[name].combine_chunks().take(places) for name in names]
