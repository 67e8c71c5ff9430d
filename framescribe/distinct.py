"""Gives each clip of a run once, and reports two videos that share an id."""

from __future__ import annotations

import os
from collections.abc import Iterator

from framescribe.reading import Member
from framescribe.shown import shown
from framescribe.types import Clip
from framescribe.video_frames import EncodedFrames, VideoFrames

_PART_BYTES = 1 << 16


class Distinct(Iterator[Clip]):
    """Clips without those that came before.

    Another video with the id of an earlier one (given ids, open files of one name) is neither dropped nor taken for
    it: it comes as a clip with an id of its own and a ``problem``. What is kept of a clip is two numbers, as there may
    be millions.

    Attributes:
        count: how many there are, once all have been read; None before.
    """

    def __init__(self, clips: Iterator[Clip]) -> None:
        self._clips = clips
        self._seen: dict[int, int] = {}
        self._passed = 0
        self._refused: set[int] = set()
        self.count: int | None = None

    def __next__(self) -> Clip:
        for clip in self._clips:
            content = hash((clip.source_video, clip.start_s, clip.end_s, clip.prompt, _fingerprint(clip)))
            known = self._seen.setdefault(hash(clip.id), content)
            if known != content and content not in self._refused:
                self._refused.add(content)
                return self._refuse(clip)
            if len(self._seen) > self._passed:
                self._passed += 1
                return clip
        self.count = self._passed + len(self._refused)
        raise StopIteration

    def _refuse(self, clip: Clip) -> Clip:
        problem = f"{shown(clip.source_video)}: another video of this run has the id {shown(clip.id)}"
        return Clip(
            clip.source_video,
            clip.start_s,
            clip.end_s,
            given_id=f"{clip.id}#{len(self._refused)}",
            problem=problem,
        )


def _fingerprint(clip: Clip) -> int:
    """Tells the contents of open files, bytes and pictures apart; 0 for what the source's name tells."""
    data = clip.data
    if data is None or isinstance(data, Member):
        return 0
    if isinstance(data, EncodedFrames):
        return hash(data.pictures)
    if isinstance(data, bytes):
        return hash(data)
    if isinstance(data, VideoFrames):
        return hash((data.pixels.shape, data.pixels[:1].tobytes(), data.pixels[-1:].tobytes()))
    try:
        position = data.tell()
        size = data.seek(0, os.SEEK_END)
        data.seek(max(0, size - _PART_BYTES))
        tail = data.read(_PART_BYTES)
        data.seek(0)
        head = data.read(_PART_BYTES)
        data.seek(position)
    except (OSError, ValueError, AttributeError):
        return 0  # opening it says what is wrong
    return hash((size, head, tail))
