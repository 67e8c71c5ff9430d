"""Counts to what a histogram draws: columns, labels and lines in the units of its picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

Anchor = Literal["start", "middle", "end"]


@dataclass(frozen=True, slots=True)
class Bar:
    """``value`` rows between two places of the axis; ``label`` is shown under the pointer.

    The last one may hold all that lies beyond it: ``is_rest``. Rows of it that a threshold drops: ``is_dropped``.
    """

    start: float
    end: float
    value: float
    label: str
    is_rest: bool = False
    is_dropped: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A bar as it is drawn, ``gap`` narrower on both sides than the space in which the pointer finds it."""

    left: float
    width: float
    height: float
    gap: float
    label: str
    is_rest: bool
    is_dropped: bool


@dataclass(frozen=True, slots=True)
class Label:
    """Text in a picture; ``anchor`` is the part of it that stands at ``x``, so that none leaves the picture."""

    x: float
    y: float
    text: str
    anchor: Anchor


class Histogram:
    """Bars side by side, with the tallest one's value above it.

    Attributes:
        columns: the bars, drawn.
        lines: dashed lines through the picture, with what they mean.
        labels: the axis' ticks and the tallest bar's value.

    Args:
        bars: in order, each beginning where the one before ends.
        ticks: places on the axis and what stands there.
        marks: places of lines; those outside are left out.
    """

    width, height, floor = 360, 160, 138

    def __init__(
        self,
        bars: Sequence[Bar],
        ticks: Sequence[tuple[float, str]],
        marks: Sequence[tuple[float, str]] = (),
    ) -> None:
        self._low, self._high = bars[0].start, bars[-1].end
        peak = max(bars, key=lambda bar: bar.value)
        inside = [(place, text) for place, text in marks if self._low < place < self._high]
        self.top = 30 if len(inside) < 2 else 42  # below the lines' texts
        self.columns = [self._column(bar, peak.value or 1) for bar in bars]
        self.lines = [self._line(place, text, number) for number, (place, text) in enumerate(inside)]
        most = f"{peak.value:,.0f}" if peak.value >= 1000 else f"{peak.value:.4g}"
        self.labels = [self._label((peak.start + peak.end) / 2, self.top - 5, most)]
        self.labels += [self._label(place, self.height - 5, text) for place, text in ticks]

    def _x(self, place: float) -> float:
        return round((place - self._low) / (self._high - self._low) * self.width, 1)

    def _column(self, bar: Bar, tallest: float) -> Column:
        height = bar.value / tallest * (self.floor - self.top)
        left, right = self._x(bar.start), self._x(bar.end)
        width = round(right - left, 1)
        # What is not nothing can be seen.
        seen = round(max(height, 1.5) if bar.value else 0, 1)
        gap = min(1.5, width / 6)
        return Column(left, width, seen, gap, bar.label, bar.is_rest, bar.is_dropped)

    def _line(self, place: float, text: str, number: int) -> Label:
        x = self._x(place)
        # Every other text is lower, as two may stand close to each other.
        return Label(x, 11 + 12 * (number % 2), text, "end" if x > self.width / 2 else "start")

    def _label(self, place: float, y: float, text: str) -> Label:
        x = self._x(place)
        anchor: Anchor = "start" if x < 0.05 * self.width else "end" if x > 0.95 * self.width else "middle"
        return Label(x, y, text, anchor)


def bars_of(counts: Mapping[int, int], unit: str, most_bars: int = 30) -> list[Bar]:
    """A histogram of whole numbers, in bins of 1, 2, 5, 10, 20 … so that there are at most ``most_bars`` and one more.

    Numbers far beyond the others (further above the upper quartile than four times the distance of the quartiles) would
    leave these in a bar or two: they share a last bar instead.
    """
    if not counts:
        return []
    low, high = min(counts), max(counts)
    lower, upper = quantile(counts, 0.25), quantile(counts, 0.75)
    fence = upper + 4 * (upper - lower + 1)
    top = max(number for number in counts if number <= fence)
    width = nice_step((top - low + 1) / most_bars)
    first, last = low // width, top // width
    values = [0] * (last - first + 1)
    rest = 0
    for number, count in counts.items():
        if number // width > last:
            rest += count
        else:
            values[number // width - first] += count
    bars = [
        Bar(start, start + width, value, f"{_range(start, start + width - 1)} {unit}: {value:,}")
        for start, value in zip(range(first * width, (last + 1) * width, width), values, strict=True)
    ]
    if rest:
        start = (last + 1) * width
        label = f"{start:,} to {high:,} {unit}: {rest:,}"
        bars.append(Bar(start, start + width, rest, label, is_rest=True))
    return bars


def quantile(counts: Mapping[int, int], share: float) -> int:
    """The smallest number that ``share`` of all do not exceed; 0 of nothing."""
    numbers = sorted(counts)
    total = sum(counts.values())
    below = accumulate(counts[number] for number in numbers)
    return next((number for number, sum_ in zip(numbers, below, strict=True) if sum_ >= share * total), 0)


def nice_step(least: float) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50 … that is not below ``least``."""
    power: int = 10 ** math.floor(math.log10(max(least, 1)))
    return next((step * power for step in (1, 2, 5) if step * power >= least), 10 * power)


def _range(first: int, last: int) -> str:
    return f"{first:,}" if first == last else f"{first:,}–{last:,}"


def number_ticks(bars: Sequence[Bar], count: int = 6, ending: str = "") -> list[tuple[float, str]]:
    """Round numbers along the bars' axis."""
    low, high = bars[0].start, bars[-1].end
    if bars[-1].is_rest:
        # Its label is wide, and takes the room of those just before it.
        before = [
            tick for tick in number_ticks(bars[:-1], count, ending) if tick[0] < high - 0.2 * (high - low)
        ]
        return [*before, (high, f"over {bars[-1].start:,}{ending}")]
    step = nice_step((high - low) / count)
    first = math.ceil(low / step)
    return [(place, f"{place:,}{ending}") for place in range(first * step, math.floor(high) + 1, step)]
