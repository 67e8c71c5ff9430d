"""Whether a clip's source is what it was when it was captioned."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping

from framescribe.errors import ClipError
from framescribe.types import CaptionRow, Clip
from framescribe.video.source import open_source


class SourceHashes:
    """SHA-256 of clips' source bytes, from before captioning until the row is there."""

    def __init__(self) -> None:
        self._of: dict[str, str | None] = {}

    def changed(self, clips: Iterable[Clip], done: Mapping[str, str | None]) -> Iterator[Clip]:
        """The clips that have no row, or whose bytes are not those that their row tells of.

        A row without a hash tells of none, and counts; a row that failed to open its source had none to tell.
        """
        for clip in clips:
            sha256 = _sha256(clip)
            recorded = done.get(clip.id)
            if clip.id not in done or (recorded is not None and recorded != (sha256 or "")):
                self._of[clip.id] = sha256
                yield clip

    def take(self, clip_id: str) -> str | None:
        """The hash of a clip's source, which is forgotten."""
        return self._of.pop(clip_id, None)

    def on(self, row: CaptionRow) -> CaptionRow:
        """The row with its source's hash."""
        return dataclasses.replace(row, source_sha256=self.take(row.clip_id))


def _sha256(clip: Clip) -> str | None:
    """None if the source cannot be opened: captioning it says why."""
    try:
        with open_source(clip) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    except (ClipError, OSError):
        return None
