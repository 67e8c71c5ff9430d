"""Scores to histograms: bins of round widths, an axis that outliers do not stretch, and thresholds on it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from framescribe.report.charts import Bar

_BINS = 30


@dataclass(frozen=True, slots=True)
class Spread:
    """How a score's values lie.

    Attributes:
        least, most: of all.
        low, high: what all but 1 % at either end lie between.
    """

    least: float
    most: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Scale:
    """Bins of one width, numbered from zero at 0: bin ``n`` begins at ``n * width``.

    Attributes:
        width: of a bin.
        first, last: the bins that are drawn; what lies beyond them shares a bar at either end.
    """

    width: float
    first: int
    last: int

    @classmethod
    def of(cls, spread: Spread, marks: Sequence[float] = ()) -> Scale:
        """The scale that shows most values, and those marks that are not far from all of them."""
        low, high = spread.low, spread.high
        span = (high - low) or abs(high) or 1.0
        near = [mark for mark in marks if low - span <= mark <= high + span]
        low, high = min([low, *near]), max([high, *near])
        # What is hardly further away than the rest needs no bar of its own.
        low = min(low, spread.least) if spread.least >= low - 0.15 * span else low
        high = max(high, spread.most) if spread.most <= high + 0.15 * span else high
        width = round_width(((high - low) or span) / _BINS)
        first, last = math.floor(low / width), math.floor(high / width)
        # A line needs room on both sides; behind the last bin's start there is some.
        first -= any(mark <= first * width for mark in near)
        return cls(width, first, last)

    def bars(self, counts: Mapping[int, int]) -> list[Bar]:
        """The bars of clips by the number of their bin, any number among them."""
        bars = [
            self._bar(number, number * self.width, counts.get(number, 0))
            for number in range(self.first, self.last + 1)
        ]
        below = sum(count for number, count in counts.items() if number < self.first)
        above = sum(count for number, count in counts.items() if number > self.last)
        rest = max(1, (self.last - self.first) // 12) * self.width
        if below:
            end = bars[0].start
            bars.insert(0, Bar(end - rest, end, below, f"below {written(end)}: {below:,}", is_rest=True))
        if above:
            start = bars[-1].end
            bars.append(Bar(start, start + rest, above, f"from {written(start)}: {above:,}", is_rest=True))
        return bars

    def _bar(self, number: int, start: float, count: int) -> Bar:
        end = (number + 1) * self.width
        return Bar(start, end, count, f"{written(start)} to {written(end)}: {count:,}")

    def ticks(self, bars: Sequence[Bar], count: int = 5) -> list[tuple[float, str]]:
        """Round numbers along the axis, as far as bars that hold a rest leave them room."""
        low, high = bars[0].start, bars[-1].end
        step = round_width((high - low) / count)
        places = [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]
        room = 0.18 * (high - low)
        ticks: list[tuple[float, str]] = []
        if bars[0].is_rest:
            ticks.append((low, f"< {written(bars[0].end)}"))
            places = [place for place in places if place > low + room]
        if bars[-1].is_rest:
            places = [place for place in places if place < high - room]
        ticks += [(place, written(place)) for place in places]
        return [*ticks, (high, f"≥ {written(bars[-1].start)}")] if bars[-1].is_rest else ticks


def round_width(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not below ``least``, which is above 0."""
    power = 10.0 ** math.floor(math.log10(least))
    return next((step * power for step in (1, 2, 5) if step * power >= least * (1 - 1e-9)), 10 * power)


def written(number: float) -> str:
    """A number as an axis has it: up to four digits that count, no trailing zeros."""
    if abs(number) >= 1000:
        return f"{number:,.0f}"
    return f"{number + 0.0:.4g}"
