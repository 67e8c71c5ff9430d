"""One export: rows in, a folder that a trainer reads out, checked by reading it back."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from os import PathLike
from pathlib import Path
from typing import Any, Unpack

from framescribe.dataset.dataset import Dataset
from framescribe.dataset.rewritten import PREFIX
from framescribe.errors import UsageError
from framescribe.export.clips import Destination, placed
from framescribe.export.export_run import ExportOptions, ExportRun
from framescribe.export.judged import CAPTION
from framescribe.export.judged import COLUMNS as DECISION_COLUMNS
from framescribe.export.layout import Layout
from framescribe.export.pair import Candidate, Pair, Unusable
from framescribe.export.places import Places
from framescribe.export.prepare import Preparation, prepared
from framescribe.export.report import LONG_CAPTION_WORDS, ExportReport
from framescribe.export.select import COLUMNS, candidates_of
from framescribe.export.settings import Groups, write_settings
from framescribe.export.target import REPORT, new_target
from framescribe.pipeline.call_options import check_options, shows_options
from framescribe.quality.words import count_words


@shows_options(ExportOptions, ExportRun)
def export(
    rows: str | PathLike[str] | Dataset | Iterable[Mapping[str, Any]],
    layout: str | Layout,
    target: str | PathLike[str],
    **options: Unpack[ExportOptions],
) -> ExportReport:
    """Writes clips and captions into ``target`` as a trainer reads them, all of it or nothing.

    Pairs are in the order of their sources and spans: the same rows make the same files, byte for byte.

    Args:
        rows: a folder, ``.jsonl`` or ``.parquet`` file of rows, a ``Dataset``, or rows themselves, each clip once.
        layout: a name in ``LAYOUTS``, or a layout of your own.
        target: folder to make.
        where: a condition in SQL over the columns, such as ``duration_s > 2``; of several all must hold.
        prompt_index: the prompt whose captions go in; None: the first one that there are rows of.
        link: ``copy``, ``symlink`` or ``hardlink`` the clips, or ``reference`` them where they are.
        rules: how captions are tidied. Flags that they mend (``opener``, ``over_budget``) keep no caption out.
        accepted_flags: further flags that keep none out.
        accept: ``accepted``: only captions that people accepted; ``reviewed``: also those that they edited; None: all
            but those that they rejected. Edited texts go in for the captions.
        variant: of rewritten captions: its texts go in for the captions (``caption``: they themselves); clips without
            one are left out. Several where the trainer reads several captions a clip.
        min_frames: clips of fewer frames are left out, also where the trainer would take them.
        sources: folders, and beginnings of URLs that end in ``/``, to read clips from; empty: see ``Places``.
        normalize: make every clip anew so, with the rate, sides and number of frames that the trainer's models take
            (``form_for``). None leaves whole videos as they are; spans of videos are always cut out.
        first_frames: write each clip's first picture too, where the trainer has a place for it.
        keep_clips: a folder where clips that were made are kept, and found by the next export.
        decode_timeout_s: seconds without progress after which a video is given up.
        overwrite: replace an earlier export; what others wrote into its folder stays.

    Raises:
        UsageError: the layout cannot do that, the target is taken, no row passes, or pairs read back differently.
        OSError: it cannot be written; nothing is left behind.
    """
    check_options("export", ExportOptions, options)
    run = ExportRun.of(layout, target, **options)
    report = ExportReport(
        format=run.layout.name, target=str(run.target), link=run.link, rules=run.rules,
        accepted_flags=run.unharmful_flags, accept=run.accept, variants=list(run.variant), normalize=run.normalize,
    )  # fmt: skip
    chosen = _chosen_rows(rows, run.where, run.variant)
    candidates = candidates_of(chosen, Places(run.sources), report, run.prompt_index)
    with new_target(run.target, run.overwrite) as folder:
        _write(candidates, Destination(run.layout, folder, run.target, run.link), run.preparation, report)
    return report


def _chosen_rows(
    rows: str | PathLike[str] | Dataset | Iterable[Mapping[str, Any]],
    where: str | Sequence[str],
    variants: Sequence[str],
) -> Iterable[Mapping[str, Any]]:
    if isinstance(rows, str | PathLike):
        rows = Dataset(Path(rows) if isinstance(rows, PathLike) else rows)
    if isinstance(rows, Dataset):
        known = rows.columns
        wanted = [f"{PREFIX}{each}" for each in variants if each != CAPTION]
        if missing := [name for name in wanted if name not in known]:
            made = [name.removeprefix(PREFIX) for name in known if name.startswith(PREFIX)]
            raise UsageError(
                f"there is no `variant` {missing[0].removeprefix(PREFIX)!r}; there is {', '.join(made) or 'none'}"
            )
        decided = [name for name in DECISION_COLUMNS if name in known]
        return rows.rows(where or None, columns=(*COLUMNS, *decided, *dict.fromkeys(wanted)))
    if where:
        raise UsageError("`where` chooses among the rows of a folder or file; choose among your own before")
    return rows


def _write(
    candidates: list[Candidate], to: Destination, preparation: Preparation, report: ExportReport
) -> None:
    """Writes the export into ``to.folder``, and reads it back."""
    written: Counter[tuple[str, str]] = Counter()
    groups = Groups()
    to.make_folders()
    if preparation.keep is not None:
        preparation.keep.mkdir(parents=True, exist_ok=True)
    to.layout.writer.write(
        _noted(_placed(candidates, to, preparation, report), written, groups, report), to.folder
    )
    if not report.exported:
        reasons = ", ".join(f"{number} {reason}" for reason, number in report.reasons.most_common())
        if not report.rows:
            raise UsageError("nothing to export: there are no rows, or none for which `where` holds")
        raise UsageError(f"nothing to export: of {report.rows} rows none passes ({reasons})")
    write_settings(to.layout, groups, to.folder, to.final)
    _check_written(to, written)
    report.left_out.sort(key=lambda row: (row.source_video, row.clip_id, row.reason))
    (to.folder / REPORT).write_text(json.dumps(asdict(report), indent=1) + "\n", encoding="utf-8")


def _placed(
    candidates: list[Candidate], to: Destination, preparation: Preparation, report: ExportReport
) -> Iterator[Pair]:
    """The candidates whose clips are where the trainer finds them; the others are noted in the report."""
    with tempfile.TemporaryDirectory(dir=to.folder, prefix=".") as scratch:
        stems: set[str] = set()
        for candidate, ready in prepared(candidates, preparation, Path(scratch), fetch=to.link == "copy"):
            try:
                if isinstance(ready, Unusable):
                    raise ready
                with placed(candidate, ready, to) as pair:
                    stem = Path(pair.path).stem
                    if to.layout.caches_by_stem and stem in stems:
                        raise Unusable(
                            "another clip has its name",
                            f"{to.layout.trainer} would mix them up: use `link=copy`",
                        )
                    stems.add(stem)
                    yield pair
                    for caption in candidate.others:
                        yield replace(pair, caption=caption)
            except Unusable as problem:
                report.leave_out(candidate.clip_id, candidate.source_video, problem)


def _noted(
    pairs: Iterable[Pair], written: Counter[tuple[str, str]], groups: Groups, report: ExportReport
) -> Iterator[Pair]:
    """The pairs, counted once they are written."""
    stems: set[str] = set()
    for pair in pairs:
        yield pair
        report.exported += pair.stem not in stems
        stems.add(pair.stem)
        written[pair.path, pair.caption] += 1
        groups.add(pair)
        report.formulas += pair.caption.startswith(("=", "+", "-", "@"))
        report.long_captions += count_words(pair.caption) > LONG_CAPTION_WORDS


def _check_written(to: Destination, written: Counter[tuple[str, str]]) -> None:
    """Reads everything back: the same captions for the same clips, each of which is there.

    Raises:
        UsageError: they differ.
    """
    for path, caption in to.layout.writer.read(to.folder):
        if not written[path, caption]:
            raise UsageError(
                f"{to.final}: the caption of {path} reads back differently; nothing was exported"
            )
        written[path, caption] -= 1
        if to.layout.clips is not None and not to.found(path).is_file():
            raise UsageError(f"{to.final}: the clip {path} is missing after writing; nothing was exported")
    if lost := next(written.elements(), None):
        raise UsageError(f"{to.final}: {lost[0]} does not read back; nothing was exported")
