"""What a caller in Python may give for clips: names, videos in memory, spans."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import IO, TypeGuard, cast

from framescribe.errors import UsageError
from framescribe.pipeline.sources import check_sources, expand_sources
from framescribe.types import Clip
from framescribe.video_frames import VideoFrames

Source = str | Path | bytes | IO[bytes] | VideoFrames | Clip


def as_clip(source: Source) -> Clip:
    """Wraps what a caller may give for a whole video; bytes and nameless files are labelled by their content."""
    if isinstance(source, Clip):
        return source
    if isinstance(source, str | Path):
        return Clip(os.fspath(source))
    if isinstance(source, VideoFrames):
        return Clip(source.name, data=source)
    if isinstance(source, bytes):
        return Clip(f"bytes:{hashlib.sha256(source).hexdigest()[:16]}", data=source)
    if hasattr(source, "shape"):
        raise UsageError(
            "pictures in memory need the times at which they are shown: VideoFrames(pictures, fps=24)"
        )
    if not hasattr(source, "read"):
        raise UsageError(
            f"a clip must be a path, URL, bytes, open binary file, VideoFrames or Clip, not {source!r}"
        )
    if isinstance(name := getattr(source, "name", None), str):
        return Clip(name, data=source)
    if source.seekable():
        source.seek(0)
    if not isinstance(content := source.read(), bytes):
        raise UsageError(f"{source!r} is open as text; open it in binary mode")
    return as_clip(content)


def listed(sources: Source | Iterable[Source]) -> Iterable[Source]:
    """One source as a list of it.

    Raises:
        UsageError: what can be neither a source nor a list of sources.
    """
    if isinstance(sources, str | Path | bytes | Clip | VideoFrames):
        return [sources]
    if hasattr(sources, "read") or hasattr(sources, "shape"):
        return [cast(Source, sources)]  # an open file, or an array, which ``as_clip`` refuses
    if not isinstance(sources, Iterable):
        raise UsageError(f"sources must be paths, URLs, Clips … or a list of them, not {sources!r}")
    return sources


def given_clips(sources: Source | Iterable[Source]) -> Iterator[Clip]:
    """Every clip that sources name. What is no source at all is refused now, not where it is met."""
    sources = listed(sources)
    if isinstance(sources, list | tuple):
        check_sources(os.fspath(source) for source in sources if _may_be_many(source))
        sources = [source if _may_be_many(source) else as_clip(source) for source in sources]
    return chain.from_iterable(_expanded(source) for source in sources)


def _expanded(source: Source) -> Iterable[Clip]:
    return expand_sources([os.fspath(source)]) if _may_be_many(source) else [as_clip(source)]


def _may_be_many(source: Source) -> TypeGuard[str | Path]:
    """Whether a source is a name that is looked up; a path to nothing is a clip, whose row says so."""
    if not isinstance(source, str | Path):
        return False
    name = os.fspath(source)
    return "://" in name or glob.has_magic(name) or os.path.exists(name)
