"""What the steps of an export hand on: a row that offers a caption, and a clip with its caption."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import IO, Literal, get_args

from framescribe.shown import shown
from framescribe.types import DEFAULT_QUESTION, Clip, VideoFacts

Link = Literal["copy", "symlink", "hardlink", "reference"]
LINKS: tuple[Link, ...] = get_args(Link)


class Unusable(ValueError):
    """A row that does not go into the export. ``reason`` is short, the same for all such rows."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail or reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A row whose caption goes into the export, if its clip can.

    Attributes:
        clip_id: as in the row.
        clip: source, span, and what was asked about it.
        stem: the clip's file name in the export without its ending: unique, without dots.
        caption: one line of UTF-8, never empty.
        others: further captions of the same clip.
        row_caption: what it was before the clean-up, and before it was rewritten.
        is_accepted: whether people accepted it.
    """

    clip_id: str
    clip: Clip
    stem: str
    caption: str
    row_caption: str
    others: tuple[str, ...] = ()
    is_accepted: bool = False

    @property
    def source_video(self) -> str:
        return self.clip.source_video


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A clip and its caption, as the trainer will see them.

    Attributes:
        clip_id, clip, stem, caption: as in ``Candidate``.
        suffix: of the clip's file, lower case, ``.mp4``.
        facts: of the clip's file, as it is in the export.
        path: of the clip, as the trainer's files name it.
        file: the clip, open, where it is packed into tar files.
        image: its first frame's path, as the trainer's files name it; empty where none was asked for.
    """

    clip_id: str
    clip: Clip
    stem: str
    suffix: str
    caption: str
    facts: VideoFacts
    path: str
    file: IO[bytes] | None = field(default=None, repr=False, compare=False)
    image: str = ""

    @property
    def rate(self) -> str:
        """Frames per second to three places, as file names hold them: ``29_970``."""
        return f"{self.facts.fps:.3f}".replace(".", "_")

    def values(self) -> dict[str, object]:
        """What ``layouts.toml`` can say of a pair, by name."""
        facts = self.facts
        return {
            "path": self.path,
            "caption": self.caption,
            "image": self.image,
            "key": self.stem,
            "clip_id": self.clip_id,
            "question": self.clip.prompt or DEFAULT_QUESTION,
            "source_video": self.clip.source_video,
            "shown_source": shown(self.clip.source_video),
            "start_s": self.clip.start_s,
            "end_s": self.clip.end_s,
            "width": facts.width,
            "height": facts.height,
            "num_pixels": facts.width * facts.height,
            "aspect_ratio": round(facts.height / facts.width, 6),  # as Open-Sora's tools write it
            "fps": facts.fps,
            "rounded_fps": round(facts.fps, 6),
            "rate": self.rate,
            "num_frames": facts.num_frames,
            "last_frame": facts.num_frames - 1,
            "duration_s": facts.duration_s,
        }
