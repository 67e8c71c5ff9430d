"""Size, shape, rate, length, and how strongly the video is compressed."""

from __future__ import annotations

import math

from framescribe.scores.pictures import ClipPictures


def measure(pictures: ClipPictures) -> dict[str, float]:
    facts = pictures.facts
    pixels = facts.width * facts.height * facts.num_frames
    return {
        "width": facts.width,
        "height": facts.height,
        "aspect": facts.width / facts.height,
        "fps": facts.fps,
        "duration_s": facts.duration_s,
        "bits_per_pixel": 8 * facts.video_bytes / pixels if facts.video_bytes else math.nan,
    }
