"""What ``caption`` prints of a run: what it found, captions, problems, a bar, and a summary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from framescribe.cli.command import as_flags
from framescribe.cli.console import are_one_terminal, err, loading_bar, out, print_caption
from framescribe.pipeline.observer import Loaded, RunSummary
from framescribe.pipeline.progress import ProgressBar
from framescribe.shown import shown

if TYPE_CHECKING:
    from framescribe.caption_row import CaptionRow
    from framescribe.model_spec import ModelSpec
    from framescribe.pipeline.preflight import Preflight

_UNREADABLE_SHOWN = 5


class Terminal(ProgressBar):
    """Results on stdout, all else on stderr.

    Args:
        prints_captions: whether captions are the results.
        is_quiet: print errors and the summary only, beside captions.
        is_dry_run: the report of what was found is the result.
    """

    def __init__(
        self, *, prints_captions: bool = False, is_quiet: bool = False, is_dry_run: bool = False
    ) -> None:
        super().__init__(prints_captions=prints_captions, console=err, redirect_stdout=are_one_terminal())
        self._is_quiet, self._is_dry_run = is_quiet, is_dry_run

    def found(self, report: Preflight) -> None:
        if self._is_dry_run or not self._is_quiet:
            for line in preflight_lines(report):
                (out if self._is_dry_run else err).print(shown(line), markup=False)

    @contextmanager
    def loading(self, model: ModelSpec) -> Iterator[Loaded | None]:
        if self._is_quiet:
            yield None
            return
        with loading_bar(model) as loaded:
            yield loaded

    @contextmanager
    def captioning(self, total: int, longest_in_progress: Callable[[], int] | None) -> Iterator[None]:
        if self._is_quiet:
            yield
            return
        with super().captioning(total, longest_in_progress):
            yield

    def print_caption(self, row: CaptionRow) -> None:
        print_caption(row)

    def row(self, row: CaptionRow) -> None:
        if not self._is_quiet or row.caption_status == "error":
            super().row(row)
        elif self.prints_captions:
            print_caption(row)

    def finished(self, summary: RunSummary) -> None:
        err.print(as_flags(str(summary)), markup=False)


def preflight_lines(report: Preflight) -> list[str]:
    """Counts, hours, codecs, what cannot be read or will not be seen, and what is known of time and disk."""
    lines = [_counted(report)]
    if report.probed:
        lines += _found(report)
        lines.append(f"time: {_time(report.todo, report.clips_per_s)}")
        if report.has_folder:
            lines.append(f"disk: {_disk(report)}")
    return lines


def _counted(report: Preflight) -> str:
    repeated = f", {report.repeated:,} named again" if report.repeated else ""
    done = report.clips - report.todo - report.left_out - report.beyond_limit
    left_out = f", {report.left_out:,} without a row, for a run without --redo" if report.left_out else ""
    left_out += f", {report.beyond_limit:,} beyond --limit" if report.beyond_limit else ""
    left_out += f"; --where leaves out {report.failed_condition:,}" if report.failed_condition else ""
    left_out += f"; {report.unscored:,} have no scores" if report.unscored else ""
    clips = "clip" if report.clips == 1 else "clips"
    return f"{report.clips:,} {clips}{repeated}; {done:,} done, {report.todo:,} to caption{left_out}"


def _found(report: Preflight) -> list[str]:
    sample = f"a random sample of {report.probed:,}: " if report.is_sample else ""
    readable = report.codecs.total()
    codecs = ", ".join(f"{number:,} {codec}" for codec, number in report.codecs.most_common()) or "none"
    share = f" ({len(report.unreadable) / report.probed:.1%})" if report.unreadable else ""
    lines = [
        f"{sample}{readable:,} readable ({codecs}), {len(report.unreadable):,} not{share}",
        *(f"  unreadable: {reason}" for reason in report.unreadable[:_UNREADABLE_SHOWN]),
    ]
    if (more := len(report.unreadable) - _UNREADABLE_SHOWN) > 0:
        lines.append(f"  and {more:,} more")
    if report.duration_s > 0:
        about = "about " if report.is_sample else ""
        lines.append(
            f"{about}{_spelled(report.estimated_duration_s)} of video, of which the frames of "
            f"--strategy {report.strategy} stand for {report.covered_s / report.duration_s:.0%}"
        )
    if report.missing_s > 0:
        lines.append(f"damaged: {report.missing_s:.1f} s that the files promise cannot be read")
    return lines


def _spelled(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def _time(todo: int, clips_per_s: float | None) -> str:
    if clips_per_s is None:
        return "unknown until the first clips are done (no earlier run with these settings on this hardware)"
    seconds = todo / clips_per_s
    return f"about {_spelled(seconds)} at the {clips_per_s:.2f} clips/s measured here earlier"


def _disk(report: Preflight) -> str:
    if report.bytes_per_row:
        needed = (
            f"about {report.rows * report.bytes_per_row / 1e6:,.1f} MB at the {report.bytes_per_row:,.0f} bytes of the "
            "rows so far"
        )
    else:
        needed = "unknown until the first rows are written"
    return needed if report.free_bytes is None else f"{needed}; {report.free_bytes / 1e9:,.1f} GB free"
