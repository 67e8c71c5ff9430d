"""An overview and the cards of some clips to one HTML document that asks nothing of the network."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from framescribe.report.charts import Bar, Histogram, bars_of, number_ticks, quantile
from framescribe.report.clips import Card, Strip
from framescribe.report.overview import Overview, Rate, Row
from framescribe.report.scores import Scores
from framescribe.report.units import duration, percent
from framescribe.shown import one_line
from framescribe.version import __version__

_WORD_LIMIT = 100
_REPEAT_CHARS = 60
_REPEATS = {
    True: "Captions that several clips have, or nearly have",
    False: "Captions of the same text",
}

Share = tuple[str, int, float, str]
"""What is counted, how many there are, their part of all rows, and the style sheet's class."""


def page(
    title: str,
    overview: Overview | None,
    cards: Sequence[Card],
    scores: Scores | None = None,
    strip: Callable[[Row], Strip] | None = None,
) -> str:
    """The document.

    Args:
        title: of the page.
        overview: what it says of all captions; None where there are none.
        cards: of the clips that it shows.
        scores: what it says of scores; None where there are none.
        strip: gives the pictures of the clips beside thresholds.
    """
    environment = Environment(
        loader=PackageLoader("framescribe", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        title=title,
        version=__version__,
        style=_look() + _text("page.css"),
        script=_text("page.js"),
        policy=policy(),
        scores=scores,
        strip=strip,
        cards=cards,
        tags=Counter(tag for card in cards for tag in card.tags).most_common(),
        **(_of_captions(overview, len(cards)) if overview else _of_no_captions(scores)),
    )


def policy() -> str:
    """The document's content security policy: pictures and style of its own, and no script but its own."""
    script_sha256 = base64.b64encode(hashlib.sha256(_text("page.js").encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{script_sha256}'"
    )


def _of_captions(overview: Overview, cards: int) -> dict[str, Any]:
    return {
        "when": _when(overview),
        "numbers": _numbers(overview),
        "lists": [
            ("Status", _shares(overview.statuses, overview.rows)),
            ("Flags", _shares(overview.flags, overview.rows, "flag")),
            *_decisions(overview),
        ],
        "charts": _charts(overview),
        "repeats_title": _REPEATS[overview.is_near],
        "repeats": [
            (_begin(each.caption), each.clips, each.clips / overview.rows, "flag")
            for each in overview.repeats
        ],
        "shown": _shown(cards, overview.rows),
        "made_by": [f"{count:,} by {_settings(made)}" for made, count in overview.made_by],
    }


def _of_no_captions(scores: Scores | None) -> dict[str, Any]:
    lists = ("numbers", "lists", "charts", "repeats", "made_by")
    when = f"{scores.clips:,} scored clips, without captions" if scores else ""
    return {"when": when, "repeats_title": "", "shown": "", **dict.fromkeys(lists, ())}


def _text(name: str) -> str:
    return files("framescribe.report").joinpath(name).read_text(encoding="utf-8")


def _look() -> str:
    """What the report has in common with the page of a review."""
    return files("framescribe.look").joinpath("look.css").read_text(encoding="utf-8")


def _when(overview: Overview) -> str:
    if overview.rate is None:
        return f"{overview.rows:,} captions"
    first, last = (_utc(second) for second in (overview.rate.first_s, overview.rate.last_s))
    until = f"{last:%H:%M}" if last.date() == first.date() else f"{last:%-d %B %Y, %H:%M}"
    return f"Captioned {first:%-d %B %Y, %H:%M} to {until} UTC"


def _numbers(overview: Overview) -> list[tuple[str, str]]:
    flagged = [("flagged", percent(overview.flagged, overview.rows))] if overview.flagged else []
    return [
        ("clips" if overview.prompts <= 1 else "captions", f"{overview.rows:,}"),
        ("captioned", percent(overview.statuses["success"], overview.rows)),
        *flagged,
        ("of video", duration(overview.duration_s)),
        ("of it seen", percent(overview.covered_s, overview.duration_s)),
        ("words at the median", f"{quantile(overview.words, 0.5):,}"),
    ]


def _shares(counts: Mapping[str, int], rows: int, tone: str | None = None) -> list[Share]:
    return [(name, count, count / rows, tone or name) for name, count in Counter(counts).most_common()]


def _decisions(overview: Overview) -> list[tuple[str, list[Share]]]:
    if (decided := overview.decided) is None:
        return []
    tones = {"accepted": "accept", "rejected": "reject"}
    verdicts = [
        (name, count, share, tones.get(name, name))
        for name, count, share, _ in _shares(decided.verdicts, overview.rows)
    ]
    others = {"Reasons of rejections": decided.reasons, "Tags": decided.tags}
    lists = [(name, _shares(counts, overview.rows, "tagged")) for name, counts in others.items() if counts]
    return [("Decisions", verdicts), *lists]


def _begin(caption: str) -> str:
    text = one_line(caption)
    return text if len(text) <= _REPEAT_CHARS else f"{text[: _REPEAT_CHARS - 1]}…"


def _charts(overview: Overview) -> list[tuple[str, Histogram | None]]:
    charts = [("Words in a caption", _words(overview))]
    if overview.rate is not None:
        charts.append(("Clips a minute", _rate(overview.rate)))
    return [*charts, ("Part of each clip that was seen", _coverage(overview.coverage))]


def _words(overview: Overview) -> Histogram | None:
    bars = bars_of(overview.words, "words")
    limit = (_WORD_LIMIT, f"{_WORD_LIMIT}, the CogVideoX paper's limit")
    return Histogram(bars, number_ticks(bars), [limit]) if bars else None


def _coverage(tenths: Mapping[int, int]) -> Histogram | None:
    if not tenths:
        return None
    bars = [
        Bar(start, start + 10, count := tenths.get(start // 10, 0), f"{start}–{start + 10} %: {count:,}")
        for start in range(0, 100, 10)
    ]
    return Histogram(bars, number_ticks(bars, 5, " %"))


def _rate(rate: Rate) -> Histogram:
    step = rate.step_s
    bars = [
        Bar(
            start,
            start + step,
            speed := 60 * count / step,
            f"{_clock(start, step)} UTC: {speed:.3g} a minute",
        )
        for start, count in rate.counts.items()
    ]
    middle = (bars[0].start + bars[-1].end) / 2
    return Histogram(bars, [(place, _clock(place, step)) for place in (bars[0].start, middle, bars[-1].end)])


def _clock(second: float, step: int) -> str:
    pattern = "%H:%M:%S" if step < 60 else "%H:%M" if step < 3600 else "%-d %b %H:%M"
    return f"{_utc(second):{pattern}}"


def _utc(second: float) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def _shown(cards: int, rows: int) -> str:
    return "all" if cards == rows else f"{cards:,} of {rows:,}; half of them have a problem, if so many do"


def _settings(made: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {json.dumps(value, ensure_ascii=False)}" for name, value in made.items() if value is not None
    )
