"""What the writers share: a clip with its caption, and what a trainer's format is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal, Protocol, get_args

Link = Literal["copy", "symlink", "hardlink", "reference"]
LINKS: tuple[Link, ...] = get_args(Link)


class Unusable(ValueError):
    """A row that does not go into the export. ``reason`` is short, the same for all such rows."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail or reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A clip and its caption.

    Attributes:
        clip_id, source_video: as in the row.
        stem: the clip's file name in the export without its ending: unique, without dots.
        suffix: of the clip's file, lower case, ``.mp4``.
        caption: one line of UTF-8, never empty.
        width, height, fps, duration_s: of the clip, where the row knows them.
        path: of the clip, as the trainer's files name it.
        file: the clip, open, where it is packed into the format's own files.
    """

    clip_id: str
    source_video: str
    stem: str
    suffix: str
    caption: str
    width: int | None
    height: int | None
    fps: float | None
    duration_s: float | None
    path: str = ""
    file: IO[bytes] | None = field(default=None, repr=False, compare=False)

    @property
    def num_frames(self) -> int:
        """Frames of the clip, by its length and rate; 0 where the row does not say."""
        return round((self.duration_s or 0) * (self.fps or 0))


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
        clips: folder of the clips; None packs them into the layout's own files.
        base: folder that paths are relative to.
        has_absolute_paths: the trainer opens a path as it is written, whatever folder it is started in.
        may_reference: clips may stay where they are, named by absolute paths.
        suffixes: the only ones that the trainer finds, or None.
        needs: facts of the clip without which the trainer skips it or fails.
        forbidden_in_target: words that the target's path must not contain, because the trainer replaces them.
        use: how to point the trainer at the target.
    """

    name: str
    trainer: str
    layout: Layout
    use: str
    clips: str | None = "videos"
    base: str = "."
    has_absolute_paths: bool = False
    may_reference: bool = False
    suffixes: tuple[str, ...] | None = None
    needs: tuple[str, ...] = ()
    forbidden_in_target: tuple[str, ...] = ()
