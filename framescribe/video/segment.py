"""From a video to clips: all of it, fixed windows, or its scenes. They are spans; no file is written."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from framescribe.errors import ClipError, UsageError
from framescribe.types import Clip
from framescribe.video.decode import probe, read_frames
from framescribe.video.scenes import SCENE_PICTURE_SIDE, scene_steps

if TYPE_CHECKING:
    from framescribe.video.workers import DecodeWorkers

Cutting = Literal["whole", "window", "scenes"]


@dataclass(frozen=True, slots=True)
class SegmentRule:
    """How a video becomes clips.

    Attributes:
        cutting: ``whole`` cuts nowhere, ``window`` every ``window_s`` seconds, ``scenes`` where the picture changes.
        window_s: length of a window in seconds.
        min_length_s: shorter spans are left out (the rest after the last full window, flashes).
        max_length_s: longer spans are divided into equal parts; None allows any length.
    """

    cutting: Cutting = "whole"
    window_s: float | None = None
    min_length_s: float = 0.0
    max_length_s: float | None = None

    def __post_init__(self) -> None:
        if self.cutting not in get_args(Cutting):
            raise UsageError(f"unknown `segments` {self.cutting!r}; choose whole, window:SECONDS or scenes")
        if (self.cutting == "window") != (self.window_s is not None):
            raise UsageError("`segments`: a window needs its length, and nothing else takes one: window:10")
        for name, seconds in (("the window", self.window_s), ("`max_length_s`", self.max_length_s)):
            if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
                raise UsageError(f"{name} must be a number of seconds above 0, not {seconds}")
        if not (math.isfinite(self.min_length_s) and self.min_length_s >= 0):
            raise UsageError(f"`min_length_s` must be 0 s or more, not {self.min_length_s}")
        longest_s = min(self.window_s or math.inf, self.max_length_s or math.inf)
        if self.min_length_s > longest_s:
            raise UsageError(f"no span can have {self.min_length_s:g} s at least and {longest_s:g} s at most")

    @classmethod
    def parse(cls, text: str, min_length_s: float = 0.0, max_length_s: float | None = None) -> SegmentRule:
        """``whole``, ``window:SECONDS`` or ``scenes``.

        Raises:
            UsageError: it is none of these, or the lengths contradict each other.
        """
        cutting, mark, length = text.partition(":")
        window_s = None
        if mark:
            try:
                window_s = float(length)
            except ValueError:
                raise UsageError(f"the window's length must be a number of seconds, not {length!r}") from None
        return cls(cutting, window_s, min_length_s, max_length_s)  # type: ignore[arg-type]  # checked there

    @property
    def changes_nothing(self) -> bool:
        return self == SegmentRule()


def segment(clip: Clip, rule: SegmentRule, workers: DecodeWorkers) -> Iterator[Clip]:
    """The clips that a rule makes of a clip, in order; seconds count from the video's first frame.

    A clip that cannot be read is given back as it is: captioning it makes the row that says why. Where no span is
    long enough, there is none. Ids that the caller gave are numbered: ``k-0``, ``k-1``, ….
    """
    if rule.changes_nothing or clip.problem is not None:
        yield clip
        return
    try:
        found = workers.call(finding_spans, clip, rule)
    except ClipError:
        yield clip
        return
    for number, (start_s, end_s) in enumerate(found):
        given_id = None if clip.given_id is None else f"{clip.given_id}-{number}"
        yield dataclasses.replace(clip, start_s=start_s, end_s=end_s, given_id=given_id)


def finding_spans(clip: Clip, rule: SegmentRule) -> Generator[None, None, list[tuple[float, float]]]:
    """Finds the spans of the clips that a rule makes of a clip; yields as it goes on.

    Returns:
        Start and end of each, in seconds from the video's first frame.

    Raises:
        ClipError: it cannot be read.
    """
    start_s = clip.start_s
    end_s = start_s + probe(clip).facts.duration_s
    cuts_s = [start_s, end_s]
    if rule.window_s is not None:
        # A rest of less than a microsecond is rounding, not a window.
        count = math.ceil((end_s - start_s) / rule.window_s - 1e-6)
        cuts_s = [*(start_s + number * rule.window_s for number in range(count)), end_s]
    elif rule.cutting == "scenes":
        starts_s: list[float] = []
        for scene_start_s in scene_steps(read_frames(clip, SCENE_PICTURE_SIDE)):
            if scene_start_s is not None:
                starts_s.append(scene_start_s)
            yield
        cuts_s = [start_s, *starts_s, end_s]
    return [
        span
        for start, end in itertools.pairwise(cuts_s)
        for span in _divided(start, end, rule.max_length_s)
        if span[1] - span[0] >= rule.min_length_s - 1e-6
    ]


def _divided(start_s: float, end_s: float, max_length_s: float | None) -> Iterator[tuple[float, float]]:
    parts = 1 if max_length_s is None else math.ceil((end_s - start_s) / max_length_s - 1e-6)
    cuts_s = np.linspace(start_s, end_s, max(1, parts) + 1).tolist()
    return itertools.pairwise(cuts_s)
