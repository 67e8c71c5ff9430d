"""Numbers to inline SVG. Colours and type come from the page's style sheet, by class."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate

_WIDTH, _HEIGHT = 360, 160
_TOP, _BOTTOM = 30, 22


@dataclass(frozen=True, slots=True)
class Bar:
    """``value`` rows between two places of the axis; ``label`` is shown under the pointer.

    The last one may hold all that lies beyond it: ``is_rest``.
    """

    start: float
    end: float
    value: float
    label: str
    is_rest: bool = False


def bars_of(counts: Mapping[int, int], unit: str, most_bars: int = 30) -> list[Bar]:
    """A histogram of whole numbers, in bins of 1, 2, 5, 10, 20 … so that there are at most ``most_bars`` and one more.

    Numbers far beyond the others (further above the upper quartile than four times the distance of the quartiles) would
    leave these in a bar or two: they share a last bar instead.
    """
    if not counts:
        return []
    low, high = min(counts), max(counts)
    lower, upper = _quantile(counts, 0.25), _quantile(counts, 0.75)
    fence = upper + 4 * (upper - lower + 1)
    has_rest = high > fence
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
        Bar(
            start := (first + index) * width,
            start + width,
            value,
            f"{_range(start, start + width - 1)} {unit}: {value:,}",
        )
        for index, value in enumerate(values)
    ]
    if has_rest:
        start = (last + 1) * width
        bars.append(Bar(start, start + width, rest, f"{start:,} to {high:,} {unit}: {rest:,}", is_rest=True))
    return bars


def _quantile(counts: Mapping[int, int], share: float) -> int:
    """The smallest number that ``share`` of all do not exceed."""
    numbers = sorted(counts)
    below = accumulate(counts[number] for number in numbers)
    total = sum(counts.values())
    return next(number for number, sum_ in zip(numbers, below, strict=True) if sum_ >= share * total)


def nice_step(least: float) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50 … that is not below ``least``."""
    power: int = 10 ** math.floor(math.log10(max(least, 1)))
    return next((step * power for step in (1, 2, 5) if step * power >= least), 10 * power)


def _range(first: int, last: int) -> str:
    return f"{first:,}" if first == last else f"{first:,}–{last:,}"


def histogram(
    bars: Sequence[Bar], ticks: Sequence[tuple[float, str]], marks: Sequence[tuple[float, str]] = ()
) -> str:
    """Bars side by side, with the tallest one's value above it.

    Args:
        bars: in order, each beginning where the one before ends.
        ticks: places on the axis and what stands there.
        marks: places with a dashed line through the chart and what it means; those outside are left out.
    """
    low, high = bars[0].start, bars[-1].end
    tallest = max(bar.value for bar in bars) or 1
    depth = _HEIGHT - _TOP - _BOTTOM
    floor = _HEIGHT - _BOTTOM

    def x(place: float) -> float:
        return (place - low) / (high - low) * _WIDTH

    parts = [f'<line class="axis" x1="0" x2="{_WIDTH}" y1="{floor}" y2="{floor}"/>']
    for bar in bars:
        height = bar.value / tallest * depth
        if bar.value:
            height = max(height, 1.5)
        left, right = x(bar.start), x(bar.end)
        gap = min(1.5, (right - left) / 6)
        parts.append(
            f'<g class="bar{" rest" if bar.is_rest else ""}"><title>{escape(bar.label)}</title>'
            f'<rect class="hit" x="{left:.1f}" y="{_TOP}" width="{right - left:.1f}" height="{depth}"/>'
            f'<rect x="{left + gap:.1f}" y="{floor - height:.1f}" width="{right - left - 2 * gap:.1f}" '
            f'height="{height:.1f}" rx="1.5"/></g>'
        )
    peak = max(bars, key=lambda bar: bar.value)
    middle = x((peak.start + peak.end) / 2)
    parts.append(f'<text x="{middle:.1f}" y="{_TOP - 5}" {_anchor(middle)}>{peak.value:,.4g}</text>')
    for place, text in marks:
        if low < place < high:
            anchor = "end" if x(place) > _WIDTH / 2 else "start"
            shift = -5 if anchor == "end" else 5
            parts.append(
                f'<line class="mark" x1="{x(place):.1f}" x2="{x(place):.1f}" y1="2" y2="{floor}"/>'
                f'<text class="mark" x="{x(place) + shift:.1f}" y="11" text-anchor="{anchor}">{escape(text)}</text>'
            )
    for place, text in ticks:
        parts.append(f'<text x="{x(place):.1f}" y="{_HEIGHT - 5}" {_anchor(x(place))}>{escape(text)}</text>')
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{"".join(parts)}</svg>'


def _anchor(x: float) -> str:
    """Where a label hangs, so that none leaves the picture."""
    anchor = "start" if x < 0.05 * _WIDTH else "end" if x > 0.95 * _WIDTH else "middle"
    return f'text-anchor="{anchor}"'


def number_ticks(bars: Sequence[Bar], count: int = 6, ending: str = "") -> list[tuple[float, str]]:
    """Round numbers along the bars' axis."""
    low, high = bars[0].start, bars[-1].end
    step = nice_step((high - low) / count)
    if bars[-1].is_rest:
        rest = bars[-1].start
        return [*number_ticks(bars[:-1], count, ending), (high, f"over {rest:,}{ending}")]
    first = math.ceil(low / step)
    return [(place, f"{place:,}{ending}") for place in range(first * step, math.floor(high) + 1, step)]
