"""Frames in, an H.264 file out; a frame in, a JPEG or PNG out."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from framescribe.errors import UsageError
from framescribe.files import write_file
from framescribe.types import Clip, FrameSampling
from framescribe.video.decode import decode_frames
from framescribe.video.mp4 import encoded, new_mp4


def write_mp4(
    path: str | os.PathLike[str], frames_u8: np.ndarray[Any, np.dtype[np.uint8]], fps: float
) -> None:
    """Write frames as H.264 (yuv420p) in MP4, to a temporary name first: a file of this name is always whole.

    Args:
        path: where to write; the folder must exist.
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
    with new_mp4(path, rate) as (container, stream):
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = 1 / rate
        for number, frame in enumerate(frames_u8):
            container.mux(encoded(stream, _picture(frame), number))
        container.mux(stream.encode(None))


def encode_still(
    picture_u8: np.ndarray[Any, np.dtype[np.uint8]], jpeg_q: int | None = None, long_side: int | None = None
) -> bytes:
    """A picture as a PNG, which loses nothing, or as a JPEG whose colours are sampled as often as its brightness.

    Args:
        picture_u8: uint8 [3, H, W], RGB.
        jpeg_q: quality of a JPEG, as FFmpeg counts it: 2 is the best, 31 the smallest. None is a PNG.
        long_side: in pixels, to which a larger picture is shrunk; None leaves it as it is.
    """
    pixels = "rgb24" if jpeg_q is None else "yuvj444p"
    picture = _shrunk(picture_u8, long_side or max(picture_u8.shape[1:]), pixels)
    if jpeg_q is None:
        return _alone(picture, "png", {"compression_level": "1"})
    return _alone(picture, "mjpeg", {"qmin": str(jpeg_q), "qmax": str(jpeg_q)})


def encode_strip(pictures_u8: np.ndarray[Any, np.dtype[np.uint8]], width: int, height: int) -> bytes:
    """Pictures side by side as one JPEG, each whole in a dark field of one size.

    Args:
        pictures_u8: uint8 [T, 3, H, W], RGB.
        width, height: of a field, in pixels; even.
    """
    scale = min(width / pictures_u8.shape[3], height / pictures_u8.shape[2])
    across, down = (max(2, round(side * scale / 2) * 2) for side in pictures_u8.shape[:1:-1])
    left, top = (width - across) // 2, (height - down) // 2
    strip = np.full((height, width * len(pictures_u8), 3), 24, np.uint8)
    for place, picture in enumerate(pictures_u8):
        small = _picture(picture).reformat(across, down, "rgb24", interpolation="AREA").to_ndarray()
        at = place * width + left
        strip[top : top + down, at : at + across] = small
    whole = av.VideoFrame.from_ndarray(strip, "rgb24").reformat(format="yuvj420p")
    return _alone(whole, "mjpeg", {"qmin": "5", "qmax": "5"})


def write_first_frame(clip: Clip, path: Path) -> None:
    """Writes the clip's first frame that can be read, upright, as a PNG.

    Raises:
        ClipError: as ``decode_frames``.
        OSError: it cannot be written.
    """
    picture_u8 = decode_frames(clip, FrameSampling("uniform", num_frames=1)).pixels[0]
    write_file(path, _alone(_picture(picture_u8), "png", {}))


def _shrunk(picture_u8: np.ndarray[Any, np.dtype[np.uint8]], long_side: int, pixels: str) -> av.VideoFrame:
    height, width = picture_u8.shape[1:]
    scale = min(1.0, long_side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return _picture(picture_u8).reformat(*size, pixels, interpolation="AREA")


def _picture(picture_u8: np.ndarray[Any, np.dtype[np.uint8]]) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(picture_u8.transpose(1, 2, 0)), "rgb24")


def _alone(picture: av.VideoFrame, codec: str, options: dict[str, str]) -> bytes:
    """A picture as a file of its own."""
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = picture.width, picture.height, picture.format.name
    encoder.time_base, encoder.options = Fraction(1), options
    return b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])
