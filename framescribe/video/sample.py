"""Timestamps and a strategy in, frame indices out. Pure: no video is opened here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framescribe.errors import UsageError
from framescribe.types import FrameSampling

BASE_WINDOW_S = 60.0


@dataclass(frozen=True, slots=True)
class Selection:
    """Frames chosen from a clip.

    Attributes:
        indices: the chosen frames' numbers, in presentation order; ``chat`` and ``base`` may repeat one.
        covered_s: seconds of the clip, from its start, that the frames stand for; never more than the clip has.
        also: other frames that are read, ascending.
    """

    indices: tuple[int, ...]
    covered_s: float
    also: tuple[int, ...] = ()


def select_frames(
    timestamps_s: NDArray[np.float64], average_fps: float, duration_s: float, sampling: FrameSampling
) -> Selection:
    """Choose the frames that the model sees.

    Args:
        timestamps_s: float64 [N], ascending, seconds from the clip's start to each of its frames; N >= 1.
        average_fps: frames per second as the container states them (only ``base`` uses them, as published).
        duration_s: length of the clip in seconds.
        sampling: strategy and number of frames.

    Raises:
        UsageError: there are no timestamps.

    Source: ``chat`` and ``base`` are those of the published CogVLM2-Caption script; ``uniform`` is ours.
    """
    if len(timestamps_s) == 0:
        raise UsageError("cannot choose frames from a clip without frames")
    match sampling.strategy:
        case "chat":
            indices, end_s = _nearest_to_a_rate(timestamps_s, sampling.fps, sampling.num_frames)
        case "base":
            indices, end_s = _even_over_first_minute(len(timestamps_s), average_fps, sampling.num_frames)
        case "uniform":
            indices, end_s = _even_over_all(timestamps_s, sampling.num_frames), duration_s
    return Selection(tuple(indices.tolist()), min(duration_s, end_s))


def _nearest_to_a_rate(
    timestamps_s: NDArray[np.float64], fps: float, num_frames: int
) -> tuple[NDArray[np.int64], float]:
    # The published script sees decord's timestamps, which are float32: ties between two frames depend on it.
    times = timestamps_s.astype(np.float32)
    count = min(round(float(times[-1]) * fps) + 1, num_frames)
    nearest = nearest_frames(times, np.arange(count, dtype=np.float32) / np.float32(fps))
    # Of frames with one timestamp the script finds the first.
    return np.searchsorted(times, times[nearest]), count / fps


def nearest_frames(times: NDArray[Any], wanted: NDArray[Any]) -> NDArray[np.int64]:
    """The number of the frame nearest to each wanted time, the earlier of two that are as near.

    Args:
        times: float [N], ascending: of the frames; N >= 1.
        wanted: float [M] of the same type.
    """
    after = np.searchsorted(times, wanted).clip(max=len(times) - 1)
    before = np.maximum(after - 1, 0)
    return np.where(wanted - times[before] <= np.abs(times[after] - wanted), before, after)


def _even_over_first_minute(
    total: int, average_fps: float, num_frames: int
) -> tuple[NDArray[np.int64], float]:
    end = max(1, min(total, int(BASE_WINDOW_S * average_fps)))
    return np.linspace(0, end - 1, num_frames, dtype=np.int64), BASE_WINDOW_S


def _even_over_all(timestamps_s: NDArray[np.float64], num_frames: int) -> NDArray[np.int64]:
    total = len(timestamps_s)
    count = min(total, num_frames)
    targets = np.linspace(timestamps_s[0], timestamps_s[-1], count)
    after = np.searchsorted(timestamps_s, targets).clip(max=total - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(targets - timestamps_s[before] <= timestamps_s[after] - targets, before, after)
    # Where frames are sparse two targets share one: move the later one on, then keep within the clip.
    steps = np.arange(count)
    return np.minimum(np.maximum.accumulate(nearest - steps) + steps, total - count + steps)
