"""A clip's file into the export: copied, linked, named where it is, or handed on open."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from framescribe.errors import ClipError, UsageError
from framescribe.export.pair import Candidate, Format, Link, Pair, Unusable
from framescribe.export.prepare import Ready, is_far
from framescribe.types import Clip
from framescribe.video.address import local_path
from framescribe.video.source import open_source


@contextmanager
def placed(
    candidate: Candidate, ready: Ready, target: Format, folder: Path, final: Path, link: Link
) -> Iterator[Pair]:
    """The clip with its caption, once its file is where its path leads and the trainer can read it.

    Args:
        candidate: whose clip to place.
        ready: the clip as it is, or as it was made.
        target: the format.
        folder: that is written into.
        final: what ``folder`` will be renamed to.
        link: how; a clip that was made lies in the export in any case.

    Raises:
        Unusable: the clip cannot be had, not in this way, or not read by the trainer.
        UsageError: hard links do not reach from here to there.
    """
    for word in target.forbidden_in_texts:
        if word in candidate.caption or word in (candidate.clip.prompt or ""):
            raise Unusable(f"{word} in the caption or the prompt", f"{target.trainer} takes it for a picture")
    if problem := target.reads.problem(ready.suffix, ready.facts):
        raise Unusable(*problem)
    with ExitStack() as stack:
        name = f"{candidate.stem}{ready.suffix}"
        if target.clips is None:
            path, file = name, stack.enter_context(_opened(candidate.clip, ready.made))
        else:
            path, file = (
                _place(candidate.clip, ready.made, Path(target.clips, name), target, folder, final, link),
                None,
            )
        yield Pair(
            clip_id=candidate.clip_id,
            clip=candidate.clip,
            stem=candidate.stem,
            suffix=ready.suffix,
            caption=candidate.caption,
            facts=ready.facts,
            path=path,
            file=file,
            image=_place_image(candidate.stem, ready.first_frame, target, folder),
        )


@contextmanager
def _opened(clip: Clip, made: Path | None) -> Iterator[IO[bytes]]:
    try:
        with open_source(clip if made is None else Clip(str(made))) as file:
            yield file
    except ClipError as error:
        raise Unusable("the clip's file cannot be read", str(error)) from error


def _place(
    clip: Clip, made: Path | None, place: Path, target: Format, folder: Path, final: Path, link: Link
) -> str:
    """Brings a clip into the export; its path as the trainer's files name it."""
    if made is None and link != "copy" and is_far(clip):
        raise Unusable(f"no local file to {link}", f"{clip.source_video}: use `link=copy`")
    path = place.relative_to(target.base).as_posix()
    if target.has_absolute_paths:
        path = _listable(final / place)
    source = Path(local_path(clip.source_video) or clip.source_video)
    if made is not None:
        _link_or_copy(made, folder / place)
    elif link == "copy":
        with _opened(clip, made) as file, (folder / place).open("xb") as copy:
            shutil.copyfileobj(file, copy, 1 << 20)
    elif link == "symlink":
        (folder / place).symlink_to(_outside(source.resolve(), final))
    elif link == "hardlink":
        _hardlink(source.resolve(), folder / place)
    else:
        path = _listable(_outside(source.resolve(), final))
    return path


def _place_image(stem: str, image: Path | None, target: Format, folder: Path) -> str:
    if image is None or target.images is None:
        return ""
    place = Path(target.images, f"{stem}.png")
    (folder / target.images).mkdir(parents=True, exist_ok=True)
    _link_or_copy(image, folder / place)
    return place.relative_to(target.base).as_posix()


def _link_or_copy(made: Path, place: Path) -> None:
    """Another name for a file that we made, where the file system has such."""
    with contextlib.suppress(OSError):
        os.link(made, place)
        return
    with made.open("rb") as file, place.open("xb") as copy:
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
