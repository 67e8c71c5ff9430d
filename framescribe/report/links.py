"""Where the page's pictures lead: to the videos, where a browser can open them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlsplit

from framescribe.report.overview import Row

Link = Callable[[Row], str | None]


def links_from(folder: Path) -> Link:
    """What gives the address of a row's video, as a page in ``folder`` names it; None where it has none.

    A local file is named by its path from the page, so that both can move together; its name is quoted, whatever is in
    it, and cannot become an address of another kind. Of URLs only ``https`` and ``http`` are linked.
    """

    def link(row: Row) -> str | None:
        source = str(row["source_video"])
        if source.startswith(("https://", "http://")):
            parts = urlsplit(source)
            return quote(source, safe="/:?#[]@!$&'()*+,;=%~") + _fragment(row) if parts.netloc else None
        if not os.path.isfile(source):
            return None
        relative = os.path.relpath(os.path.abspath(source), os.path.abspath(folder))
        return "./" + quote(os.fsencode(relative), safe="/") + _fragment(row)

    return link


def _fragment(row: Row) -> str:
    """The clip's span, as browsers play it."""
    start_s, end_s = row.get("start_s") or 0.0, row.get("end_s")
    if not start_s and end_s is None:
        return ""
    return f"#t={start_s:g}" + ("" if end_s is None else f",{end_s:g}")
