"""What browsers show of clips, made in processes that can be killed and kept in a folder of a bounded size."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from framescribe.errors import ClipError, UsageError
from framescribe.report.links import with_file_name
from framescribe.types import Clip
from framescribe.video.address import local_path
from framescribe.video.preview import playable_as, write_preview, write_strip
from framescribe.video.workers import DecodeWorkers

_VERSION = "2"
_AT_ONCE = 2
_TIMEOUT_S = 60.0
_KEPT_ANSWERS = 10_000
_OPENED_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Media:
    """A file that a browser plays.

    Attributes:
        path: of the file.
        media_type: its type, such as ``video/mp4``.
        is_original: it is the clip's own file, within which the clip is a span; otherwise it holds the span alone.
    """

    path: Path
    media_type: str
    is_original: bool


@dataclass(slots=True)
class _Turn:
    """Of those who want one file."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0


class Previews:
    """Files that browsers play, and strips of pictures.

    Args:
        folder: where they are kept; it is made.
        max_bytes: what it may hold; the longest unused go first, but none that was asked for within a minute.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder, self._max_bytes = folder, max_bytes
        folder.mkdir(parents=True, exist_ok=True)
        self._workers = DecodeWorkers(timeout_s=_TIMEOUT_S)
        self._turns = threading.Semaphore(_AT_ONCE)
        self._guard = threading.Lock()
        self._making: dict[str, _Turn] = {}
        self._types: dict[str, str | None] = {}

    def close(self) -> None:
        """Ends what is being made."""
        self._workers.__exit__(None, None, None)

    def video(self, row: Mapping[str, Any]) -> Media:
        """The file for a row's clip, made if need be.

        Raises:
            ClipError: the clip cannot be had; why.
        """
        clip = clip_of(row)
        key = _key(clip)
        original = local_path(clip.source_video)
        if original is not None and os.path.isfile(original):
            if key not in self._types:
                with self._turns:
                    media_type = self._workers.call(playable_as, clip)
                if len(self._types) >= _KEPT_ANSWERS:
                    self._types.clear()
                self._types[key] = media_type
            if (media_type := self._types[key]) is not None:
                return Media(Path(original), media_type, is_original=True)
        path = self._made(f"{key}.mp4", lambda made: self._workers.call(write_preview, clip, made))
        return Media(path, "video/mp4", is_original=False)

    def strip(self, row: Mapping[str, Any]) -> Path:
        """The JPEG of ``STRIP_PICTURES`` pictures of a row's clip.

        Raises:
            ClipError: there is no picture to be had; why.
        """
        clip = clip_of(row)
        return self._made(f"{_key(clip)}.jpg", lambda made: self._workers.call(write_strip, clip, made))

    def _made(self, name: str, make: Callable[[Path], object]) -> Path:
        path = self._folder / name[:2] / name
        with self._one_at_a_time(name):
            if path.is_file():
                with contextlib.suppress(OSError):
                    os.utime(path)  # used last
                return path
            path.parent.mkdir(exist_ok=True)
            try:
                with self._turns:
                    make(path)
            except OSError as error:
                raise ClipError("write", f"no preview can be kept: {error.strerror or error}") from error
        self._make_room()
        return path

    @contextmanager
    def _one_at_a_time(self, name: str) -> Iterator[None]:
        with self._guard:
            turn = self._making.setdefault(name, _Turn())
            turn.users += 1
        try:
            with turn.lock:
                yield
        finally:
            with self._guard:
                turn.users -= 1
                if not turn.users:
                    del self._making[name]

    def _make_room(self) -> None:
        with self._guard:
            files = []
            for path in self._folder.glob("??/*"):
                with contextlib.suppress(OSError):
                    status = path.stat()
                    files.append((status.st_mtime, status.st_size, path))
            held, now = sum(size for _, size, _ in files), time.time()
            for used, size, path in sorted(files):
                if held <= self._max_bytes or now - _OPENED_WITHIN_S < used <= now:
                    break  # all others were asked for later; whoever asked may not have opened his yet
                path.unlink(missing_ok=True)
                held -= size


def clip_of(row: Mapping[str, Any]) -> Clip:
    """The clip of a row of anyone's.

    Raises:
        ClipError: its span is none.
    """
    named = with_file_name(dict(row))
    try:
        return Clip(named["source_video"], row.get("start_s") or 0.0, row.get("end_s"))
    except UsageError as error:
        raise ClipError("open", str(error)) from error


def _key(clip: Clip) -> str:
    """Names what is made of a clip, and changes when its file does."""
    state = ""
    path = local_path(clip.source_video)
    if path is not None:
        with contextlib.suppress(OSError, ValueError):
            status = os.stat(path)
            state = f"{status.st_size}\0{status.st_mtime_ns}"
    text = f"{_VERSION}\0{os.path.abspath(path) if path else clip.source_video}\0{clip.start_s}\0{clip.end_s}\0{state}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
