"""What one scorer says of one clip."""

from __future__ import annotations

from dataclasses import dataclass

from framescribe.errors import ErrorStage
from framescribe.plain_row import PlainRow

SCORE_SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRow(PlainRow):
    """The scores that one scorer gave a clip, or why it gave none.

    ``clip_id`` and ``scorer`` name it; the last one counts.

    Attributes:
        clip_id: the clip's id, as in ``CaptionRow``.
        source_video: path or URL, exactly as it was named.
        start_s: first second of the span, counted from the video's first frame.
        end_s: end of the span in seconds, exclusive; null for the end of the video.
        scorer: what measured, such as ``motion``, or ``head:lecture`` for a learned head.
        version: of the scorer: another number, another meaning.
        names: names of its scores.
        values: the scores, in the order of their names; NaN where the clip has no such value.
        error_stage: where the clip failed; null where it did not.
        error_message: why it failed.
        source_sha256: of the source's bytes, where they were hashed.
        engine_version: version of framescribe that wrote the row.
        created_at: when: ISO 8601, UTC.
        schema_version: version of these columns.
    """

    clip_id: str
    source_video: str
    start_s: float
    end_s: float | None
    scorer: str
    version: int
    names: tuple[str, ...] = ()
    values: tuple[float, ...] = ()
    error_stage: ErrorStage | None = None
    error_message: str | None = None
    source_sha256: str | None = None
    engine_version: str
    created_at: str | None = None
    schema_version: int = SCORE_SCHEMA_VERSION
