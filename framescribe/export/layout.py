"""What a layout is, and those that there are: tables of ``layouts.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from framescribe.errors import UsageError
from framescribe.export.reads import Reads, Window
from framescribe.export.tars import Tars
from framescribe.export.templates import rendered
from framescribe.export.writers import CaptionLists, Entries, Lists, Texts, Writer
from framescribe.pipeline.sources import VIDEO_SUFFIXES


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The files of a data set that a trainer reads, and what its loader asks of them.

    Attributes:
        name: as users write it.
        trainer: whose it is.
        loader: the code that its rules were read from and tried with.
        reads: which clips the loader can read.
        writer: how clips and captions are written, and read back.
        settings: templates of files that name the data set, by file name.
        use: template of the line that points the trainer at the target.
        clips: folder of the clips; None packs them into tar files.
        images: folder of first frames; None where the trainer takes them from the clips itself, or wants none.
        base: folder that paths are relative to.
        has_absolute_paths: the trainer opens a path as it is written, whatever folder it is started in.
        may_reference: clips may stay where they are, named by absolute paths.
        caches_by_stem: the trainer keeps what it computes of a clip under its file's stem, whatever its folder.
        forbidden_in_target: words that the target's path must not contain, because the trainer replaces them.
        forbidden_in_texts: words that captions and questions must not contain, because the trainer replaces them.
        several: how it reads several captions a clip: ``entries``, or the file that lists them; empty: it does not.
        lengths: numbers of frames that each have a data set of their own in ``settings``, ascending.
    """

    name: str
    trainer: str
    loader: str
    reads: Reads
    writer: Writer
    use: str
    settings: Mapping[str, str] = field(default_factory=dict)
    clips: str | None = "videos"
    images: str | None = None
    base: str = "."
    has_absolute_paths: bool = False
    may_reference: bool = False
    caches_by_stem: bool = False
    forbidden_in_target: tuple[str, ...] = ()
    forbidden_in_texts: tuple[str, ...] = ()
    lengths: tuple[int, ...] = ()
    several: str = ""

    def use_line(self, target: str, first_frames: bool = False) -> str:
        """How to point the trainer at an export in ``target``."""
        return rendered(self.use, {"target": target, "first_frames": first_frames})


def with_several_captions(layout: Layout) -> Layout:
    """The layout as its trainer reads several captions a clip.

    Raises:
        UsageError: it reads one.
    """
    if not layout.several:
        able = ", ".join(name for name, each in LAYOUTS.items() if each.several)
        raise UsageError(
            f"{layout.trainer} reads one caption a clip: name one `variant`; several go to {able}"
        )
    if layout.several == "entries":
        return layout
    return replace(layout, writer=CaptionLists(layout.several))


def find_layout(name: str) -> Layout:
    """The layout of this name.

    Raises:
        UsageError: there is none.
    """
    if name not in LAYOUTS:
        raise UsageError(f"unknown layout {name!r}; choose one of {', '.join(LAYOUTS)}")
    return LAYOUTS[name]


def _words(text: str, sets: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Words and named sets of them; those behind a minus are left out."""
    found: frozenset[str] = frozenset()
    for word in text.split():
        if word.startswith("-"):
            found -= {word[1:]}
        else:
            found |= sets.get(word, {word})
    return found


def _reads(table: dict[str, Any], sets: Mapping[str, frozenset[str]]) -> Reads:
    limits = {each.name: table.pop(each.name) for each in fields(Reads) if each.name in table}
    words = {name: _words(limits[name], sets) for name in ("suffixes", "codecs", "upright")}
    if "window" in limits:
        limits["window"] = Window(**limits["window"])
    return Reads(**limits | words)


def _writer(table: dict[str, Any]) -> Writer:
    if texts := table.pop("texts", None):
        return Texts(table.get("clips", "videos"), texts)
    if lists := table.pop("lists", None):
        return Lists(lists)
    if tars := table.pop("tars", None):
        table["clips"] = None
        return Tars(**tars)
    ((file, entry),) = table.pop("entries").items()
    return Entries(file, entry)


def _layouts() -> dict[str, Layout]:
    data = tomllib.loads(Path(__file__).with_name("layouts.toml").read_text(encoding="utf-8"))
    sets = {"every": frozenset(VIDEO_SUFFIXES)}
    for name, text in data["sets"].items():
        sets[name] = _words(text, sets)
    found = {}
    for name, of_layout in data["layouts"].items():
        table = data["decoders"][of_layout.pop("decoder")] | of_layout
        reads, writer = _reads(table, sets), _writer(table)
        settled: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
        }
        found[name] = Layout(name=name, reads=reads, writer=writer, **settled)
    return found


LAYOUTS: Mapping[str, Layout] = _layouts()
"""The layouts by name."""
