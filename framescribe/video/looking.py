"""Frames as they are decoded to the pictures that scorers are given of a clip."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from av.codec.context import Flags2
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from framescribe.scores.pictures import (
    LARGE_SIDE,
    LOOKED_AT_S,
    MOST_LARGE,
    SMALL_PER_S,
    SMALL_SIDE,
    TINY_APART_S,
    TINY_FURTHEST_S,
    TINY_SIDE,
    ClipFacts,
    ClipPictures,
)
from framescribe.scores.scorer import Need, Scorer
from framescribe.types import VideoFacts
from framescribe.video.display import Pixels
from framescribe.video.sample import nearest_frames
from framescribe.video.timeline import Span


class Look:
    """Takes what scorers need of a clip as its frames come. ``plan`` begins, also anew.

    Args:
        scorers: that will be given the pictures.
    """

    def __init__(self, scorers: Iterable[Scorer]) -> None:
        self._needs: frozenset[Need] = frozenset(need for scorer in scorers for need in scorer.needs)

    def plan(self, span: Span, is_disposable_N: NDArray[np.bool_]) -> tuple[int, ...]:
        """Which frames of a span it needs, by their place in it.

        Args:
            span: the clip.
            is_disposable_N: of each frame of the video, whether no other refers to it.
        """
        times = span.timestamps_s
        until = max(1, int(np.searchsorted(times, LOOKED_AT_S)))
        self._looked_at_s = min(span.duration_s, LOOKED_AT_S)
        # A picture that is held since before the clip comes several times: its first place counts.
        numbers, places = np.unique(span.numbers[:until], return_index=True)
        tiny = _close_frames(times[places], is_disposable_N[numbers])
        halves = np.arange(math.floor(times[until - 1] * SMALL_PER_S) + 1) / SMALL_PER_S
        small = tiny[np.unique(nearest_frames(times[places[tiny]], halves))]
        if len(small) == 1 < len(places):
            small = tiny[[0, -1]]  # a clip shorter than a half second still moves
        large = small[np.unique(np.linspace(0, len(small) - 1, MOST_LARGE).round().astype(int))]
        wanted = {
            "small": small,
            "tiny": tiny,
            "large": large,
            "large_grey": large,
            "vectors": small,
        }
        self._times = {need: times[places[which]] for need, which in wanted.items()}
        self._numbers = {need: set(numbers[which].tolist()) for need, which in wanted.items()}
        self._vectors: list[NDArray[np.int32]] = []
        self._shrunk = {
            "small": _Shrunk(SMALL_SIDE, "rgb24", len(small)),
            "tiny": _Shrunk(TINY_SIDE, "gray", len(tiny)),
            "large": _Shrunk(LARGE_SIDE, "rgb24", len(large)),
            "large_grey": _Shrunk(LARGE_SIDE, "gray", len(large)),
        }
        self._coded_size = 0, 0
        needed = [places[which] for need, which in wanted.items() if need in self._needs]
        return tuple(np.unique(np.concatenate(needed)).tolist()) if needed else ()

    def set_up(self, stream: VideoStream) -> None:
        """Before a stream is decoded: asks its decoder for motion vectors if they are needed."""
        if "vectors" in self._needs:
            stream.codec_context.flags2 |= Flags2.export_mvs.value

    def take(self, number: int, frame: VideoFrame) -> None:
        """Frame ``number`` of the video has come; those before it have."""
        for need, shrunk in self._shrunk.items():
            if need in self._needs and number in self._numbers[need]:
                shrunk.take(frame)
        if "vectors" in self._needs and number in self._numbers["vectors"]:
            self._coded_size = frame.width, frame.height
            self._vectors.append(_vectors(frame))

    def pictures(self, facts: VideoFacts, video_bytes: int) -> ClipPictures:
        """All that was taken."""
        return ClipPictures(
            facts=ClipFacts(
                facts.width,
                facts.height,
                facts.fps,
                facts.duration_s,
                facts.num_frames,
                facts.codec,
                video_bytes,
            ),
            looked_at_s=self._looked_at_s,
            small_THW3=self._shrunk["small"].pictures,
            small_s=self._times["small"] if self._needs & {"small", "vectors"} else np.empty(0),
            tiny_NHW=self._shrunk["tiny"].pictures,
            tiny_s=self._times["tiny"] if "tiny" in self._needs else np.empty(0),
            large_KHW3=self._shrunk["large"].pictures,
            large_grey_KHW=self._shrunk["large_grey"].pictures,
            large_s=self._times["large"] if self._needs & {"large", "large_grey"} else np.empty(0),
            vectors=tuple(self._vectors),
            coded_size=self._coded_size,
        )


def _close_frames(times_N: NDArray[np.float64], is_disposable_N: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The first frame, the last, and in between as few as come within ``TINY_APART_S`` of each other.

    Of those that might come next the last one that others refer to is taken, as it is decoded for them anyway. Where
    there is none, the next one of these is, if it comes within ``TINY_FURTHEST_S``.
    """
    chosen = [0]
    near_N, far_N = (
        np.searchsorted(times_N, times_N + apart_s, "right") - 1
        for apart_s in (TINY_APART_S, TINY_FURTHEST_S)
    )
    while (here := chosen[-1]) < len(times_N) - 1:
        near = max(here + 1, int(near_N[here]))
        referred = here + 1 + np.flatnonzero(~is_disposable_N[here + 1 : int(far_N[here]) + 1])
        if len(close := referred[referred <= near]):
            chosen.append(int(close[-1]))
        else:
            chosen.append(int(referred[0]) if len(referred) else near)
    return np.array(chosen)


class _Shrunk:
    """Frames as upright pictures with at most ``side`` pixels on the longer side, all of the first one's size.

    Attributes:
        pictures: uint8 [count, H, W] if grey, else [count, H, W, 3]; of no pictures before the first one.
    """

    def __init__(self, side: int, pixel_format: str, count: int) -> None:
        self._side, self._format, self._count = side, pixel_format, count
        self.pictures: Pixels = np.empty((0, 0, 0) if pixel_format == "gray" else (0, 0, 0, 3), np.uint8)
        self._taken = 0
        self._size: tuple[int, int] | None = None
        self._quarter_turns = 0
        self._reformatter = VideoReformatter()

    def take(self, frame: VideoFrame) -> None:
        """The next picture."""
        if self._size is None:
            scale = min(1.0, self._side / max(frame.width, frame.height))
            self._size = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
            self._quarter_turns = round(frame.rotation / 90)
        shrunk = self._reformatter.reformat(
            frame, *self._size, self._format, interpolation=Interpolation.AREA, threads=1
        ).to_ndarray()
        upright = np.rot90(shrunk, self._quarter_turns)
        if self._taken == 0:
            self.pictures = np.empty((self._count, *upright.shape), np.uint8)
        self.pictures[self._taken] = upright
        self._taken += 1


def _vectors(frame: VideoFrame) -> NDArray[np.int32]:
    """int32 [M, 6] as ``ClipPictures.vectors``; movement in the order of time, whichever frame is referred to."""
    found = frame.side_data.get("MOTION_VECTORS")
    if found is None:
        return np.empty((0, 6), np.int32)
    told = found.to_ndarray()
    scale = np.maximum(told["motion_scale"].astype(np.int64), 1)
    sign = np.where(told["source"] < 0, -1, 1)
    moved = [sign * told[name].astype(np.int64) * 4 // scale for name in ("motion_x", "motion_y")]
    columns = [told["dst_x"], told["dst_y"], told["w"], told["h"], *moved]
    return np.stack([column.astype(np.int32) for column in columns], axis=1)
