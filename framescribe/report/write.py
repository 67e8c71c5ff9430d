"""Rows to a report page on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path, PurePath

from framescribe.dataset.dataset import Dataset
from framescribe.errors import UsageError
from framescribe.files import write_file
from framescribe.profiles.filter import filter as filtered
from framescribe.report.clips import card_of, strip_of
from framescribe.report.links import Link, links_from, with_file_name
from framescribe.report.overview import overview_of
from framescribe.report.page import page
from framescribe.report.scores import Scores, scores_of
from framescribe.report.stills import stills_of

Limits = tuple[str | Path | None, str | Sequence[str], bool]
"""A profile, thresholds of one's own, and whether the profile's nearest ones count."""


def write_report(
    dataset: Dataset,
    target: Path,
    max_clips: int = 60,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
    limits: Limits | None = None,
    link: Link | None = None,
) -> None:
    """Writes the page: see ``Dataset.report``. Pictures lead where ``link`` says; None: to the videos."""
    _check(target, overwrite)
    scores = _scores(dataset, limits)
    overview = overview_of(dataset, max_clips) if dataset.has_captions else None
    if overview is not None and not overview.rows and scores is None:
        raise UsageError(f"{dataset.name} holds no rows")
    captioned = list(map(with_file_name, overview.clips)) if overview else []
    beside = list(map(with_file_name, scores.shown)) if scores else []
    shown = {str(clip["clip_id"]): clip for clip in (*beside, *captioned)}
    done = 0

    def one_more() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, len(shown))

    stills, link = stills_of(shown.values(), one_more), link or links_from(target.parent)
    usual_prompt = overview.made_by[0][0]["prompt"] if overview and overview.made_by else None
    text = page(
        PurePath(dataset.name).name or dataset.name,
        overview if overview and overview.rows else None,
        [card_of(row, stills, link, usual_prompt) for row in captioned],
        scores,
        lambda clip: strip_of(with_file_name(clip), stills, link),
    )
    # A file name that is no UTF-8 holds lone surrogates; they are shown as escapes.
    write_file(target, text.encode("utf-8", "backslashreplace"))


def _check(target: Path, overwrite: bool) -> None:
    if target.is_dir():
        raise UsageError(f"{target} is a folder; name a file as `output`")
    if target.exists() and not overwrite:
        raise UsageError(f"{target} exists; choose another `output`, or replace it with `overwrite=True`")
    if not target.parent.is_dir():
        raise UsageError(f"{target}: there is no folder {target.parent}")


def _scores(dataset: Dataset, limits: Limits | None) -> Scores | None:
    """What there is to say of scores; None where there are none, and no thresholds are asked for."""
    try:
        scored = Dataset.scored(dataset.name)
    except UsageError:
        if limits is not None:
            raise
        return None
    if limits is None:
        return scores_of(scored, None)
    profile, thresholds, use_nearest = limits
    return scores_of(scored, filtered(dataset.name, profile, thresholds, use_nearest=use_nearest))
