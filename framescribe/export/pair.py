"""What the writers share: a clip with its caption, and what a trainer's format is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal, Protocol, get_args

from framescribe.export.reads import Reads
from framescribe.types import Clip, VideoFacts

Link = Literal["copy", "symlink", "hardlink", "reference"]
LINKS: tuple[Link, ...] = get_args(Link)


class Unusable(ValueError):
    """A row that does not go into the export. ``reason`` is short, the same for all such rows."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail or reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A row whose caption goes into the export, if its clip can.

    Attributes:
        clip_id: as in the row.
        clip: source and span.
        stem: the clip's file name in the export without its ending: unique, without dots.
        caption: one line of UTF-8, never empty.
    """

    clip_id: str
    clip: Clip
    stem: str
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A clip and its caption, as the trainer will see them.

    Attributes:
        clip_id: as in the row.
        clip: source, span and what was asked about it, as in the row.
        stem: the clip's file name in the export without its ending: unique, without dots.
        suffix: of the clip's file, lower case, ``.mp4``.
        caption: one line of UTF-8, never empty.
        facts: of the clip's file, as it is in the export.
        path: of the clip, as the trainer's files name it.
        file: the clip, open, where it is packed into the format's own files.
        image: its first frame's path, as the trainer's files name it; empty where none was asked for.
    """

    clip_id: str
    clip: Clip
    stem: str
    suffix: str
    caption: str
    facts: VideoFacts
    path: str
    file: IO[bytes] | None = field(default=None, repr=False, compare=False)
    image: str = ""


class Layout(Protocol):
    """Files of one form: written from pairs, and read back as the trainers do."""

    def write(self, pairs: Iterator[Pair], folder: Path, target: Path) -> None:
        """Writes all but the clips into ``folder``, which will be renamed to ``target``."""

    def read(self, folder: Path) -> Iterator[tuple[str, str]]:
        """(path as written, caption) of each pair."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A trainer's data set.

    Attributes:
        name: as the user writes it.
        trainer: whose it is.
        layout: its files.
        reads: which clips its loader can read.
        clips: folder of the clips; None packs them into the layout's own files.
        images: folder of first frames; None where the trainer takes them from the clips itself, or wants none.
        base: folder that paths are relative to.
        has_absolute_paths: the trainer opens a path as it is written, whatever folder it is started in.
        may_reference: clips may stay where they are, named by absolute paths.
        caches_by_stem: the trainer keeps what it computes of a clip under its file's stem, whatever its folder.
        forbidden_in_target: words that the target's path must not contain, because the trainer replaces them.
        forbidden_in_texts: words that captions and questions must not contain, because the trainer replaces them.
        use: how to point the trainer at the target.
        use_images: what goes behind it where there are first frames.
    """

    name: str
    trainer: str
    layout: Layout
    reads: Reads
    use: str
    clips: str | None = "videos"
    images: str | None = None
    base: str = "."
    has_absolute_paths: bool = False
    may_reference: bool = False
    caches_by_stem: bool = False
    forbidden_in_target: tuple[str, ...] = ()
    forbidden_in_texts: tuple[str, ...] = ()
    use_images: str = ""
