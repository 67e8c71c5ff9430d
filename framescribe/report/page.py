"""The page's text: an overview and pictures to one HTML document that asks nothing of the network."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from html import escape
from itertools import accumulate
from pathlib import Path
from typing import Any

from framescribe import __version__
from framescribe.report.charts import Bar, bars_of, histogram, nice_step, number_ticks
from framescribe.report.clips import clips_section
from framescribe.report.links import Link
from framescribe.report.overview import Overview
from framescribe.report.thumbnails import Stills
from framescribe.report.units import duration, percent

_FOLDER = Path(__file__).parent
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
_WORD_LIMIT = 100
_MOST_SETTINGS = 5
_RATE_BARS = 40
_MOST_REPEATS, _REPEAT_TEXT = 10, 40


def page(title: str, overview: Overview, stills: Stills, link: Link) -> str:
    """The document.

    Args:
        title: of the page.
        overview: what it shows.
        stills: of a row's clip, as ``data:`` URIs; ClipError where there are none.
        link: the address of a row's video, or None.
    """
    sections = (
        _card("Status", _bars(overview.statuses, overview.rows, lambda status: status)),
        _card("Flags", _bars(overview.flags, overview.rows, lambda _: "flag")),
        _card("Captions of several clips, nearly alike", _repeats(overview)) if overview.repeats else "",
        _card("Words in a caption", _words(overview)),
        _card("Clips a minute", _rate(overview)) if overview.seconds else "",
        _card("Part of each clip that was seen", _coverage(overview)),
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="generator" content="framescribe {__version__}">
<title>{escape(title)}</title>
<style>
{(_FOLDER / "page.css").read_text(encoding="utf-8")}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<p class="sub">{_when(overview)}</p>
</header>
{_numbers(overview)}
<section class="charts">
{"".join(sections)}</section>
{clips_section(overview, stills, link)}
{_made_by(overview)}
</body>
</html>
"""


def _when(overview: Overview) -> str:
    if not overview.seconds:
        return f"{overview.rows:,} captions"
    first, last = (datetime.fromtimestamp(each(overview.seconds), UTC) for each in (min, max))
    until = f"{last:%H:%M}" if last.date() == first.date() else f"{last:%-d %B %Y, %H:%M}"
    return f"Captioned {first:%-d %B %Y, %H:%M} to {until} UTC"


def _numbers(overview: Overview) -> str:
    good = overview.statuses["success"]
    numbers = {"clips": f"{overview.rows:,}", "captioned": percent(good, overview.rows)}
    if overview.flagged:
        numbers["flagged"] = percent(overview.flagged, overview.rows)
    numbers["of video"] = duration(overview.duration_s)
    numbers["of it seen"] = percent(overview.covered_s, overview.duration_s)
    numbers["words at the median"] = f"{_median(overview.words):,}"
    items = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in numbers.items())
    return f'<dl class="numbers">{items}</dl>'


def _card(title: str, content: str) -> str:
    return f'<div class="card"><h2>{title}</h2>{content}</div>\n'


def _bars(counts: Counter[str], total: int, css_class: Callable[[str], str]) -> str:
    if not counts:
        return '<p class="none">None.</p>'
    items = "".join(
        f'<dt><span>{escape(name)}</span></dt><dd class="{escape(css_class(name))}"><span class="track">'
        f'<span class="fill {escape(css_class(name))}" style="width:{100 * count / total:.2f}%"></span></span>'
        f'<span class="count">{count:,}</span></dd>'
        for name, count in counts.most_common()
    )
    return f'<dl class="bars">{items}</dl>'


def _repeats(overview: Overview) -> str:
    counts = Counter(
        {
            f"{_shortened(overview.repeated[first])} ({first})": repeats + 1
            for first, repeats in overview.repeats.most_common(_MOST_REPEATS)
        }
    )
    return _bars(counts, overview.rows, lambda _: "flag")


def _shortened(caption: str) -> str:
    text = " ".join(caption.split())
    return text if len(text) <= _REPEAT_TEXT else f"{text[: _REPEAT_TEXT - 1]}…"


def _words(overview: Overview) -> str:
    if not (bars := bars_of(overview.words, "words")):
        return '<p class="none">No captions.</p>'
    return histogram(bars, number_ticks(bars), [(_WORD_LIMIT, "100, the CogVideoX paper's limit")])


def _coverage(overview: Overview) -> str:
    if not overview.coverage:
        return '<p class="none">Unknown.</p>'
    tenths = [0] * 10
    for share, count in overview.coverage.items():
        tenths[min(share // 10, 9)] += count
    bars = [
        Bar(10 * index, 10 * index + 10, count, f"{10 * index}–{10 * index + 10} %: {count:,}")
        for index, count in enumerate(tenths)
    ]
    return histogram(bars, number_ticks(bars, 5, " %"))


def _rate(overview: Overview) -> str:
    first, last = min(overview.seconds), max(overview.seconds) + 1
    width = nice_step((last - first) / _RATE_BARS)
    values = [0] * -((first - last) // width)
    for second, count in overview.seconds.items():
        values[(second - first) // width] += count
    bars = [
        Bar(
            start,
            start + width,
            60 * value / width,
            f"{_clock(start, width)} UTC: {60 * value / width:.3g} a minute",
        )
        for start, value in zip(range(first, last, width), values, strict=True)
    ]
    middle = (bars[0].start + bars[-1].end) / 2
    ticks = [(place, _clock(place, width)) for place in (bars[0].start, middle, bars[-1].end)]
    return histogram(bars, ticks)


def _clock(second: float, step: int) -> str:
    pattern = "%H:%M:%S" if step < 60 else "%H:%M" if step < 3600 else "%-d %b %H:%M"
    return datetime.fromtimestamp(second, UTC).strftime(pattern)


def _made_by(overview: Overview) -> str:
    lines = "".join(
        f"<p>{count:,} by {escape(_settings(dict(made)))}</p>"
        for made, count in overview.made_by.most_common(_MOST_SETTINGS)
    )
    return f'<footer class="made">{lines}<p>framescribe {__version__}</p></footer>'


def _settings(made: Mapping[str, Any]) -> str:
    known = [
        f"{name} {json.dumps(value, ensure_ascii=False)}" for name, value in made.items() if value is not None
    ]
    return ", ".join(known)


def _median(counts: Counter[int]) -> int:
    numbers = sorted(counts)
    for number, below in zip(numbers, accumulate(counts[number] for number in numbers), strict=True):
        if 2 * below >= counts.total():
            return number
    return 0
