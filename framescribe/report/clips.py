"""The page's clips: stills, facts, captions, and what finds, sorts and pages them."""

from __future__ import annotations

from collections import Counter
from html import escape
from pathlib import Path, PurePosixPath

from framescribe.errors import ClipError
from framescribe.quality.budget import count_words
from framescribe.report.links import Link
from framescribe.report.overview import Overview, Row
from framescribe.report.thumbnails import Stills, short_reason
from framescribe.report.units import duration

_SHOWN_CHARS, _SHOWN_OF_LOOPS_CHARS = 600, 200
_LONGEST_TEXT = 4000
_SCRIPT = Path(__file__).parent / "page.js"
_ORDERS = {"": "in a fixed draw", "name": "by file", "words": "longest caption first", "few": "shortest caption first",
           "duration": "longest clip first"}  # fmt: skip


def clips_section(overview: Overview, stills: Stills, link: Link) -> str:
    """The section of clips, with its script; empty if there are none."""
    if not overview.clips:
        return ""
    tags = Counter(tag for row in overview.clips for tag in _tags(row))
    buttons = "".join(
        f'<button type="button" value="{_slug(tag)}" aria-pressed="false" class="{_tone(tag)}">'
        f"{escape(tag)} {count}</button>"
        for tag, count in tags.most_common()
    )
    orders = "".join(f'<option value="{key}">{text}</option>' for key, text in _ORDERS.items())
    clips = "\n".join(_clip(row, stills, link) for row in overview.clips)
    number, total = len(overview.clips), overview.rows
    shown = (
        "all"
        if number == total
        else f"{number:,} of {total:,}; half of them have something wrong, if so many do"
    )
    return f"""<section>
<h2>Clips <small>{shown}</small></h2>
<div class="find"><input type="search" placeholder="Search captions and files" aria-label="Search captions and files">
<select aria-label="Order">{orders}</select>
{buttons}<output></output></div>
<div class="clips">
{clips}
</div>
<nav class="pages"><button type="button" value="-1">Earlier</button><output></output>
<button type="button" value="1">Later</button></nav>
</section>
<script>
{_SCRIPT.read_text(encoding="utf-8")}</script>"""


def _clip(row: Row, stills: Stills, link: Link) -> str:
    text = row.get("caption") or ""
    name = str(row["source_video"])
    parts = [
        f'<h3 title="{escape(name)}">{escape(PurePosixPath(name).name)}</h3>',
        f'<p class="facts">{escape(_facts(row))}</p>' if row.get("duration_s") else "",
        _caption(text, _SHOWN_OF_LOOPS_CHARS if row["caption_status"] == "repetitive" else _SHOWN_CHARS),
        f'<p class="message">{escape(row["error_message"])}</p>' if row.get("error_message") else "",
        '<p class="tags">'
        + "".join(f'<span class="tag {_tone(tag)}">{escape(tag)}</span>' for tag in _tags(row))
        + "</p>",
    ]
    keys = (
        f'data-tags="{" ".join(map(_slug, _tags(row)))}" data-name="{escape(PurePosixPath(name).name)}" '
        f'data-words="{count_words(text)}" data-duration="{row.get("duration_s") or 0:g}"'
    )
    return f'<article class="card clip" {keys}>{_pictures(row, stills, link)}<div>{"".join(parts)}</div></article>'


def _pictures(row: Row, stills: Stills, link: Link) -> str:
    try:
        shown = "".join(f'<img alt="" loading="lazy" src="{escape(still)}">' for still in stills(row))
    except ClipError as error:
        return f'<div class="pictures"><span>{escape(short_reason(row, error))}</span></div>'
    if address := link(row):
        return (
            f'<a class="pictures" href="{escape(address)}" target="_blank" rel="noopener noreferrer" '
            f'title="Play the video">{shown}</a>'
        )
    return f'<div class="pictures">{shown}</div>'


def _caption(text: str, shown: int) -> str:
    """A caption; of a long one, such as a loop, the beginning, and the rest when it is asked for."""
    if len(text) <= shown:
        return f'<p class="caption">{escape(text)}</p>' if text else ""
    rest = text[shown:_LONGEST_TEXT] + ("…" if len(text) > _LONGEST_TEXT else "")
    return (
        f'<p class="caption">{escape(text[:shown])}…</p>'
        f"<details><summary>the rest ({len(text):,} characters)</summary>"
        f'<p class="caption">{escape(rest)}</p></details>'
    )


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
    facts = [duration(duration_s)]
    if row.get("start_s") or row.get("end_s") is not None:
        facts.append(f"from {row.get('start_s') or 0:g} s")
    if row.get("width") and row.get("height"):
        facts.append(f"{row['width']}×{row['height']}")
    if row.get("fps"):
        facts.append(f"{row['fps']:.3g} fps")
    if row.get("codec"):
        facts.append(row["codec"])
    if covered_s is not None and covered_s < 0.95 * duration_s:
        facts.append(f"only {duration(covered_s)} seen")
    return " · ".join(facts)
