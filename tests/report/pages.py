"""Pages and overviews of rows that are in memory, and what a browser would make of a page."""

from __future__ import annotations

import json
import tempfile
from html.parser import HTMLParser
from pathlib import Path

from framescribe.dataset.dataset import Dataset
from framescribe.errors import ClipError
from framescribe.report.clips import card_of
from framescribe.report.links import links_from, with_file_name
from framescribe.report.overview import Overview, overview_of
from framescribe.report.page import page

VOID = {"meta", "img", "input", "br"}


class Document(HTMLParser):
    """Text by element, attributes, and whether every element is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.attributes += [(tag, *each) for each in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes += [(tag, *each) for each in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] not in (["style"], ["script"]):
            self.text += data


def no_stills(row):
    raise ClipError("open", "x: cannot be opened: No such file or directory")


def overview(rows, max_clips=60, **settings) -> Overview:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return overview_of(Dataset(path), max_clips, **settings)


def made(rows, title="rows", max_clips=60, stills=no_stills, folder=Path("/page")) -> str:
    found = overview(rows, max_clips)
    link, usual_prompt = links_from(folder), found.made_by[0][0]["prompt"]
    return page(
        title, found, [card_of(with_file_name(row), stills, link, usual_prompt) for row in found.clips]
    )


def document(rows, max_clips=60, stills=no_stills) -> Document:
    return Document(made(rows, max_clips=max_clips, stills=stills))
