"""A clip's file into the export: copied, linked, named where it is, made anew, or handed on open."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import IO

from framescribe.errors import ClipError, UsageError
from framescribe.export.pair import Candidate, Format, Link, Pair, Unusable
from framescribe.export.prepare import Preparation
from framescribe.types import Clip, VideoFacts
from framescribe.video.address import local_path, split_member
from framescribe.video.decode import probe
from framescribe.video.source import open_source


@contextmanager
def placed(
    candidate: Candidate, target: Format, folder: Path, final: Path, link: Link, preparation: Preparation
) -> Iterator[Pair]:
    """The clip with its caption, once its file is where its path leads and the trainer can read it.

    Args:
        candidate: whose clip to place.
        target: the format.
        folder: that is written into.
        final: what ``folder`` will be renamed to.
        link: how; a clip that is made anew lies in the export in any case.
        preparation: how clips are made anew.

    Raises:
        Unusable: the clip cannot be had, not in this way, or not read by the trainer.
        UsageError: hard links do not reach from here to there.
    """
    clip = candidate.clip
    _check_texts(candidate, target)
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open_source(clip))
            facts = probe(replace(clip, data=file)).facts
            suffix = PurePosixPath(clip.source_video).suffix.lower()
            problem = target.reads.problem(suffix, facts)
            if is_made := preparation.wants(clip, problem):
                scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder)), "made.mp4")
                preparation.make(replace(clip, data=file), facts, target.reads, scratch)
                file = stack.enter_context(scratch.open("rb"))
                facts, suffix = probe(Clip(str(scratch))).facts, ".mp4"
                problem = target.reads.problem(suffix, facts)
        except ClipError as error:
            raise Unusable("the clip's file cannot be read", str(error)) from error
        if problem is not None:
            raise Unusable(*problem)
        way = "copy" if is_made else link
        path = _place(file, clip.source_video, f"{candidate.stem}{suffix}", target, folder, final, way)
        yield _pair(candidate, suffix, facts, path, file if target.clips is None else None)


def _check_texts(candidate: Candidate, target: Format) -> None:
    for word in target.forbidden_in_texts:
        if word in candidate.caption or word in (candidate.clip.prompt or ""):
            raise Unusable(f"{word} in the caption or the prompt", f"{target.trainer} takes it for a picture")


def _pair(candidate: Candidate, suffix: str, facts: VideoFacts, path: str, file: IO[bytes] | None) -> Pair:
    return Pair(
        clip_id=candidate.clip_id,
        clip=candidate.clip,
        stem=candidate.stem,
        suffix=suffix,
        caption=candidate.caption,
        facts=facts,
        path=path,
        file=file,
    )


def _place(
    file: IO[bytes], source: str, name: str, target: Format, folder: Path, final: Path, link: Link
) -> str:
    """Brings a clip into the export; its path as the trainer's files name it."""
    if link != "copy" and (local_path(source) is None or split_member(source)):
        raise Unusable(f"no local file to {link}", f"{source}: use `link=copy`")
    if target.clips is None:
        return name
    place = Path(target.clips, name)
    path = place.relative_to(target.base).as_posix()
    if target.has_absolute_paths:
        path = _listable(final / place)
    match link:
        case "copy":
            file.seek(0)
            with (folder / place).open("xb") as copy:
                shutil.copyfileobj(file, copy, 1 << 20)
        case "symlink":
            (folder / place).symlink_to(_outside(Path(source).resolve(), final))
        case "hardlink":
            _hardlink(Path(source).resolve(), folder / place)
        case "reference":
            path = _listable(_outside(Path(source).resolve(), final))
    return path


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
