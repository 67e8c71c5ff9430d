"""One export: rows in, a folder that a trainer reads out, checked by reading it back."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from framescribe.errors import UsageError
from framescribe.export.clips import placed
from framescribe.export.pair import Candidate, Format, Link, Pair, Unusable
from framescribe.export.places import Places
from framescribe.export.prepare import Preparation, prepared
from framescribe.export.report import LONG_CAPTION_WORDS, ExportReport
from framescribe.export.select import to_candidate
from framescribe.export.target import REPORT, new_target
from framescribe.quality.cleanup import CleanupRules
from framescribe.quality.duplicates import DuplicateFinder
from framescribe.quality.words import count_words


def export(
    rows: Iterable[Mapping[str, Any]],
    to: Format,
    target: Path,
    *,
    link: Link = "copy",
    rules: CleanupRules = CleanupRules(),
    accepted_flags: Collection[str] = (),
    min_frames: int = 1,
    sources: Collection[str] = (),
    preparation: Preparation = Preparation(),
    overwrite: bool = False,
) -> ExportReport:
    """Writes clips and captions into ``target`` as a trainer reads them, all of it or nothing.

    Pairs are in the order of their sources and spans: the same rows make the same files, byte for byte.

    Args:
        rows: columns by name; each clip once.
        to: the format.
        target: folder to make.
        link: ``copy``, ``symlink`` or ``hardlink`` the clips, or ``reference`` them where they are.
        rules: how captions are tidied.
        accepted_flags: flags that do not keep a caption out.
        min_frames: clips of fewer frames are left out, also where the trainer would take them.
        sources: folders, and beginnings of URLs that end in ``/``, from where alone clips are read. Empty: from every
            file of this machine, and every URL but those of web servers in private networks.
        preparation: how clips are made anew: spans of a longer video, and what the trainer could not read.
        overwrite: replace an earlier export; what others wrote into its folder stays.

    Returns:
        What was exported and what was left out.

    Raises:
        UsageError: the format cannot do that, the target is taken, no row passes, or what was written reads back
            differently.
        OSError: it cannot be written; nothing is left behind.
    """
    to = replace(to, reads=replace(to.reads, min_frames=max(min_frames, to.reads.min_frames)))
    final = target.resolve()
    _check(to, final, link)
    if preparation.first_frames and to.images is None:
        raise UsageError(f"{to.name} has no place for first frames; leave out `first_frames`")
    report = ExportReport(
        format=to.name,
        target=str(final),
        link=link,
        rules=rules,
        accepted_flags=sorted(accepted_flags),
        normalize=preparation.normalize,
    )
    candidates = _candidates(rows, Places(sources), report)
    with new_target(final, overwrite) as folder:
        written: Counter[tuple[str, str]] = Counter()
        if to.clips is not None:
            (folder / to.clips).mkdir(parents=True, exist_ok=True)
        pairs = _placed(candidates, to, folder, final, preparation, report)
        to.layout.write(_noted(pairs, written, report), folder, final)
        if not report.exported:
            reasons = ", ".join(f"{number} {reason}" for reason, number in report.reasons.most_common())
            raise UsageError(
                f"nothing to export: of {report.rows} rows none passes ({reasons or 'there is none'})"
            )
        _check_written(to, folder, final, written)
        report.left_out.sort(key=lambda row: (row.source_video, row.clip_id, row.reason))
        (folder / REPORT).write_text(json.dumps(asdict(report), indent=1) + "\n", encoding="utf-8")
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


def _candidates(rows: Iterable[Mapping[str, Any]], places: Places, report: ExportReport) -> list[Candidate]:
    """What the rows offer, sorted; the others are in the report."""
    found: dict[str, Candidate] = {}
    captions: dict[str, str] = {}
    for row in rows:
        report.rows += 1
        try:
            candidate = to_candidate(row, report.rules, report.accepted_flags)
            places.check(candidate.clip.source_video)
            if (other := found.setdefault(candidate.stem, candidate)) is not candidate:
                raise Unusable("the clip is there already", f"{other.clip.source_video} has the same id")
            captions[candidate.stem] = row["caption"]
        except Unusable as problem:
            report.leave_out(row["clip_id"], row["source_video"], problem)
    candidates = sorted(found.values(), key=_order)
    if "duplicate" in report.accepted_flags:
        return candidates
    return list(_distinct(candidates, captions, report))


def _distinct(
    candidates: Iterable[Candidate], captions: Mapping[str, str], report: ExportReport
) -> Iterator[Candidate]:
    """Those whose caption, as it was before any clean-up, does not nearly repeat that of one before."""
    finder = DuplicateFinder()
    for candidate in candidates:
        if (first := finder.add(candidate.clip_id, captions[candidate.stem])) is None:
            yield candidate
        else:
            problem = Unusable("flagged duplicate", f"nearly the caption of clip {first}")
            report.leave_out(candidate.clip_id, candidate.clip.source_video, problem)


def _order(candidate: Candidate) -> tuple[str, float, float, str]:
    clip = candidate.clip
    return clip.source_video, clip.start_s, float("inf") if clip.end_s is None else clip.end_s, candidate.stem


def _placed(
    candidates: list[Candidate],
    to: Format,
    folder: Path,
    final: Path,
    preparation: Preparation,
    report: ExportReport,
) -> Iterator[Pair]:
    with tempfile.TemporaryDirectory(dir=folder, prefix=".") as scratch:
        fetch = report.link == "copy"
        stems: set[str] = set()
        for candidate, ready in prepared(candidates, preparation, Path(scratch), fetch):
            try:
                if isinstance(ready, Unusable):
                    raise ready
                with placed(candidate, ready, to, folder, final, report.link) as pair:
                    stem = Path(pair.path).stem
                    if to.caches_by_stem and stem in stems:
                        raise Unusable(
                            "another clip has its name", f"{to.trainer} would mix them up: use `link=copy`"
                        )
                    stems.add(stem)
                    yield pair
            except Unusable as problem:
                report.leave_out(candidate.clip_id, candidate.clip.source_video, problem)


def _noted(pairs: Iterable[Pair], written: Counter[tuple[str, str]], report: ExportReport) -> Iterator[Pair]:
    for pair in pairs:
        yield pair
        written[pair.path, pair.caption] += 1
        report.exported += 1
        report.formulas += pair.caption.startswith(("=", "+", "-", "@"))
        report.long_captions += count_words(pair.caption) > LONG_CAPTION_WORDS


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
