"""Which reader reads what: a folder's captions joined with its other tables, a file, or a folder's scored clips."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from framescribe.dataset.decided import DecisionColumns
from framescribe.dataset.folder import local_path
from framescribe.dataset.joined import Joined
from framescribe.dataset.readers import Checked, FolderRows, JsonLines, OnBad, ParquetFile, Reader
from framescribe.dataset.rewritten import RewriteColumns
from framescribe.dataset.scored import ScoreColumns, ScoredClips
from framescribe.dataset.store import RowFolder
from framescribe.errors import UsageError
from framescribe.shown import shown


def open_captions(source: str | Path, required: Collection[str], on_bad: OnBad | None) -> Reader:
    """The reader of a folder, or of a ``.jsonl`` or ``.parquet`` file.

    Args:
        source: path of a file or folder; a folder may be behind a URL.
        required: columns that must not be null.
        on_bad: is told of rows that cannot be used, which are then passed over. None: the first one is an error.

    Raises:
        UsageError: there are no captions.
    """
    name = local_path(str(source)) or str(source)
    checked = Checked(name, required, on_bad)
    if name.endswith(".jsonl"):
        return JsonLines(checked)
    if name.endswith(".parquet"):
        return ParquetFile(checked)
    captions = FolderRows(checked)
    folder, decisions = captions.folder, DecisionColumns(captions.folder)
    return Joined(
        captions, [ScoreColumns(folder.scores), decisions, RewriteColumns(folder.rewrites, decisions)]
    )


def open_scored(source: str | Path) -> Reader:
    """The reader of a folder's scored clips, one row each.

    Raises:
        UsageError: it has none.
    """
    folder = RowFolder(local_path(str(source)) or str(source))
    if not folder.scores.shards():
        raise UsageError(f"{shown(folder.name)} has no scores; `framescribe score` makes them")
    return ScoredClips(folder.scores)
