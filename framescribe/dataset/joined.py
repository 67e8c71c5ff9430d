"""Captions with what other tables of their folder say of the same clips, as further columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow

    from framescribe.dataset.readers import Reader, Row

_ROWS_AT_A_TIME = 1 << 17
"""Enough that the other table's keys, which are hashed for each of these, are few beside them."""


class Columns(Protocol):
    """What another table adds to captions."""

    def fields(self) -> list[pyarrow.Field]:
        """The columns that there are."""

    def keys(self, names: Sequence[str]) -> tuple[str, ...]:
        """The columns of captions that some of the columns are found by."""

    def of(self, keys: pyarrow.RecordBatch, names: Sequence[str]) -> list[pyarrow.Array]:
        """Some of the columns, for captions of these keys; null where the table says nothing."""


class Joined:
    """A reader of captions with further columns; captions' own columns go before others of the same name.

    Args:
        captions: what is joined to.
        others: what is joined.
    """

    def __init__(self, captions: Reader, others: Sequence[Columns]) -> None:
        self._captions, self._others = captions, others

    def schema(self) -> pyarrow.Schema:
        import pyarrow as pa

        own = self._captions.schema()
        return pa.schema([*own, *chain.from_iterable(self._added(own).values())])

    def names(self) -> list[str]:
        added = self._added(self._captions.schema()).values()
        return [*self._captions.names(), *(field.name for fields in added for field in fields)]

    def rows(self) -> Iterator[Row]:
        if not any(self._added(self._captions.schema()).values()):
            yield from self._captions.rows()
            return
        for batch in self.batches(self.names()):
            yield from batch.to_pylist()

    def batches(self, columns: Sequence[str]) -> Iterator[pyarrow.RecordBatch]:
        own = set(self._captions.schema().names)
        if own.issuperset(columns):
            yield from self._captions.batches(columns)
            return
        added = self._added(self._captions.schema())
        wanted = {
            other: [field.name for field in fields if field.name in columns]
            for other, fields in added.items()
            if any(field.name in columns for field in fields)
        }
        keys = chain.from_iterable(other.keys(names) for other, names in wanted.items())
        needed = list(dict.fromkeys((*(name for name in columns if name in own), *keys)))
        for batch in _gathered(self._captions.batches(needed)):
            arrays = dict(zip(needed, batch.columns, strict=True))
            for other, names in wanted.items():
                arrays |= zip(names, other.of(batch.select(list(other.keys(names))), names), strict=True)
            yield _batch(columns, arrays)

    def _added(self, own: pyarrow.Schema) -> dict[Columns, list[pyarrow.Field]]:
        """What each of the others adds, no name twice."""
        taken, added = set(own.names), {}
        for other in self._others:
            added[other] = [field for field in other.fields() if field.name not in taken]
            taken.update(field.name for field in added[other])
        return added


def _gathered(batches: Iterable[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
    """The same rows in larger batches."""
    import pyarrow as pa

    held: list[pyarrow.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(map(len, held)) >= _ROWS_AT_A_TIME:
            yield pa.concat_batches(held)
            held = []
    if held:
        yield pa.concat_batches(held)


def _batch(names: Sequence[str], arrays: dict[str, Any]) -> pyarrow.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_arrays([arrays[name] for name in names], list(names))
