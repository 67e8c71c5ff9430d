"""Rows to a report page on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePath

from framescribe.dataset.dataset import Dataset
from framescribe.errors import UsageError
from framescribe.files import write_file
from framescribe.report.clips import card_of
from framescribe.report.links import links_from, with_file_name
from framescribe.report.overview import overview_of
from framescribe.report.page import page
from framescribe.report.stills import stills_of


def write_report(
    rows: str,
    target: Path,
    *,
    max_clips: int = 60,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Writes one HTML page that holds everything it shows: counts, charts, and clips beside their captions.

    Args:
        rows: what ``caption`` wrote: a folder, .jsonl or .parquet file.
        target: the page.
        max_clips: how many clips to show, at most. They decide the page's size, about 50 KB each; all rows are counted.
        overwrite: replace an earlier page.
        progress: called with the clips whose pictures are done, and how many there are.

    Raises:
        UsageError: rows that cannot be read, or a target that cannot be written.
    """
    if target.is_dir():
        raise UsageError(f"{target} is a folder; name a file as `output`")
    if target.exists() and not overwrite:
        raise UsageError(f"{target} exists; choose another `output`, or replace it with `overwrite=True`")
    if not target.parent.is_dir():
        raise UsageError(f"{target}: there is no folder {target.parent}")
    overview = overview_of(Dataset(rows), max_clips)
    if not overview.rows:
        raise UsageError(f"{rows} holds no rows")
    done = 0

    def one_more() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, len(overview.clips))

    clips = list(map(with_file_name, overview.clips))
    stills, link = stills_of(clips, one_more), links_from(target.parent)
    usual_prompt = overview.made_by[0][0]["prompt"]
    cards = [card_of(row, stills, link, usual_prompt) for row in clips]
    text = page(PurePath(rows).name or rows, overview, cards)
    # A file name that is no UTF-8 holds lone surrogates; they are shown as escapes.
    write_file(target, text.encode("utf-8", "backslashreplace"))
