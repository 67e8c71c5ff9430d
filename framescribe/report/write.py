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
    dataset: Dataset,
    target: Path,
    max_clips: int,
    overwrite: bool,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Writes the page: see ``Dataset.report``."""
    if target.is_dir():
        raise UsageError(f"{target} is a folder; name a file as `output`")
    if target.exists() and not overwrite:
        raise UsageError(f"{target} exists; choose another `output`, or replace it with `overwrite=True`")
    if not target.parent.is_dir():
        raise UsageError(f"{target}: there is no folder {target.parent}")
    overview = overview_of(dataset, max_clips)
    if not overview.rows:
        raise UsageError(f"{dataset.name} holds no rows")
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
    text = page(PurePath(dataset.name).name or dataset.name, overview, cards)
    # A file name that is no UTF-8 holds lone surrogates; they are shown as escapes.
    write_file(target, text.encode("utf-8", "backslashreplace"))
