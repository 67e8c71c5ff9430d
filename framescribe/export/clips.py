"""A clip's file into the export: copied, linked, named where it is, or handed on open."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from framescribe.errors import ClipError, UsageError
from framescribe.export.pair import Format, Link, Pair, Unusable
from framescribe.types import Clip
from framescribe.video.archive import MARK
from framescribe.video.source import open_source


@contextmanager
def placed(pair: Pair, target: Format, folder: Path, final: Path, link: Link) -> Iterator[Pair]:
    """The pair with its ``path``, once its clip is where that path leads.

    Args:
        pair: whose clip to place.
        target: the format.
        folder: that is written into.
        final: what ``folder`` will be renamed to.
        link: how.

    Raises:
        Unusable: the clip cannot be had, or not in this way.
        UsageError: hard links do not reach from here to there.
    """
    source = pair.source_video
    if link != "copy" and ("://" in source or f".tar{MARK}" in source):
        raise Unusable(f"no local file to {link}", f"{source}: use `link=copy`")
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open_source(Clip(source)))
        except ClipError as error:
            raise Unusable("the clip's file cannot be read", str(error)) from error
        name = f"{pair.stem}{pair.suffix}"
        if target.clips is None:
            yield replace(pair, path=name, file=file)
            return
        place = Path(target.clips, name)
        path = place.relative_to(target.base).as_posix()
        if target.has_absolute_paths:
            path = _listable(final / place)
        match link:
            case "copy":
                with (folder / place).open("xb") as copy:
                    shutil.copyfileobj(file, copy, 1 << 20)
            case "symlink":
                (folder / place).symlink_to(_outside(Path(source).resolve(), final))
            case "hardlink":
                _hardlink(Path(source).resolve(), folder / place)
            case "reference":
                path = _listable(_outside(Path(source).resolve(), final))
        yield replace(pair, path=path)


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
