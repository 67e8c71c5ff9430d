"""What the bytes of clips' sources are, from before captioning until the rows are there."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from framescribe.caption_row import CaptionRow
from framescribe.errors import ClipError
from framescribe.task import ClipTask
from framescribe.types import Clip
from framescribe.video.source import open_source


@dataclass(slots=True)
class _Hash:
    sha256: str | None
    rows: int


class SourceHashes:
    """SHA-256 of clips' source bytes; each is forgotten with the last row of its task."""

    def __init__(self) -> None:
        self._of: dict[str, _Hash] = {}

    def keep(self, task: ClipTask, sha256: str | None) -> None:
        """Remembers the hash of a clip that is about to be captioned."""
        self._of[task.clip.id] = _Hash(sha256, len(task.questions))

    def take(self, task: ClipTask) -> str | None:
        """The hash of a clip whose rows are made elsewhere; None if none was kept."""
        kept = self._of.pop(task.clip.id, None)
        return None if kept is None else kept.sha256

    def on(self, row: CaptionRow) -> CaptionRow:
        """The row with its source's hash, if one was kept."""
        if (kept := self._of.get(row.clip_id)) is None:
            return row
        kept.rows -= 1
        if not kept.rows:
            del self._of[row.clip_id]
        return replace(row, source_sha256=kept.sha256)


def source_sha256(clip: Clip) -> str | None:
    """None if the source cannot be opened: captioning it says why."""
    try:
        with open_source(clip) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    except (ClipError, OSError):
        return None
