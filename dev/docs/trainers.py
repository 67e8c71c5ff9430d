"""The page of trainers: what each layout of ``export`` writes, which clips its trainer reads, and how to start it."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterator
from pathlib import Path

from framescribe.export.layout import LAYOUTS, Layout
from framescribe.export.reads import Reads
from framescribe.export.tars import Tars
from framescribe.export.writers import Entries, Lists, Texts
from framescribe.pipeline.sources import VIDEO_SUFFIXES

_HEAD = f"""# Trainers

`framescribe export ROWS --to LAYOUT` writes captions and clips as a trainer's own loader reads them, in one of
{len(LAYOUTS)} layouts; [Exports](exports.md) says what goes in and how clips are made. The command prints the line that
starts the trainer. It is shown here with `SET` for the export's folder; other words in capitals are yours to fill in.
In parentheses stands the code of the trainer that the rules were read from and tried with, by its commit.

A clip that the trainer could not read is left out and reported. `--normalize` makes it anew in the form that the
trainer's models take.
"""
_LAYOUTS_FILE = Path(inspect.getfile(Layout)).with_name("layouts.toml")
_COMMENT = re.compile(r"((?:^#.*\n)+)\[layouts\.([\w-]+)\]\n", re.MULTILINE)


def page() -> str:
    """The page ``docs/trainers.md``."""
    found = _COMMENT.findall(_LAYOUTS_FILE.read_text(encoding="utf-8"))
    notes = {name: " ".join(line.lstrip("# ") for line in comment.splitlines()) for comment, name in found}
    return "\n".join(
        [_HEAD, *(line for each in LAYOUTS.values() for line in _section(each, notes.get(each.name)))]
    )


def _section(layout: Layout, note: str | None) -> Iterator[str]:
    yield f"## {layout.name}\n"
    yield f"{layout.trainer} (`{layout.loader}`).{f' {note}' if note else ''}\n"
    yield f"- files: {_files(layout)}"
    reads = layout.reads
    every = reads.suffixes == VIDEO_SUFFIXES
    yield f"- reads: {'every video file' if every else _code(sorted(reads.suffixes))}"
    yield f"- rotated clips: {_rotated(reads)}"
    yield f"- lengths: {_limits(reads)}"
    yield f"- `--normalize`: {_normalized(reads)}"
    yield f"\n```text\n{layout.use_line('SET')}\n```\n"


def _files(layout: Layout) -> str:
    match layout.writer:
        case Tars(lines=lines):
            return _code(["00000.tar", *(["00000.meta.jsonl"] if lines else []), *layout.settings])
        case Texts(clips=clips, texts=texts):
            written = [_inside(clips, "*"), _inside(texts, "*.txt")]
        case Lists(files=files):
            written = [*files, _inside(layout.clips, "*")]
        case Entries(file=file):
            written = [re.sub(r"\{\w+\}", "*", file), _inside(layout.clips, "*")]
        case _:
            raise TypeError(layout.writer)
    return _code([*written, *layout.settings])


def _inside(folder: str | None, name: str) -> str:
    return name if folder in (None, ".") else f"{folder}/{name}"


def _rotated(reads: Reads) -> str:
    if not reads.upright:
        return "left out"
    if reads.suffixes <= reads.upright:
        return "shown upright"
    return f"shown upright in {_code(sorted(reads.upright & reads.suffixes))}, otherwise left out"


def _limits(reads: Reads) -> str:
    found = [f"{reads.min_frames} frames"] if reads.min_frames > 1 else []
    if reads.min_s:
        found.append(f"{reads.min_s:.3g} s")
    if reads.window is not None and reads.window.is_needed:
        found.append(
            f"{reads.window.frames} frames at {reads.window.fps} per second, and {reads.window.margin} at each end"
        )
    shortest = f"{' and '.join(found)} or more" if found else "any"
    return f"{shortest}; {reads.max_s:.3g} s at most" if math.isfinite(reads.max_s) else shortest


def _normalized(reads: Reads) -> str:
    rate = "the clip's frame rate" if reads.fps is None else f"{reads.fps:g} frames per second"
    frames = "any number of frames" if reads.frame_step == 1 else f"{reads.frame_step}n + 1 frames"
    return f"{rate}, {frames}, sides that are multiples of {reads.side_step}"


def _code(names: list[str]) -> str:
    return " ".join(f"`{name}`" for name in names)
