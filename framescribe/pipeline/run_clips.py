"""The clips of a run, found anew on each pass: they may be too many for a list."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import chain, groupby
from os import fspath
from pathlib import Path

from framescribe.distinct import Distinct
from framescribe.pipeline.clip_choice import ClipChoice
from framescribe.pipeline.given import Source, as_clip
from framescribe.pipeline.sources import expand_sources
from framescribe.pipeline.wanted import ScoreCondition
from framescribe.types import Clip


class RunClips:
    """Different clips that a run's sources name, divided, drawn and shared out as it says.

    Args:
        run: says which.
        parts: the clips that a video is divided into; called again on each pass, and remembered.
        skip: clips that the run is not about.
        condition: on scores, for clips to be among those that are drawn and shared out; None takes all.

    Attributes:
        repeated: how many clips of the last pass were named again.
        condition: counts the clips of the last pass that it leaves out.
    """

    def __init__(
        self,
        run: ClipChoice,
        parts: Callable[[Clip], Iterable[Clip]],
        skip: Callable[[Clip], bool] = lambda clip: False,
        condition: ScoreCondition | None = None,
    ) -> None:
        self._run = run
        self._parts = cache(lambda clip: tuple(parts(clip)))
        self._divides = not run.segment_rule.changes_nothing
        self._skip = skip
        self.condition = condition
        self._highest_drawn: int | None = None
        self.repeated = 0

    def named(self) -> Iterator[Clip]:
        """Every clip that is named, as often as it is, whole."""
        for is_name, group in groupby(self._run.sources, lambda source: isinstance(source, str | Path)):
            if is_name:
                yield from expand_sources(map(_name, group), self._run.start_s, self._run.end_s)
            else:
                yield from map(as_clip, group)

    def __iter__(self) -> Iterator[Clip]:
        """The run's clips, each once."""
        return filter(self._is_wanted, self._different())

    def _different(self) -> Iterator[Clip]:
        found = 0

        def counted() -> Iterator[Clip]:
            nonlocal found
            named = self.named()
            for clip in chain.from_iterable(map(self._parts, named)) if self._divides else named:
                found += 1
                yield clip

        clips = Distinct(counted())
        if self.condition is None:
            yield from clips
        else:
            self.condition.begin()
            yield from filter(self.condition, clips)
        self.repeated = found - (clips.count or 0)

    def _is_wanted(self, clip: Clip) -> bool:
        run = self._run
        if run.sample is not None and self._draw(clip) > self._limit(run.sample):
            return False
        if run.shard is not None:
            part, parts = run.shard
            if _number("shard", clip.id) % parts != part - 1:
                return False
        return not self._skip(clip)

    def _draw(self, clip: Clip) -> int:
        return _number(f"sample {self._run.seed}", clip.id)

    def _limit(self, sample: int) -> int:
        """The highest number that is drawn: the draw depends on seed and ids, whatever the order of the clips."""
        if self._highest_drawn is None:
            lowest = heapq.nsmallest(sample, map(self._draw, self._different()))
            self._highest_drawn = lowest[-1] if lowest else 0
        return self._highest_drawn


def _number(purpose: str, clip_id: str) -> int:
    """A number that any machine makes of an id, the same for the same purpose."""
    digest = hashlib.sha256(f"{purpose}\0{clip_id}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big")


def _name(source: Source) -> str:
    return fspath(source)  # type: ignore[arg-type]  # names only
