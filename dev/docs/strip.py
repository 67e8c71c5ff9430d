"""The picture in README: a strip of frames of one example clip."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from framescribe.types import Clip, FrameSampling
from framescribe.video.decode import decode_frames

CLIP = "examples/kite.mp4"
_FRAMES, _GAP_PX = 5, 4


def write_strip(target: Path) -> None:
    """Writes evenly spaced frames of the clip side by side, as PNG."""
    clip = Clip(str(Path(__file__).parents[2] / CLIP))
    pictures = decode_frames(clip, FrameSampling("uniform", num_frames=_FRAMES)).pixels.transpose(0, 2, 3, 1)
    gap = np.full((pictures.shape[1], _GAP_PX, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (gap, picture)][1:]
    target.write_bytes(_png(np.concatenate(parts, axis=1)))


def _png(picture: np.ndarray) -> bytes:
    encoder = av.CodecContext.create("png", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.height, encoder.width = picture.shape[:2]
    encoder.pix_fmt, encoder.time_base = "rgb24", Fraction(1)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
