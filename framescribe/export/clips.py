"""A clip's file into the export: copied, linked, named where it is, or handed on open."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from framescribe.errors import ClipError, UsageError
from framescribe.export.layout import Layout
from framescribe.export.pair import Candidate, Link, Pair, Unusable
from framescribe.export.prepare import Ready, is_far
from framescribe.types import Clip
from framescribe.video.address import local_path
from framescribe.video.source import open_source


@dataclass(frozen=True, slots=True)
class Destination:
    """Where clips go.

    Attributes:
        layout: says under which names.
        folder: that is written into.
        final: what ``folder`` will be renamed to.
        link: how; a clip that was made lies in the export in any case.
    """

    layout: Layout
    folder: Path
    final: Path
    link: Link

    def make_folders(self) -> None:
        """Makes those that the layout has its clips in."""
        if self.layout.clips is not None:
            (self.folder / self.layout.clips).mkdir(parents=True, exist_ok=True)

    def found(self, path: str) -> Path:
        """The file that the trainer will find under a path of ``Pair.path``, as long as ``folder`` is not renamed."""
        clip = Path(self.folder, self.layout.base, path)
        return self.folder / clip.relative_to(self.final) if clip.is_relative_to(self.final) else clip


@contextmanager
def placed(candidate: Candidate, ready: Ready, to: Destination) -> Iterator[Pair]:
    """The clip with its caption, once its file is where its path leads and the trainer can read it.

    Args:
        candidate: whose clip to place.
        ready: the clip as it is, or as it was made.
        to: where.

    Raises:
        Unusable: the clip cannot be had, not in this way, or not read by the trainer.
        UsageError: hard links do not reach from here to there.
    """
    for word in to.layout.forbidden_in_texts:
        if any(word in text for text in (candidate.caption, *candidate.others, candidate.clip.prompt or "")):
            raise Unusable(
                f"{word} in the caption or the prompt", f"{to.layout.trainer} takes it for a picture"
            )
    if problem := to.layout.reads.problem(ready.suffix, ready.facts):
        raise Unusable(*problem)
    name = f"{candidate.stem}{ready.suffix}"
    opened: AbstractContextManager[IO[bytes] | None] = nullcontext()
    if to.layout.clips is None:
        path, opened = name, _opened(candidate.clip, ready.made)
    else:
        path = _place(candidate.clip, ready.made, Path(to.layout.clips, name), to)
    with opened as file:
        yield Pair(
            clip_id=candidate.clip_id,
            clip=candidate.clip,
            stem=candidate.stem,
            suffix=ready.suffix,
            caption=candidate.caption,
            facts=ready.facts,
            path=path,
            file=file,
            image=_place_image(candidate.stem, ready.first_frame, to),
        )


@contextmanager
def _opened(clip: Clip, made: Path | None) -> Iterator[IO[bytes]]:
    try:
        with open_source(clip if made is None else Clip(str(made))) as file:
            yield file
    except ClipError as error:
        raise Unusable("the clip's file cannot be read", str(error)) from error


def _place(clip: Clip, made: Path | None, place: Path, to: Destination) -> str:
    """Brings a clip into the export; its path as the trainer's files name it."""
    if made is None and to.link != "copy" and is_far(clip):
        raise Unusable(f"no local file to {to.link}", f"{clip.source_video}: use `link=copy`")
    path = place.relative_to(to.layout.base).as_posix()
    if to.layout.has_absolute_paths:
        path = _listable(to.final / place)
    source = Path(local_path(clip.source_video) or clip.source_video)
    if made is not None:
        _link_or_copy(made, to.folder / place)
    elif to.link == "copy":
        with _opened(clip, made) as file:
            _copy(file, to.folder / place)
    elif to.link == "symlink":
        (to.folder / place).symlink_to(_outside(source.resolve(), to.final))
    elif to.link == "hardlink":
        _hardlink(source.resolve(), to.folder / place)
    else:
        path = _listable(_outside(source.resolve(), to.final))
    return path


def _place_image(stem: str, image: Path | None, to: Destination) -> str:
    if image is None or to.layout.images is None:
        return ""
    place = Path(to.layout.images, f"{stem}.png")
    (to.folder / to.layout.images).mkdir(parents=True, exist_ok=True)
    _link_or_copy(image, to.folder / place)
    return place.relative_to(to.layout.base).as_posix()


def _link_or_copy(made: Path, place: Path) -> None:
    """Another name for a file that we made, where the file system has such."""
    with contextlib.suppress(OSError):
        os.link(made, place)
        return
    with made.open("rb") as file:
        _copy(file, place)


def _copy(file: IO[bytes], place: Path) -> None:
    with place.open("xb") as copy:
        shutil.copyfileobj(file, copy, 1 << 20)


def _outside(source: Path, final: Path) -> Path:
    if source.is_relative_to(final):
        raise Unusable(
            "lies in the target, which is replaced", f"{source}: use `link=copy` or another target"
        )
    return source


def _hardlink(source: Path, place: Path) -> None:
    try:
        place.hardlink_to(source)
    except OSError as error:
        raise UsageError(f"{source} cannot be hard-linked ({error.strerror}); use `link=copy`") from error


def _listable(path: Path) -> str:
    """The path, if a line of a text file can hold it."""
    text = str(path)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Unusable("its path is not UTF-8", f"{text!r}: use `link=copy`") from error
    if text.splitlines() != [text] or text != text.strip():
        raise Unusable("its path holds a line break or ends in a space", f"{text!r}: use `link=copy`")
    return text
