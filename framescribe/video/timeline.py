"""When each frame of a video is shown, what is missing of it, and what a span of it contains. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from framescribe.errors import ClipError
from framescribe.types import Clip


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """The frames of a whole video that can be read.

    Attributes:
        timestamps_s: float64 [N], ascending, seconds from the first frame; N >= 1.
        end_s: when the last of them is over.
        holes_s: stretches (start, end) that the file promises and that cannot be read.
    """

    timestamps_s: NDArray[np.float64]
    end_s: float
    holes_s: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class PacketIndex:
    """What a container says of its video stream, before anything is decoded.

    Attributes:
        pts: int64 [N], ascending, timestamps of the packets that show a frame, in units of ``time_base_s``.
        durations: int64 [N], in the same units; 0 where unknown.
        keyframe_pts: int64 [K], ascending: where decoding can start.
        time_base_s: seconds per unit.
        average_fps: frames per second as the container states them.
        promised_end_pts: where the header says that the video ends; None if it does not say.
        is_reliable: each packet has a timestamp of its own, and nothing is shown before the first keyframe.
    """

    pts: NDArray[np.int64]
    durations: NDArray[np.int64]
    keyframe_pts: NDArray[np.int64]
    time_base_s: float
    average_fps: float
    promised_end_pts: int | None
    is_reliable: bool

    @property
    def frame_units(self) -> int:
        """The length of an average frame, in units of ``time_base_s``."""
        return max(1, round(1 / self.average_fps / self.time_base_s))

    def timeline(self, pts: NDArray[np.int64]) -> Timeline:
        """The timeline of the video when the frames ``pts`` (int64 [N], ascending, N >= 1) can be read."""
        last = self.durations[self.pts == pts[-1]]
        end = int(pts[-1]) + (int(last[0]) if len(last) and last[0] > 0 else self.frame_units)
        holes = self._unread(pts)
        promised = self.promised_end_pts
        if promised is not None and promised - end > 1.5 * self.frame_units:  # headers round the last frame
            holes = [*(hole for hole in holes if hole[1] <= end), (end, promised)]
        first = int(pts[0])
        return Timeline(
            timestamps_s=np.asarray((pts - first) * self.time_base_s, np.float64),
            end_s=(end - first) * self.time_base_s,
            holes_s=tuple(((a - first) * self.time_base_s, (b - first) * self.time_base_s) for a, b in holes),
        )

    def _unread(self, pts: NDArray[np.int64]) -> list[tuple[int, int]]:
        """Stretches of frames that were announced and are not among ``pts``."""
        if not np.isin(pts, self.pts).all():
            return []  # decoder and container count time differently: nothing to compare
        unread = self.pts[~np.isin(self.pts, pts) & (self.pts > pts[0])]
        if len(unread) == 0:
            return []
        index_end = self.pts[-1] + (self.durations[-1] or self.frame_units)
        until = np.append(pts, index_end)[np.searchsorted(pts, unread)]  # the next frame that can be read
        ends, firsts = np.unique(until, return_index=True)
        return list(zip(unread[firsts].tolist(), ends.tolist(), strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """The part of a video that one clip is.

    Attributes:
        first: index in the video of the clip's first frame.
        timestamps_s: float64 [N], seconds from the clip's start to each of its frames; N >= 1.
        duration_s: of the clip, as far as it can be read.
        missing_s: seconds of the clip that cannot be read.
    """

    first: int
    timestamps_s: NDArray[np.float64]
    duration_s: float
    missing_s: float


def cut(timeline: Timeline, clip: Clip) -> Span:
    """The frames with ``clip.start_s <= t < clip.end_s``.

    Raises:
        ClipError: at stage ``sample``, when the span holds no frame that can be read.
    """
    end_s = math.inf if clip.end_s is None else clip.end_s
    first, stop = np.searchsorted(timeline.timestamps_s, [clip.start_s, end_s]).tolist()
    if first == stop:
        span = f"from {clip.start_s:g} s" + ("" if clip.end_s is None else f" to {clip.end_s:g} s")
        raise ClipError(
            "sample",
            f"{clip.source_video}: no frame can be read {span}; what can be read of the video: "
            f"{len(timeline.timestamps_s)} frames over {timeline.end_s:g} s",
        )
    overlaps_s = (min(b, end_s) - max(a, clip.start_s) for a, b in timeline.holes_s)
    return Span(
        first=first,
        timestamps_s=timeline.timestamps_s[first:stop] - clip.start_s,
        duration_s=min(end_s, timeline.end_s) - clip.start_s,
        missing_s=sum((max(0.0, overlap_s) for overlap_s in overlaps_s), 0.0),
    )
