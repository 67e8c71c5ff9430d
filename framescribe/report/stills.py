"""What a clip shows, as a strip of a few small pictures inside the page."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from framescribe.errors import ClipError, UsageError
from framescribe.report.overview import Row
from framescribe.types import Clip
from framescribe.video.cpus import usable_cpus
from framescribe.video.preview import strip
from framescribe.video.workers import DecodeWorkers

STILLS, SIZE_PX = 4, (280, 280)
TIMEOUT_S = 30.0

Stills = Callable[[Row], str]


def stills_of(rows: Iterable[Row], progress: Callable[[], None]) -> Stills:
    """Decodes stills of clips, in worker processes with a time-out.

    Args:
        rows: of the clips.
        progress: called after each.

    Returns:
        What gives a row's stills side by side, in the order of time, as a ``data:`` URI; it raises ClipError, with the
        reason, where there are none.
    """
    found: dict[str, Future[str]] = {}
    with DecodeWorkers([], TIMEOUT_S) as workers, ThreadPoolExecutor(usable_cpus()) as pool:
        for row in rows:
            future = found[str(row["clip_id"])] = pool.submit(_stills, row, workers)
            future.add_done_callback(lambda _: progress())
    return lambda row: found[str(row["clip_id"])].result()


def _stills(row: Row, workers: DecodeWorkers) -> str:
    jpeg = workers.call(encoded_stills, _seen(row))
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _seen(row: Row) -> Clip:
    """The part of a row's clip that its frames stand for."""
    start_s, end_s, covered_s = row.get("start_s") or 0.0, row.get("end_s"), row.get("covered_s")
    if covered_s and (end_s is None or start_s + covered_s < end_s):
        end_s = start_s + covered_s
    try:
        return Clip(row["source_video"], start_s, end_s)
    except UsageError as error:  # a stranger's row, whose span is none
        raise ClipError("open", str(error)) from error


def encoded_stills(clip: Clip) -> bytes:
    """The JPEG of up to ``STILLS`` frames, evenly over the clip. Called in a worker.

    Raises:
        ClipError: there is no picture to be had; why.
    """
    return strip(clip, STILLS, SIZE_PX, is_padded=False)


def short_reason(error: ClipError) -> str:
    """Why there are no stills, in a few words."""
    if "No such file" in str(error):
        return "file not found"
    return f"no picture: cannot be {'opened' if error.stage == 'open' else 'decoded'}"
