"""Captions as text files beside their videos: ``clip.mp4`` → ``clip.txt``."""

from __future__ import annotations

import contextlib
import os
import stat
from collections import Counter
from pathlib import Path

from framescribe.caption_row import CaptionRow
from framescribe.errors import ClipError, UsageError
from framescribe.files import concerns_one_name, write_file
from framescribe.quality.flags import DEFECTS
from framescribe.shown import shown
from framescribe.types import Clip
from framescribe.video.address import split_member

_SUFFIX = ".txt"


def sidecar_path(source_video: str) -> Path:
    """``clip.mp4`` → ``clip.txt`` beside it.

    Raises:
        UsageError: the video is behind a URL or in a tar, so that it has no side.
    """
    if split_member(source_video):
        raise UsageError(
            f"{shown(source_video)}: `txt` writes beside local files; use `output` for videos in tars"
        )
    if "://" in source_video:
        raise UsageError(
            f"{shown(source_video)}: `txt` writes beside local files; use `output` for videos behind URLs"
        )
    return Path(source_video).with_suffix(_SUFFIX)


def has_sidecar(clip: Clip) -> bool:
    """Whether a clip's text file is there."""
    return clip.problem is None and os.path.exists(sidecar_path(clip.source_video))


class Sidecars:
    """The text files of a run. Every clip is added before the first caption is written, so that none is lost to one.

    Attributes:
        refused: captions that were not written, by what is wrong with them.
    """

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()
        self._owners: dict[Path, str] = {}
        self._videos: dict[tuple[int, int], str] = {}  # those that a text file might be taken for

    def __enter__(self) -> Sidecars:
        return self

    def __exit__(self, *exception: object) -> None:
        """Each file is whole as soon as it is there."""

    def add(self, clip: Clip) -> Path:
        """Takes note of a clip. Returns where its caption will be.

        Raises:
            UsageError: it has no side, or another clip's caption goes there.
        """
        path = sidecar_path(clip.source_video)
        owner = self._owners.setdefault(path, clip.source_video)
        if owner != clip.source_video:
            raise UsageError(
                f"{shown(owner)} and {shown(clip.source_video)} would both write {shown(str(path))}; use `output`"
            )
        if Path(clip.source_video).suffix.lower() == _SUFFIX:
            with contextlib.suppress(OSError):
                self._videos[_identity(os.stat(clip.source_video))] = clip.source_video
        return path

    def check(self) -> None:
        """Raises UsageError if a caption's file is one of the clips."""
        if self._videos:
            for path, source in self._owners.items():
                with contextlib.suppress(OSError):
                    if video := self._videos.get(_identity(os.stat(path))):
                        raise UsageError(
                            f"{shown(source)}: its caption would replace the video {shown(video)}; use `output`"
                        )

    def write(self, row: CaptionRow) -> None:
        """Writes the row's caption beside its video, whole, unless it came out badly.

        No trainer asks what is wrong with a text file: a caption that is empty, cut off, looping, "!!!!" or no text is
        counted in ``refused`` and not written. An older file stays as it is.

        Raises:
            ClipError: not there: a name that is too long, no permission, or what is there is no plain text file.
            OSError: nothing can be written any more, such as on a full disk.
        """
        if defect := _defect(row):
            self.refused[defect] += 1
            return
        path = sidecar_path(row.source_video)
        try:
            _check_replaceable(path, row.source_video)
            write_file(path, f"{row.caption}\n")
        except OSError as error:
            if not concerns_one_name(error):
                raise
            raise ClipError("write", f"{shown(str(path))} cannot be written: {error.strerror}") from error


def _defect(row: CaptionRow) -> str | None:
    """What keeps a caption from being a training caption; those flags that a clean-up mends do not."""
    if row.caption_status != "success" or row.caption is None:
        return row.caption_status
    return next((flag for flag in row.flags if flag in DEFECTS), None)


def _check_replaceable(path: Path, source_video: str) -> None:
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(there.st_mode) or there.st_nlink > 1:
        reason = "is a link, a folder or a device, which a caption must not replace; move it away"
        raise ClipError("write", f"{shown(str(path))} {reason}")
    with contextlib.suppress(OSError):
        if _identity(there) == _identity(os.stat(source_video)):
            raise ClipError("write", f"{shown(str(path))} is the video itself; use `output` for its caption")


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
