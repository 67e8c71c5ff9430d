"""When each frame of a video is shown, what is missing of it, and what a span of it contains. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from framescribe.errors import ClipError
from framescribe.types import Clip

HELD_AFTER_S = 0.5
"""A span whose first frame begins later shows until then the picture that was held."""

_MOST_HELD = 10_000
"""At most so many seconds of a held picture are counted one by one, as a header may claim any length."""


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
        is_reliable: each packet has a timestamp of its own and shows a picture, and nothing is shown before the first
            keyframe.
        has_jumps: the stamps are not those of the file, whose clock starts anew within it.
        sizes: int64 [N], bytes of each packet.
        disposable_pts: int64 [D], timestamps of the frames that no other refers to, as far as that is known.
    """

    pts: NDArray[np.int64]
    durations: NDArray[np.int64]
    keyframe_pts: NDArray[np.int64]
    time_base_s: float
    average_fps: float
    promised_end_pts: int | None
    is_reliable: bool
    has_jumps: bool = False
    sizes: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    disposable_pts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def bytes_between(self, start_pts: float, end_pts: float) -> int:
        """Bytes of the packets whose frames are shown from ``start_pts`` until before ``end_pts``."""
        return int(self.sizes[(self.pts >= start_pts) & (self.pts < end_pts)].sum())

    @property
    def frame_units(self) -> int:
        """The length of an average frame, in units of ``time_base_s``."""
        return max(1, round(1 / self.average_fps / self.time_base_s))

    def timeline(self, pts: NDArray[np.int64], is_whole: bool = False) -> Timeline:
        """The timeline of the video when the frames ``pts`` (int64 [N], ascending, N >= 1) can be read.

        ``is_whole``: nothing failed when all of it was decoded. Then nothing that was read is missing, whatever the
        container announced: packets may be fields, and decoders may count time differently.
        """
        last = self.durations[self.pts == pts[-1]]
        end = int(pts[-1]) + (int(last[0]) if len(last) and last[0] > 0 else self.frame_units)
        if is_whole and len(self.pts) > 0:
            end = max(end, self._end)
        holes = [] if is_whole else self._unread(pts)
        promised = self.promised_end_pts
        if promised is not None and promised - end > 1.5 * self.frame_units:  # headers round the last frame
            holes = [*(hole for hole in holes if hole[1] <= end), (end, promised)]
        first = int(pts[0])
        return Timeline(
            timestamps_s=np.asarray((pts - first) * self.time_base_s, np.float64),
            end_s=(end - first) * self.time_base_s,
            holes_s=tuple(((a - first) * self.time_base_s, (b - first) * self.time_base_s) for a, b in holes),
        )

    @property
    def _end(self) -> int:
        return int(self.pts[-1]) + (int(self.durations[-1]) or self.frame_units)

    def _unread(self, pts: NDArray[np.int64]) -> list[tuple[int, int]]:
        """Stretches of frames that were announced and are not among ``pts``."""
        if not np.isin(pts, self.pts).all():
            return []  # decoder and container count time differently: nothing to compare
        unread = self.pts[~np.isin(self.pts, pts) & (self.pts > pts[0])]
        # What lies within the time of a frame that can be read is its second field.
        unread = unread[unread - pts[np.searchsorted(pts, unread) - 1] >= 0.7 * self.frame_units]
        if len(unread) == 0:
            return []
        until = np.append(pts, self._end)[np.searchsorted(pts, unread)]  # the next frame that can be read
        ends, firsts = np.unique(until, return_index=True)
        return list(zip(unread[firsts].tolist(), ends.tolist(), strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """The part of a video that one clip is.

    Attributes:
        numbers: int64 [N], ascending, the clip's frames, counted in the video; a picture that is held since before the
            clip comes once for each second of it.
        timestamps_s: float64 [N], seconds from the clip's start to each of them; N >= 1.
        duration_s: length of the clip, as far as it can be read.
        missing_s: seconds of the clip that cannot be read.
    """

    numbers: NDArray[np.int64]
    timestamps_s: NDArray[np.float64]
    duration_s: float
    missing_s: float

    @property
    def num_frames(self) -> int:
        """How many different frames the clip has."""
        return int(self.numbers[-1] - self.numbers[0]) + 1


def cut(timeline: Timeline, clip: Clip) -> Span:
    """The frames with ``clip.start_s <= t < clip.end_s``, and before them the picture that is shown at the start.

    Raises:
        ClipError: at stage ``sample``, when the span holds no frame that can be read.
    """
    end_s = math.inf if clip.end_s is None else clip.end_s
    first, stop = np.searchsorted(timeline.timestamps_s, [clip.start_s, end_s]).tolist()
    held_s = _held_s(timeline, clip.start_s, end_s, first, stop)
    if first == stop and len(held_s) == 0:
        span = f"from {clip.start_s:g} s" + ("" if clip.end_s is None else f" to {clip.end_s:g} s")
        raise ClipError(
            "sample",
            f"{clip.source_video}: no frame can be read {span}; what can be read of the video: "
            f"{len(timeline.timestamps_s)} frames over {timeline.end_s:g} s",
        )
    overlaps_s = (min(b, end_s) - max(a, clip.start_s) for a, b in timeline.holes_s)
    return Span(
        numbers=np.concatenate([np.full(len(held_s), first - 1), np.arange(first, stop)]).astype(np.int64),
        timestamps_s=np.concatenate([held_s, timeline.timestamps_s[first:stop] - clip.start_s]),
        duration_s=min(end_s, timeline.end_s) - clip.start_s,
        missing_s=sum((max(0.0, overlap_s) for overlap_s in overlaps_s), 0.0),
    )


def _held_s(timeline: Timeline, start_s: float, end_s: float, first: int, stop: int) -> NDArray[np.float64]:
    """The seconds of a span at which the frame before it, number ``first - 1``, is what is shown.

    None if a frame of its own is as near to the start as ``chat`` looks for one.
    """
    until_s = float(timeline.timestamps_s[first]) if first < stop else min(end_s, timeline.end_s)
    if first == 0 or start_s >= timeline.end_s or (first < stop and until_s - start_s <= HELD_AFTER_S):
        return np.empty(0)
    for hole_start_s, hole_end_s in timeline.holes_s:
        if hole_start_s <= start_s and hole_end_s > timeline.timestamps_s[first - 1]:
            return np.empty(0)  # what was shown at the start is lost
        if start_s < hole_start_s < until_s:
            until_s = hole_start_s
    return np.arange(min(_MOST_HELD, math.ceil(until_s - start_s - 1e-6)), dtype=np.float64)
