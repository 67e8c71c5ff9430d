"""``framescribe.import_captions``: captions made elsewhere become rows of a dataset's folder."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from os import PathLike, fspath
from typing import Any, Literal

from framescribe.caption_row import CaptionRow
from framescribe.dataset.ahead import ahead
from framescribe.dataset.lock import locked
from framescribe.dataset.store import IMPORTED, RowFolder
from framescribe.decision_row import caption_digest
from framescribe.errors import ClipError, UsageError
from framescribe.importing.found import Found, Problem
from framescribe.importing.sources import find_captions
from framescribe.quality.checks import caption_status, check
from framescribe.types import Clip, VideoFacts
from framescribe.version import __version__
from framescribe.video.address import local_path
from framescribe.video.cpus import usable_cpus
from framescribe.video.decode import probe
from framescribe.video.workers import DecodeWorkers

_ROWS_PER_SHARD = 10_000
_MAX_PROBLEMS = 1000
_PROBE_TIMEOUT_S = 60.0


@dataclass(slots=True, kw_only=True)
class ImportSummary:
    """What became of the captions that were found.

    Attributes:
        output: the folder.
        added: clips that had no row.
        changed: clips whose caption is another one than was imported before.
        unchanged: clips that have this caption already.
        kept: clips that have another caption from a run, which stays.
        without_caption: clips that are there without a caption; ``caption`` makes one.
        unusable: entries that cannot be used.
        problems: the first of these, and why.
        dropped: names of values that were there and are in no column.
    """

    output: str
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    kept: int = 0
    without_caption: int = 0
    unusable: int = 0
    problems: list[str] = field(default_factory=list)
    dropped: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        counts = {
            "changed": self.changed, "unchanged": self.unchanged, "kept as a run captioned them": self.kept,
            "without a caption": self.without_caption, "unusable": self.unusable,
        }  # fmt: skip
        said = [f"{number:,} {what}" for what, number in counts.items() if number]
        return ", ".join([f"{self.added:,} captions imported", *said])


_Outcome = Literal["added", "changed", "unchanged", "kept", "without_caption"]
_PROBED = ("added", "changed", "without_caption")


class _Known:
    """The captions that a folder has.

    Args:
        folder: locked.
        replace: whether captions that a run made are replaced.
    """

    def __init__(self, folder: RowFolder, replace: bool) -> None:
        self._replace = replace
        self._rows = {
            row["clip_id"]: (caption_digest(row["caption"]), row["imported_from"] is not None)
            for row in folder.table.rows(["clip_id", "prompt_index", "caption", "imported_from"])
            if not row["prompt_index"]
        }

    def outcome(self, clip_id: str, digest: str) -> _Outcome:
        """What becomes of a caption."""
        before, is_imported = self._rows.get(clip_id, (None, False))
        if before is None:
            return "added"
        if before == digest:
            return "unchanged"
        return "changed" if is_imported or self._replace else "kept"


def import_captions(
    sources: str | PathLike[str] | Iterable[str | PathLike[str]],
    output: str | PathLike[str],
    *,
    caption_column: str | None = None,
    model: str | None = None,
    replace: bool = False,
    probe_videos: bool = True,
) -> ImportSummary:
    """Takes captions that were made elsewhere into a dataset's folder, each clip with the id that ``caption`` gives it.

    >>> from framescribe import import_captions
    >>> print(import_captions("captioned-clips/", "imported/"))  # doctest: +SKIP
    380 captions imported, 120 without a caption

    The same call again adds nothing. ``caption`` with the same sources and folder captions the clips that have none.

    Args:
        sources: one or many: videos, folders and tars of videos with a text file of the same name beside each; files of
            entries with a clip and a caption (CSV, JSON, JSON lines, Parquet), or folders that hold one; exports.
        output: a dataset's folder, a path or URL; it may have rows already.
        caption_column: where the caption is in entries; None: ``caption``, ``text``, ``cap``, ``description`` or
            ``prompt``, or as trainers have it.
        model: what wrote the captions, where the entries do not say it.
        replace: put these captions in the place of those that a run made.
        probe_videos: open each video that is on this machine, in processes that can be killed, for its size, frame rate
            and duration, and leave out what is no video. Otherwise these columns are null.

    Raises:
        UsageError: a source that is not there or has nothing to read, or a folder that cannot be used.
        OSError: rows cannot be written any more; those before are whole.
    """
    names = [fspath(each) for each in ([sources] if isinstance(sources, str | PathLike) else sources)]
    if not names:
        raise UsageError("there is nothing to import: name folders, or files of captions")
    summary = ImportSummary(output=fspath(output))
    folder = RowFolder(summary.output)
    first = find_captions(names[0], caption_column, set())
    next(first, None)  # raises before a folder is made
    with locked(folder):
        number = folder.table.next_number()
        rows: list[dict[str, Any]] = []
        found = (each for name in names for each in find_captions(name, caption_column, summary.dropped))
        for row in _rows(found, _Known(folder, replace), model, probe_videos, summary):
            rows.append(row.to_dict())
            if len(rows) == _ROWS_PER_SHARD:
                folder.table.append(rows, IMPORTED, number)
                rows, number = [], number + 1
        if rows:
            folder.table.append(rows, IMPORTED, number)
    return summary


def _rows(
    found: Iterable[Found | Problem],
    known: _Known,
    model: str | None,
    is_probed: bool,
    summary: ImportSummary,
) -> Iterator[CaptionRow]:
    """The rows to add; counts everything."""
    with DecodeWorkers([], _PROBE_TIMEOUT_S) as workers:

        def probed(each: tuple[Found, _Outcome]) -> VideoFacts | str | None:
            clip, outcome = each[0].clip, each[1]
            is_here = clip.data is not None or local_path(clip.source_video) is not None
            return _probe(clip, workers) if is_probed and is_here and outcome in _PROBED else None

        asked, answered = itertools.tee(_outcomes(found, known, summary))
        for (each, outcome), facts in zip(answered, ahead(probed, asked, usable_cpus()), strict=True):
            if isinstance(facts, str):
                _note(summary, facts if facts.startswith(each.where) else f"{each.where}: {facts}")
                continue
            setattr(summary, outcome, getattr(summary, outcome) + 1)
            if outcome in ("added", "changed"):
                yield _row(each, model, facts)


def _outcomes(
    found: Iterable[Found | Problem], known: _Known, summary: ImportSummary
) -> Iterator[tuple[Found, _Outcome]]:
    """What becomes of each clip, once; problems are noted."""
    taken: dict[str, tuple[str, str]] = {}
    for each in found:
        if isinstance(each, Problem):
            _note(summary, str(each))
        elif each.caption is None:
            yield each, "without_caption"
        else:
            digest = caption_digest(each.caption.strip())
            if each.clip.id in taken:
                other, place = taken[each.clip.id]
                if other != digest:
                    _note(summary, f"{each.where}: another caption of this clip is in {place}, which counts")
                continue
            taken[each.clip.id] = digest, each.where
            yield each, known.outcome(each.clip.id, digest)


def _note(summary: ImportSummary, problem: str) -> None:
    summary.unusable += 1
    if len(summary.problems) < _MAX_PROBLEMS:
        summary.problems.append(problem)


def _probe(clip: Clip, workers: DecodeWorkers) -> VideoFacts | str:
    try:
        return workers.call(probe, clip).facts
    except ClipError as error:
        return str(error)


def _row(found: Found, model: str | None, facts: VideoFacts | None) -> CaptionRow:
    """The row of an imported caption; what is not known of its making is null."""
    assert found.caption is not None
    caption = found.caption.strip()
    flags = check(caption)
    clip = found.clip
    names = ("duration_s", "width", "height", "fps", "codec", "missing_s")
    seen = {} if facts is None else {name: getattr(facts, name) for name in names}
    return CaptionRow(
        clip_id=clip.id, source_video=clip.source_video, start_s=clip.start_s, end_s=clip.end_s,
        caption=caption, caption_raw=found.caption, caption_status=caption_status(flags, is_truncated=False),
        flags=flags, prompt=found.question, model=found.model or model, imported_from=found.where,
        strategy=None, num_frames=None, template=None, model_revision=None, precision=None, max_new_tokens=None,
        temperature=None, top_p=None, repetition_penalty=None, seed=None, engine_version=__version__,
        **seen,
    )  # fmt: skip
