"""The clips that a dataset has captions of, as sources of another run."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike, fspath
from typing import Any

from framescribe.dataset.row_file import is_row_file
from framescribe.dataset.store import RowFolder
from framescribe.errors import UsageError
from framescribe.types import Clip


def clips_of_dataset(folder: Any) -> Iterator[Clip]:
    """Each clip once, under the id that its rows have; their sources must be files or URLs.

    Raises:
        UsageError: it is no dataset folder.
    """
    if not isinstance(folder, str | PathLike) or is_row_file(fspath(folder)):
        raise UsageError("name the folder that scores go to, such as `output=scored/`")
    dataset = RowFolder(fspath(folder))
    if not dataset.has_any():
        raise UsageError(
            f"{fspath(folder)} holds no dataset; to score videos, name the folder that scores go to, such as "
            "`output=scored/`"
        )
    seen: set[str] = set()
    for table in (dataset.table, dataset.scores):
        for row in table.rows(["clip_id", "source_video", "start_s", "end_s"]):
            if row["clip_id"] not in seen:
                seen.add(row["clip_id"])
                yield Clip(row["source_video"], row["start_s"], row["end_s"], given_id=row["clip_id"])
