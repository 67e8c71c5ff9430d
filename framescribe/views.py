"""Caption rows as people look at them in Python: one line at the prompt, a small table in a notebook."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from framescribe.shown import shorten, shown

if TYPE_CHECKING:
    from framescribe.types import CaptionRow

_LINE_CHARS = 100


def row_text(row: CaptionRow) -> str:
    """``CaptionRow('clip.mp4', success, 7 frames: 'A kite rises …')``; all columns are in ``to_dict()``."""
    text = row.error_message if row.caption_status == "error" else row.caption
    told = shorten(shown(text or ""), _LINE_CHARS)
    frames = "" if row.caption_status == "error" else f", {len(row.frame_indices)} frames"
    return f"CaptionRow({_name(row)!r}, {row.caption_status}{frames}: {told!r})"


def row_html(row: CaptionRow) -> str:
    """A table of what most people want to know of a row."""
    lines = {
        "clip": _name(row),
        "status": ", ".join((row.caption_status, *row.flags)),
        "caption": row.caption or "",
        "problem": row.error_message or "",
        "video": _facts(row),
        "frames": f"{len(row.frame_indices)}, {row.strategy}" if row.frame_indices else "",
        "model": f"{row.model}, {row.precision}",
    }
    cells = "".join(
        f'<tr><th style="text-align:left;vertical-align:top">{name}</th>'
        f'<td style="text-align:left;white-space:pre-line">{escape(value)}</td></tr>'
        for name, value in lines.items()
        if value
    )
    return f"<table>{cells}</table>"


def _name(row: CaptionRow) -> str:
    """The source, with the span as W3C media fragments write it."""
    if row.start_s == 0 and row.end_s is None:
        return row.source_video
    return f"{row.source_video}#t={row.start_s:g}" + ("" if row.end_s is None else f",{row.end_s:g}")


def _facts(row: CaptionRow) -> str:
    if row.duration_s is None:
        return ""
    return f"{row.duration_s:.3g} s, {row.width}×{row.height}, {row.fps or 0:.3g} fps, {row.codec}"
