"""Captions as a table: those of a folder, a Parquet file or JSON lines, read, filtered, sorted and counted."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from framescribe.dataset.open_reader import open_captions, open_scored
from framescribe.dataset.readers import Reader
from framescribe.errors import UsageError
from framescribe.shown import shown
from framescribe.views import rows_html, span_name

if TYPE_CHECKING:
    import pyarrow
    from duckdb import DuckDBPyConnection

    from framescribe.dataset.query import QueryEngine
    from framescribe.export.report import ExportReport

Item = TypeVar("Item")

CAPTION_COLUMNS = ("clip_id", "source_video", "caption_status")
"""What every row of ``caption`` has."""
_ROWS_SHOWN = 5
_COLUMNS_SHOWN = 12


class Dataset:
    """Captions that a run wrote: one row for each clip and prompt, the last one where there are several.

    >>> from framescribe import Dataset
    >>> dataset = Dataset("captions/")
    >>> dataset.count("caption LIKE '%kite%'")
    1

    Conditions are SQL expressions over the columns, as DuckDB has them. They reach nothing but the rows: no files, no
    network, no settings. Shards are compared with their checksums before their rows are shown or counted.

    Args:
        source: folder (path or URL), or path of a ``.jsonl`` or ``.parquet`` file of rows.
        required: columns that must not be null.
        on_bad: is told of each row that cannot be used, by its line (or number) and the reason; the row is passed over.
            None: the first such row is an error.

    Raises:
        UsageError: there are no rows. Methods raise it where rows cannot be read, are damaged, or were written by a
            newer framescribe, with the file's name; and for expressions that cannot be answered.
    """

    def __init__(
        self,
        source: str | Path,
        *,
        required: Collection[str] = CAPTION_COLUMNS,
        on_bad: Callable[[int, str], None] | None = None,
    ) -> None:
        self.name = str(source)
        self._reader: Reader = open_captions(source, required, on_bad)

    @classmethod
    def scored(cls, folder: str | Path) -> Dataset:
        """The scored clips of a folder, one row each: ``clip_id``, ``source_video``, its span, and a column a score.

        They need no captions. A score is null where a clip has none; ``error_message`` says why a scorer failed.

        Raises:
            UsageError: the folder has no scores.
        """
        dataset = cls.__new__(cls)
        dataset.name = str(folder)
        dataset._reader = open_scored(folder)
        return dataset

    @classmethod
    def either(cls, source: str | Path) -> Dataset:
        """The captions of a source; where a folder has none yet, its scored clips.

        Raises:
            UsageError: it has neither.
        """
        try:
            return cls(source)
        except UsageError:
            with suppress(UsageError):
                return cls.scored(source)
            raise

    def __repr__(self) -> str:
        return f"Dataset({self.name!r})"

    def _repr_html_(self) -> str:
        """The first rows and their number, as a notebook shows them."""
        note = f"{self.name}: {self.count():,} rows"
        if not self.has_captions:
            shown_columns = [name for name in self.columns if name != "clip_id"][:_COLUMNS_SHOWN]
            return rows_html(self.rows(limit=_ROWS_SHOWN, columns=shown_columns), shown_columns, note)
        rows = self.rows(
            limit=_ROWS_SHOWN, columns=(*CAPTION_COLUMNS, "start_s", "end_s", "flags", "caption")
        )
        lines = [
            {
                "clip": span_name(row["source_video"], row["start_s"] or 0.0, row["end_s"]),
                "status": row["caption_status"],
                "flags": row["flags"],
                "caption": row["caption"],
            }
            for row in rows
        ]
        return rows_html(lines, ("clip", "status", "flags", "caption"), note)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self.rows()

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return self._whole(self._reader.names)

    @property
    def has_captions(self) -> bool:
        """Whether its rows are captions, not scored clips."""
        return "caption_status" in self._whole(self._reader.schema).names

    @property
    def schema(self) -> pyarrow.Schema:
        """All columns that may be asked for, with their types in Arrow."""
        return self._whole(self._reader.schema)

    def batches(self, columns: Sequence[str]) -> Iterator[pyarrow.RecordBatch]:
        """Some columns of all rows, in the order of writing, as Arrow's batches."""
        self._check_names(columns)
        return self._read(lambda: self._reader.batches(columns))

    def rows(
        self,
        where: str | Sequence[str] | None = None,
        order_by: str | None = None,
        limit: int | None = None,
        offset: int = 0,
        columns: Sequence[str] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Rows as dictionaries of their columns, in the order of writing if they are not sorted.

        Args:
            where: a condition, ``duration_s > 2 AND caption LIKE '%cat%'``; of several all must hold.
            order_by: what to sort by, ``output_tokens DESC, clip_id``.
            limit: at most so many rows.
            offset: leave out so many of the first rows.
            columns: which, by name; None: all.

        >>> for row in Dataset("captions/").rows("width < 640", order_by="duration_s DESC", limit=10):
        ...     print(row["source_video"], row["duration_s"])
        clips/kite.mp4 7.125
        """
        for name, number in (("limit", limit), ("offset", offset)):
            if number is not None and number < 0:
                raise UsageError(f"`{name}` must be 0 or more, not {number}")
        if where is None and order_by is None:
            end = None if limit is None else offset + limit
            if columns is None:
                return itertools.islice(self._read(self._reader.rows), offset, end)
            self._check_names(columns)
            return itertools.islice(self._plain(self._reader.batches(columns)), offset, end)
        if columns is not None:
            self._check_names(columns)
        quoted = [_quoted(name) for name in columns or self.columns]
        return self._plain(self._engine().select(quoted, _conditions(where), order_by, limit, offset))

    def count(self, where: str | Sequence[str] | None = None) -> int:
        """Number of rows, or of those for which a condition holds."""
        batches = self._engine().select(["count(*) AS rows"], _conditions(where))
        return int(next(self._plain(batches))["rows"])

    def count_by(
        self, columns: Sequence[str], where: str | Sequence[str] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Each combination of values of some columns, with the number of its ``rows``."""
        self._check_names(columns)
        chosen = [*map(_quoted, columns), "count(*) AS rows"]
        return self._plain(self._engine().select(chosen, _conditions(where), grouped=True))

    def query(self, sql: str) -> Iterator[dict[str, Any]]:
        """Rows of the answer to a SELECT statement over the table ``rows``.

        >>> sql = "SELECT caption_status, count(*) AS n FROM rows GROUP BY ALL"
        >>> list(Dataset("captions/").query(sql))
        [{'caption_status': 'success', 'n': 1}]
        """
        return self._plain(self._engine().query(sql))

    @contextmanager
    def database(self, columns: Sequence[str] | None = None) -> Iterator[DuckDBPyConnection]:
        """A connection to a database of its own that has the table ``rows``, read anew by each query.

        Args:
            columns: of the table; the fewer, the faster it is read. None: all.
        """
        if columns is not None:
            self._check_names(columns)
        with self._engine().database(columns) as connection:
            yield connection

    def duplicates(self) -> dict[tuple[str, int], str]:
        """Good captions that nearly repeat an earlier one: by clip id and prompt index, the earlier one's clip id."""
        from framescribe.quality.duplicates import flag_duplicates

        rows = self.rows(columns=("clip_id", "prompt_index", "caption", "caption_status"))
        flagged = (row for row in flag_duplicates(rows) if "duplicate_of" in row)
        return {(row["clip_id"], row["prompt_index"]): row["duplicate_of"] for row in flagged}

    def export(self, layout: str, target: str | Path, **options: Any) -> ExportReport:
        """Writes clips and captions into a folder as a trainer reads them.

        >>> report = dataset.export("diffsynth", "set", where="duration_s > 2")  # doctest: +SKIP

        Args:
            layout: the trainer's, such as ``diffsynth``.
            target: folder to make.
            options: as ``framescribe.export.run.export`` takes them.
        """
        from framescribe.export.run import export

        return export(self, layout, target, **options)

    def report(
        self,
        target: str | Path,
        *,
        max_clips: int = 60,
        profile: str | Path | None = None,
        thresholds: str | Sequence[str] = (),
        use_nearest: bool = False,
        overwrite: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Writes one HTML page that holds everything it shows: counts, charts, and clips beside their captions.

        >>> dataset.report("captions.html", max_clips=200)  # doctest: +SKIP

        Args:
            target: the page.
            max_clips: how many captioned clips to show, at most. They decide the page's size, about 50 KB each; all
                rows are counted.
            profile, thresholds, use_nearest: as ``framescribe.filter`` takes them: thresholds to draw into the scores'
                histograms, with the clips just inside and outside of each.
            overwrite: replace an existing file.
            progress: called with the clips whose stills are done, and how many there are.

        Raises:
            UsageError: there are no rows, no such profile or score, or the target cannot be written.
        """
        from framescribe.report.write import write_report

        limits = (profile, thresholds, use_nearest) if profile is not None or thresholds else None
        write_report(self, Path(target), max_clips, overwrite, progress, limits)

    def _check_names(self, columns: Sequence[str]) -> None:
        known = self._whole(self._reader.schema).names
        if unknown := [name for name in columns if name not in known]:
            raise UsageError(f"there is no column {shown(unknown[0])}; there are {', '.join(known)}")

    def _engine(self) -> QueryEngine:
        from framescribe.dataset.query import QueryEngine

        return QueryEngine(self._whole(self._reader.schema), self._reader.batches)

    def _plain(self, batches: Iterator[pyarrow.RecordBatch]) -> Iterator[dict[str, Any]]:
        return self._read(lambda: (row for batch in batches for row in batch.to_pylist()))

    def _whole(self, read: Callable[[], Item]) -> Item:
        return next(self._read(lambda: iter([read()])))

    def _read(self, read: Callable[[], Iterator[Item]]) -> Iterator[Item]:
        try:
            yield from read()
        except OSError as error:
            raise UsageError(f"{shown(self.name)} cannot be read: {error.strerror or error}") from error


def _conditions(where: str | Sequence[str] | None) -> list[str]:
    return [where] if isinstance(where, str) else list(where or ())


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
