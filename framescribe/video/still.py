"""A clip's first picture as a PNG, for trainers that make videos from a picture."""

from __future__ import annotations

from pathlib import Path

from framescribe.files import write_file
from framescribe.types import Clip, FrameSampling
from framescribe.video.decode import decode_frames
from framescribe.video.encode import encode_png


def write_first_frame(clip: Clip, path: Path) -> None:
    """Writes the clip's first frame that can be read, upright, as RGB.

    Raises:
        ClipError: as ``decode_frames``.
        OSError: it cannot be written.
    """
    write_file(path, encode_png(decode_frames(clip, FrameSampling("uniform", num_frames=1)).pixels[0]))
