"""Clips in a form that another process can read."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from framescribe.reading import Member, open_regular
from framescribe.types import Clip
from framescribe.video.source import open_source


class _LocalFile(Member):
    """A file of this machine by its path."""

    def open(self) -> IO[bytes]:
        path: str = self.where[0]
        return open_regular(path)


@contextmanager
def crossing(clip: Clip) -> Iterator[Clip]:
    """The clip, within the ``with`` block: an open file without a name, or ``memory://``, is copied to a file.

    Raises:
        ClipError: what has to be copied cannot be read.
    """
    is_here = clip.data is None and clip.source_video.startswith("memory://")
    if not is_here and isinstance(clip.data, bytes | Member | None):
        yield clip
        return
    with open_source(clip) as file:
        if (path := _path(file)) is not None:
            yield _at(clip, path)
            return
        with tempfile.NamedTemporaryFile(prefix="framescribe-") as copy:
            shutil.copyfileobj(file, copy)
            copy.flush()
            yield _at(clip, copy.name)


def _at(clip: Clip, path: str) -> Clip:
    return dataclasses.replace(clip, data=_LocalFile(path))


def _path(file: IO[bytes]) -> str | None:
    """Where an open file lies, if it is a plain one that is still there."""
    try:
        status = os.fstat(file.fileno())
        path = os.path.abspath(file.name)
        return path if os.path.samestat(status, os.stat(path)) else None
    except (OSError, AttributeError, TypeError, ValueError):  # not of the system, without a name, or gone
        return None
