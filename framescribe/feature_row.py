"""What a model saw in one clip, as one vector."""

from __future__ import annotations

from dataclasses import dataclass

from framescribe.plain_row import PlainRow

FEATURE_SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureRow(PlainRow):
    """Pooled features of a clip's frames.

    ``clip_id`` and ``features_of`` name it; the last one counts.

    Attributes:
        clip_id: the clip's id, as in ``CaptionRow``.
        source_video: path or URL, exactly as it was named.
        start_s: first second of the span, counted from the video's first frame.
        end_s: end of the span in seconds, exclusive; null for the end of the video.
        features_of: what made them: model, revision and pooling. Only features of one name compare.
        features: the vector, as little-endian float16, two bytes a number.
        num_frames: frames that they are pooled over.
        engine_version: version of framescribe that wrote the row.
        created_at: when: ISO 8601, UTC.
        schema_version: version of these columns.
    """

    clip_id: str
    source_video: str
    start_s: float
    end_s: float | None
    features_of: str
    features: bytes
    num_frames: int
    engine_version: str
    created_at: str | None = None
    schema_version: int = FEATURE_SCHEMA_VERSION


POOLING, PARTS, PIXEL_NUMBERS = "mean-max-std-detail", 4, 8
"""How ``model/pooling.py`` pools; another way is another name. How many equally long parts that gives, and how many
numbers at the end of the last one are of pixels.
"""


def features_of(model: str, revision: str | None) -> str:
    """What a checkpoint's features are known by: ``tiny@a1b2c3 mean-max-std-detail``."""
    return f"{model}@{revision} {POOLING}"


def are_alike(features_of: str, other: str) -> bool:
    """Whether features compare: revision and pooling say so, whatever path or name the model was loaded by."""
    return features_of.rpartition("@")[2] == other.rpartition("@")[2]
