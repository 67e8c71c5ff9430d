"""Frames in, an H.264 file out; a frame in, a JPEG out."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import av
import numpy as np

from framescribe.errors import UsageError
from framescribe.files import new_file

# With x264's macroblock tree the output differs from run to run.
_REPEATABLE = {"x264-params": "mbtree=0"}


def write_mp4(
    path: str | os.PathLike[str], frames_u8: np.ndarray[Any, np.dtype[np.uint8]], fps: float
) -> None:
    """Write frames as H.264 (yuv420p) in MP4, to a temporary name first: a file of this name is always whole.

    Args:
        path: of the file; its folder must exist.
        frames_u8: uint8 [T, 3, H, W], RGB; H and W even, as yuv420p needs.
        fps: frames per second.

    Raises:
        UsageError: the frames are not of that form.
        OSError: the file cannot be written.
    """
    frames_u8 = np.asarray(frames_u8)
    if frames_u8.dtype != np.uint8 or frames_u8.ndim != 4 or frames_u8.shape[1] != 3 or len(frames_u8) == 0:
        raise UsageError(f"frames must be uint8 [T, 3, H, W], not {frames_u8.dtype} {list(frames_u8.shape)}")
    height, width = frames_u8.shape[2:]
    if height % 2 or width % 2:
        raise UsageError(f"H.264 in yuv420p needs an even width and height, not {width}x{height}")
    rate = Fraction(fps).limit_denominator(65535)
    frames = ((number / rate, frame) for number, frame in enumerate(frames_u8))
    _write_h264(path, frames, rate, time_base=1 / rate, options=_REPEATABLE)


def _write_h264(
    path: str | os.PathLike[str],
    frames: Iterable[tuple[Fraction, np.ndarray[Any, np.dtype[np.uint8]]]],
    rate: Fraction,
    *,
    time_base: Fraction,
    options: dict[str, str],
) -> None:
    """Encodes frames (seconds and uint8 [3, H, W]); no frames, no file."""
    frames = iter(frames)
    if (first := next(frames, None)) is None:
        return
    with new_file(path) as file, av.open(file.name, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate, options=options)
        height, width = (side - side % 2 for side in first[1].shape[1:])
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = time_base
        for time_s, frame in itertools.chain([first], frames):
            rgb = np.ascontiguousarray(frame[:, :height, :width].transpose(1, 2, 0))
            picture = av.VideoFrame.from_ndarray(rgb, "rgb24")
            picture.pts, picture.time_base = round(time_s / time_base), time_base
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def encode_jpeg(picture_u8: np.ndarray[Any, np.dtype[np.uint8]], long_side: int) -> bytes:
    """Shrink a picture until its long side has ``long_side`` pixels, and encode it as JPEG.

    Args:
        picture_u8: uint8 [3, H, W], RGB.
        long_side: in pixels; a smaller picture stays as large as it is.
    """
    height, width = picture_u8.shape[1:]
    scale = min(1.0, long_side / max(height, width))
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height = max(1, round(width * scale)), max(1, round(height * scale))
    encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1)
    encoder.qmin = encoder.qmax = 4
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture_u8.transpose(1, 2, 0)), "rgb24")
    shrunk = picture.reformat(encoder.width, encoder.height, "yuvj420p", interpolation="AREA")
    return b"".join(bytes(packet) for packet in [*encoder.encode(shrunk), *encoder.encode(None)])
