"""The first chosen frame of a clip as a small picture inside the page."""

from __future__ import annotations

import base64

from framescribe.report.overview import Row
from framescribe.types import Clip, FrameSampling
from framescribe.video.decode import decode_frames
from framescribe.video.encode import encode_jpeg

LONG_SIDE_PX = 400


def thumbnail(row: Row) -> str:
    """A ``data:`` URI.

    Raises:
        ClipError: there is no picture to be had; why.
    """
    clip = Clip(row["source_video"], row.get("start_s") or 0.0, row.get("end_s"))
    frames = decode_frames(clip, FrameSampling(row.get("strategy") or "chat", 1))
    jpeg = encode_jpeg(frames.pixels[0], LONG_SIDE_PX)
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
