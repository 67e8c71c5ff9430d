"""Values as people look at them in Python: one line at the prompt, a table in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, fields
from html import escape
from typing import TYPE_CHECKING, Any

from framescribe.shown import one_line, shorten, shown, shown_value

if TYPE_CHECKING:
    from framescribe.caption_row import CaptionRow

_LINE_CHARS = 100
_CELL = "text-align:left;vertical-align:top;white-space:pre-line"


def value_text(value: Any) -> str:
    """``GenerationSettings(max_new_tokens=256)``: a dataclass as it is written, without what it has by default."""
    told = []
    for field in fields(value):
        item = getattr(value, field.name)
        if field.default is MISSING:
            told.append(shown_value(item))
        elif field.repr and item != field.default:
            told.append(f"{field.name}={shown_value(item)}")
    return f"{type(value).__name__}({', '.join(told)})"


def row_text(row: CaptionRow) -> str:
    """``CaptionRow('clip.mp4', success, 7 frames: 'A kite rises …')``; all columns are in ``to_dict()``."""
    text = row.error_message if row.caption_status == "error" else row.caption
    told = shorten(shown(text or ""), _LINE_CHARS)
    frames = "" if row.caption_status == "error" else f", {len(row.frame_indices)} frames"
    name = span_name(row.source_video, row.start_s, row.end_s)
    return f"CaptionRow({name!r}, {row.caption_status}{frames}: {told!r})"


def row_html(row: CaptionRow) -> str:
    """A table of what most people want to know of a row."""
    lines = {
        "clip": span_name(row.source_video, row.start_s, row.end_s),
        "status": ", ".join((row.caption_status, *row.flags)),
        "caption": row.caption or "",
        "problem": row.error_message or "",
        "video": _facts(row),
        "frames": f"{len(row.frame_indices)}, {row.strategy}" if row.frame_indices else "",
        "model": f"{row.model}, {row.precision}",
    }
    return named_values_html({name: value for name, value in lines.items() if value})


def named_values_html(values: Mapping[str, object]) -> str:
    """A table with a line for each value, its name in front."""
    lines = (
        f'<tr><th style="{_CELL}">{escape(name)}</th><td style="{_CELL}">{escape(str(value))}</td></tr>'
        for name, value in values.items()
    )
    return f"<table>{''.join(lines)}</table>"


def rows_html(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], note: str) -> str:
    """A table of rows, with a note below it.

    Args:
        rows: columns by name; a few.
        columns: which to show.
        note: such as how many rows there are.
    """
    head = "".join(f'<th style="{_CELL}">{escape(name)}</th>' for name in columns)
    lines = (
        "".join(f'<td style="{_CELL}">{escape(_cell(row.get(name)))}</td>' for name in columns)
        for row in rows
    )
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{escape(note)}</p>"


def span_name(source: str, start_s: float, end_s: float | None) -> str:
    """A clip's source, with its span as W3C media fragments write it: ``talk.mp4#t=60,84``."""
    if start_s == 0 and end_s is None:
        return source
    return f"{source}#t={start_s:g}" + ("" if end_s is None else f",{end_s:g}")


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    text = (
        ", ".join(map(str, value)) if isinstance(value, list | tuple) else "" if value is None else str(value)
    )
    return shorten(one_line(text), 2 * _LINE_CHARS)


def _facts(row: CaptionRow) -> str:
    if row.duration_s is None:
        return ""
    return f"{row.duration_s:.3g} s, {row.width}×{row.height}, {row.fps or 0:.3g} fps, {row.codec}"
