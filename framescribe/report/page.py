"""The page's text: an overview and pictures to one HTML document that asks nothing of the network."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from html import escape
from itertools import accumulate
from pathlib import Path, PurePosixPath
from typing import Any

from framescribe import __version__
from framescribe.errors import ClipError
from framescribe.report.charts import Bar, bars_of, histogram, nice_step, number_ticks
from framescribe.report.overview import Overview, Row

_FOLDER = Path(__file__).parent
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
_LONGEST_TEXT = 1500
_WORD_LIMIT = 100
_MOST_SETTINGS = 5
_RATE_BARS = 40


def page(title: str, overview: Overview, picture: Callable[[Row], str]) -> str:
    """The document.

    Args:
        title: of the page.
        overview: what it shows.
        picture: ``data:`` URI of a row's clip; ClipError where there is none.
    """
    sections = (
        _card("Status", _bars(overview.statuses, overview.rows, lambda status: status)),
        _card("Flags", _bars(overview.flags, overview.rows, lambda _: "flag")),
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
{_clips(overview, picture)}
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
    numbers = {"clips": f"{overview.rows:,}", "captioned": _percent(good, overview.rows)}
    if overview.flagged:
        numbers["flagged"] = _percent(overview.flagged, overview.rows)
    numbers["of video"] = _duration(overview.duration_s)
    numbers["of it seen"] = _percent(overview.covered_s, overview.duration_s)
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


def _words(overview: Overview) -> str:
    if not (bars := bars_of(overview.words, "words")):
        return '<p class="none">No captions.</p>'
    return histogram(bars, number_ticks(bars), [(_WORD_LIMIT, "100, the CogVideoX paper's limit")])


def _coverage(overview: Overview) -> str:
    if not overview.coverage:
        return '<p class="none">Unknown.</p>'
    tenths = [0] * 10
    for percent, count in overview.coverage.items():
        tenths[min(percent // 10, 9)] += count
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


def _clips(overview: Overview, picture: Callable[[Row], str]) -> str:
    if not overview.clips:
        return ""
    tags = Counter(tag for row in overview.clips for tag in _tags(row))
    buttons = "".join(
        f'<button type="button" value="{_slug(tag)}" aria-pressed="false" class="{_tone(tag)}">'
        f"{escape(tag)} {count}</button>"
        for tag, count in tags.most_common()
    )
    clips = "\n".join(_clip(row, picture) for row in overview.clips)
    return f"""<section>
<div class="find"><input type="search" placeholder="Search captions and files" aria-label="Search captions and files">
{buttons}<output></output></div>
<div class="clips">
{clips}
</div>
</section>
<script>
{(_FOLDER / "page.js").read_text(encoding="utf-8")}</script>"""


def _clip(row: Row, picture: Callable[[Row], str]) -> str:
    try:
        shown = f'<img alt="" src="{escape(picture(row))}">'
    except ClipError as error:
        shown = f"<span>{escape(_short_reason(row, error))}</span>"
    text = row.get("caption") or ""
    if len(text) > _LONGEST_TEXT:
        text = f"{text[:_LONGEST_TEXT]}… ({len(text):,} characters)"
    parts = [
        f'<h3 title="{escape(row["source_video"])}">{escape(PurePosixPath(row["source_video"]).name)}</h3>',
        f'<p class="facts">{escape(_facts(row))}</p>' if row.get("duration_s") else "",
        f'<p class="caption">{escape(text)}</p>' if text else "",
        f'<p class="message">{escape(row["error_message"])}</p>' if row.get("error_message") else "",
        '<p class="tags">'
        + "".join(f'<span class="tag {_tone(tag)}">{escape(tag)}</span>' for tag in _tags(row))
        + "</p>",
    ]
    tags = " ".join(map(_slug, _tags(row)))
    return (
        f'<article class="card clip" data-tags="{tags}"><div class="picture">{shown}</div>'
        f"<div>{''.join(parts)}</div></article>"
    )


def _short_reason(row: Row, error: ClipError) -> str:
    return "file not found" if "No such file" in str(error) else f"no picture: cannot be {_PAST[error.stage]}"


_PAST = {"open": "opened", "decode": "decoded", "sample": "sampled", "prompt": "read", "generate": "read"}


def _tags(row: Row) -> list[str]:
    tags = [row["caption_status"], *(row.get("flags") or ())]
    if row.get("repairs"):
        tags.append("repaired" if row["caption_status"] == "success" else "repair failed")
    return tags


def _tone(tag: str) -> str:
    return tag if tag in ("success", "truncated", "repetitive", "empty", "error") else "flag"


def _slug(tag: str) -> str:
    return escape("-".join(tag.split()))


def _facts(row: Row) -> str:
    duration_s, covered_s = row["duration_s"], row.get("covered_s")
    facts = [_duration(duration_s)]
    if row.get("start_s") or row.get("end_s") is not None:
        facts.append(f"from {row['start_s']:g} s")
    if row.get("width") and row.get("height"):
        facts.append(f"{row['width']}×{row['height']}")
    if row.get("fps"):
        facts.append(f"{row['fps']:.3g} fps")
    if row.get("codec"):
        facts.append(row["codec"])
    if covered_s is not None and covered_s < 0.95 * duration_s:
        facts.append(f"only {_duration(covered_s)} seen")
    return " · ".join(facts)


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


def _percent(part: float, whole: float) -> str:
    if not whole:
        return "–"
    percent = 100 * part / whole
    # 99.96 % is not 100 %.
    return f"{percent:.0f} %" if percent in (0, 100) else f"{min(max(percent, 0.1), 99.9):.3g} %"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    if seconds < 7200:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:,.1f} h"


def _median(counts: Counter[int]) -> int:
    numbers = sorted(counts)
    for number, below in zip(numbers, accumulate(counts[number] for number in numbers), strict=True):
        if 2 * below >= counts.total():
            return number
    return 0
