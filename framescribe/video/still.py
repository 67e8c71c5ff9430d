"""A clip's first picture as a PNG, for trainers that make videos from a picture."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from framescribe.files import write_file
from framescribe.types import Clip, FrameSampling
from framescribe.video.decode import decode_frames


def write_first_frame(clip: Clip, path: Path) -> None:
    """Writes the clip's first frame that can be read, upright, as RGB.

    Raises:
        ClipError: as ``decode_frames``.
        OSError: it cannot be written.
    """
    picture = decode_frames(clip, FrameSampling("uniform", num_frames=1)).pixels[0]
    encoder = av.CodecContext.create("png", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.height, encoder.width = picture.shape[1:]
    encoder.pix_fmt, encoder.time_base = "rgb24", Fraction(1)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture.transpose(1, 2, 0)), "rgb24")
    write_file(path, b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)]))
