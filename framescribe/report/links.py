"""Where the page's pictures lead: to the videos, where a browser can open them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlsplit

from framescribe.report.overview import Row
from framescribe.video.address import protocol_of
from framescribe.views import span_name

Link = Callable[[Row], str | None]

_ESCAPED = re.compile(r"\\u(dc[89a-f][0-9a-f])")


def links_from(folder: Path) -> Link:
    """What gives the address of a row's video, as a page in ``folder`` names it; None where it has none.

    A local file is named by its path from the page, so that both can move together; its name is quoted, whatever is in
    it, and cannot become an address of another kind. Of URLs only ``https`` and ``http`` are linked.
    """

    def link(row: Row) -> str | None:
        source = row["source_video"]
        span = span_name("", row.get("start_s") or 0.0, row.get("end_s"))
        if protocol_of(source) in ("https", "http"):
            return quote(source, safe="/:?#[]@!$&'()*+,;=%~") + span if urlsplit(source).netloc else None
        if not os.path.isfile(source):
            return None
        relative = os.path.relpath(os.path.abspath(source), os.path.abspath(folder))
        return "./" + quote(os.fsencode(relative), safe="/") + span

    return link


def with_file_name(row: Row) -> Row:
    """The row with its file's name where that is no UTF-8, which tables of rows hold with escapes."""
    source = row["source_video"]
    name = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), source)
    return {**row, "source_video": name} if name != source and os.path.isfile(name) else row
