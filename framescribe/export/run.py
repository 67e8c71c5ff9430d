"""One export: rows in, a folder that a trainer reads out, checked by reading it back."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from framescribe import __version__
from framescribe.errors import UsageError
from framescribe.export.clips import placed
from framescribe.export.pair import Format, Link, Unusable
from framescribe.export.prepare import Preparation
from framescribe.export.select import to_candidate
from framescribe.quality.budget import T5_TOKENS, count_words
from framescribe.quality.cleanup import CleanupRules

REPORT = "export_report.json"
LONG_CAPTION_WORDS = T5_TOKENS * 3 // 4
"""About as many English words as CogVideoX's text encoder takes: a token is three quarters of a word."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that is not in the export, and why."""

    clip_id: str
    source_video: str
    reason: str
    detail: str


@dataclass(slots=True, kw_only=True)
class ExportReport:
    """What an export holds and what it does not: ``export_report.json``.

    Attributes:
        format, target, link, rules, accepted_flags: what was asked for.
        framescribe, created_at: who made it and when, UTC.
        rows, exported: rows read, and clips that are in the export.
        long_captions: exported captions of more than ``LONG_CAPTION_WORDS`` words.
        left_out: the others.
    """

    format: str
    target: str
    link: Link
    rules: CleanupRules
    accepted_flags: list[str]
    framescribe: str = __version__
    created_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    rows: int = 0
    exported: int = 0
    long_captions: int = 0
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def reasons(self) -> Counter[str]:
        """How many rows each reason keeps out."""
        return Counter(each.reason for each in self.left_out)


def export(
    rows: Iterable[Mapping[str, Any]],
    to: Format,
    target: Path,
    *,
    link: Link = "copy",
    rules: CleanupRules = CleanupRules(),
    accepted_flags: Collection[str] = (),
    preparation: Preparation = Preparation(),
    overwrite: bool = False,
) -> ExportReport:
    """Writes clips and captions into ``target`` as a trainer reads them, all of it or nothing.

    Args:
        rows: columns by name; each clip once.
        to: the format.
        target: folder to make.
        link: ``copy``, ``symlink`` or ``hardlink`` the clips, or ``reference`` them where they are.
        rules: how captions are tidied.
        accepted_flags: flags that do not keep a caption out.
        preparation: how clips are made anew: spans of a longer video, and what the trainer could not read.
        overwrite: replace an earlier export.

    Returns:
        What was exported and what was left out.

    Raises:
        UsageError: the format cannot do that, the target is taken, no row passes, or what was written reads back
            differently.
        OSError: it cannot be written; nothing is left behind.
    """
    final = Path(target.parent.resolve(), target.name)
    partial = final.with_name(f"{final.name}.partial")
    replaced = final.with_name(f"{final.name}.replaced")
    _check(to, final, link)
    _check_free(final, partial, overwrite)
    report = ExportReport(
        format=to.name, target=str(final), link=link, rules=rules, accepted_flags=sorted(accepted_flags)
    )
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        _write(rows, to, partial, final, preparation, report)
        (partial / REPORT).write_text(json.dumps(asdict(report), indent=1) + "\n", encoding="utf-8")
        if final.exists():
            shutil.rmtree(replaced, ignore_errors=True)
            final.rename(replaced)
        partial.rename(final)
        shutil.rmtree(replaced, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return report


def _check(to: Format, final: Path, link: Link) -> None:
    if link == "reference" and not to.may_reference:
        raise UsageError(
            f"{to.name} needs the clips under names of its own: use `link` copy, symlink or hardlink"
        )
    if link != "copy" and to.clips is None:
        raise UsageError(f"{to.name} packs the clips into tar files: `link={link}` means nothing there")
    for word in to.forbidden_in_target:
        if word in str(final):
            raise UsageError(
                f"{final}: {to.trainer} replaces {word!r} wherever it stands in a path; choose another target"
            )


def _check_free(final: Path, partial: Path, overwrite: bool) -> None:
    if final.exists() and not (final / REPORT).is_file():
        raise UsageError(f"{final} exists and is no export; choose another `target`")
    for existing in (final, partial):
        if existing.exists() and not overwrite:
            raise UsageError(
                f"{existing} exists; choose another `target`, or replace it with `overwrite=True`"
            )


def _write(
    rows: Iterable[Mapping[str, Any]],
    to: Format,
    folder: Path,
    final: Path,
    preparation: Preparation,
    report: ExportReport,
) -> None:
    if to.clips is not None:
        (folder / to.clips).mkdir(parents=True, exist_ok=True)
    written: Counter[tuple[str, str]] = Counter()

    def pairs() -> Iterator[Any]:
        stems: set[str] = set()
        for row in rows:
            report.rows += 1
            try:
                candidate = to_candidate(row, report.rules, report.accepted_flags)
                if candidate.stem in stems:
                    raise Unusable("the clip is there already")
                stems.add(candidate.stem)
                with placed(candidate, to, folder, final, report.link, preparation) as ready:
                    yield ready
            except Unusable as problem:
                report.left_out.append(
                    LeftOut(row["clip_id"], row["source_video"], problem.reason, str(problem))
                )
                continue
            written[ready.path, ready.caption] += 1
            report.exported += 1
            report.long_captions += count_words(ready.caption) > LONG_CAPTION_WORDS

    to.layout.write(pairs(), folder, final)
    if not report.exported:
        reasons = ", ".join(f"{number} {reason}" for reason, number in report.reasons.most_common())
        raise UsageError(
            f"nothing to export: of {report.rows} rows none passes ({reasons or 'there is none'})"
        )
    _check_written(to, folder, final, written)


def _check_written(to: Format, folder: Path, final: Path, written: Counter[tuple[str, str]]) -> None:
    """Reads everything back: the same captions for the same clips, each of which is there.

    Raises:
        UsageError: they differ.
    """
    for path, caption in to.layout.read(folder):
        if not written[path, caption]:
            raise UsageError(f"{final}: the caption of {path} reads back differently; nothing was exported")
        written[path, caption] -= 1
        if to.clips is None:
            continue
        clip = Path(folder, to.base, path)
        if clip.is_relative_to(final):
            clip = folder / clip.relative_to(final)
        if not clip.is_file():
            raise UsageError(f"{final}: the clip {path} is missing after writing; nothing was exported")
    if lost := next(written.elements(), None):
        raise UsageError(f"{final}: {lost[0]} does not read back; nothing was exported")
