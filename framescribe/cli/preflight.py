"""What ``caption`` tells of its clips before the model loads."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from framescribe.shown import shown

if TYPE_CHECKING:
    from rich.console import Console

    from framescribe.dataset.store import RowFolder
    from framescribe.pipeline.preflight import Preflight

_UNREADABLE_SHOWN = 5


def print_preflight(
    report: Preflight, strategy: str, clips_per_s: float | None, folder: RowFolder | None, to: Console
) -> None:
    """Prints counts, hours, codecs, what cannot be read or will not be seen, and what is known of time and disk.

    Args:
        report: from ``look_at``.
        strategy: that the report's coverage is of.
        clips_per_s: measured earlier under the same settings on the same hardware; None if it never was.
        folder: where rows go; None if to no folder.
        to: where to print.
    """
    lines = [_counted(report)]
    if report.probed:
        lines += _found(report, strategy)
        lines.append(f"time: {_time(report.todo, clips_per_s)}")
        if folder is not None:
            lines.append(f"disk: {_disk(report.todo, folder)}")
    for line in lines:
        to.print(shown(line), markup=False)


def _counted(report: Preflight) -> str:
    again = report.named - report.clips
    repeated = f", {again:,} named again" if again else ""
    done = report.clips - report.todo - report.left_out
    left_out = f", {report.left_out:,} without a row, for a run without --redo" if report.left_out else ""
    clips = "clip" if report.clips == 1 else "clips"
    return f"{report.clips:,} {clips}{repeated}; {done:,} done, {report.todo:,} to caption{left_out}"


def _found(report: Preflight, strategy: str) -> list[str]:
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
            f"--strategy {strategy} stand for {report.covered_s / report.duration_s:.0%}"
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


def _disk(todo: int, folder: RowFolder) -> str:
    rows = folder.num_rows()
    if rows:
        per_row = folder.size_bytes() / rows
        needed = f"about {todo * per_row / 1e6:,.1f} MB at the {per_row:,.0f} bytes of the rows so far"
    else:
        needed = "unknown until the first rows are written"
    if not folder.is_local:
        return needed
    existing = next(parent for parent in [Path(folder.root), *Path(folder.root).parents] if parent.exists())
    return f"{needed}; {shutil.disk_usage(existing).free / 1e9:,.1f} GB free"
