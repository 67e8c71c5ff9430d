"""What a browser needs to show a clip: whether it plays the file as it is, a small H.264 file, a strip of pictures."""

from __future__ import annotations

from collections.abc import Generator
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame

from framescribe.errors import ClipError, UsageError
from framescribe.files import write_file
from framescribe.types import Clip, FrameSampling
from framescribe.video.container import video_stream
from framescribe.video.decode import ShownFrame, decode_frames, shown_frames
from framescribe.video.encode import encode_strip
from framescribe.video.mp4 import TURNS, Filters, encoded, new_mp4
from framescribe.video.source import open_source

PREVIEW_SIDE_PX = 854
STRIP_PICTURES, STRIP_SIZE_PX = 8, (256, 144)
_GAP_PX = 4
_TIME_BASE = Fraction(1, 90_000)
_CRF = 27
_FAST = (
    "subme=1", "ref=1", "me=dia", "trellis=0", "rc-lookahead=0", "bframes=0", "scenecut=0", "8x8dct=0", "weightp=0",
    "keyint=30",
)  # fmt: skip
_MP4_CODECS, _WEBM_CODECS = {"h264", "av1", "vp9"}, {"vp8", "vp9", "av1"}
_PLAIN_PICTURES = {"yuv420p", "yuvj420p"}
_LATEST_START_S = 0.001


def playable_as(clip: Clip) -> str | None:
    """The media type under which browsers play the clip's file as it is; None where one of them may not.

    That is MP4 with H.264, VP9 or AV1, and WebM, in 8 bits and 4:2:0, whose clock starts at 0. Called in a worker.

    Raises:
        ClipError: the file cannot be read.
    """
    with open_source(clip) as file, video_stream(file, clip) as (container, stream):
        codec, picture = stream.codec_context.codec.canonical_name, stream.codec_context.pix_fmt
        start_s = float((stream.start_time or 0) * (stream.time_base or 0))
        if picture not in _PLAIN_PICTURES or abs(start_s) > _LATEST_START_S:
            return None
        if "mp4" in container.format.name and codec in _MP4_CODECS:
            return "video/mp4"
        file.seek(0)
        is_webm = "webm" in container.format.name and b"webm" in file.read(64)
        return "video/webm" if is_webm and codec in _WEBM_CODECS else None


def write_preview(clip: Clip, path: Path) -> Generator[None, None, None]:
    """Writes the clip's span as a small H.264 file without sound; yields as it goes on. Called in a worker.

    Frames keep their times, counted from the span's start; a picture that is held is shown as long as it is.

    Raises:
        ClipError: the clip cannot be read, or nothing is shown in its span.
        OSError: the file cannot be written.
    """
    upright = _Small()
    last: ShownFrame | None = None
    with new_mp4(path, Fraction(30), crf=_CRF, params=_FAST) as (container, stream):
        for shown in shown_frames(clip):
            picture = upright(shown.frame)
            if last is None:
                stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuv420p"
                stream.codec_context.time_base = _TIME_BASE
            pts = max(0, round(Fraction(shown.time_s - clip.start_s) / _TIME_BASE))
            container.mux(encoded(stream, picture, pts))
            last = shown
            yield
        if last is None:
            raise ClipError("decode", f"{clip.source_video}: nothing is shown in this span")
        if clip.end_s is not None and clip.end_s - last.time_s > 0.5:
            end = round(Fraction(clip.end_s - clip.start_s - 0.04) / _TIME_BASE)
            container.mux(encoded(stream, upright(last.frame), end))
        container.mux(stream.encode(None))


class _Small(Filters):
    """Decoded frames to upright yuv420p pictures of the first one's size."""

    def __init__(self) -> None:
        super().__init__()
        self._size: tuple[int, int] | None = None

    def steps(self, frame: VideoFrame) -> list[str]:
        turns = round(frame.rotation / 90) % 4
        if self._size is None:
            scale = min(1.0, PREVIEW_SIDE_PX / max(frame.width, frame.height))
            width, height = (max(2, round(side * scale / 2) * 2) for side in (frame.width, frame.height))
            self._size = width, height
        width, height = self._size
        return [f"scale={width}:{height}:flags=bilinear", "format=yuv420p", *TURNS[turns], "setsar=1"]


def write_strip(clip: Clip, path: Path) -> None:
    """Writes the strip that plays in a grid, picture by picture, whatever the clip's shape and length.

    Called in a worker.

    Raises:
        ClipError: no picture can be read.
        OSError: the file cannot be written.
    """
    write_file(path, strip(clip, STRIP_PICTURES, STRIP_SIZE_PX, is_padded=True))


def strip(clip: Clip, num_pictures: int, size_px: tuple[int, int], *, is_padded: bool) -> bytes:
    """A JPEG of pictures side by side, evenly over the clip. Called in a worker.

    Args:
        num_pictures: at most.
        size_px: width and height into which each is put.
        is_padded: each has all of that room, and a short clip's last one is repeated, so that all strips are of one
            size; otherwise they stand close to each other.

    Raises:
        ClipError: no picture can be read.
    """
    pixels_u8 = decode_frames(clip, FrameSampling("uniform", num_pictures)).pixels
    if len(pixels_u8) == 0:
        raise UsageError("the clip has no picture")
    if is_padded:
        places = np.minimum(np.arange(num_pictures), len(pixels_u8) - 1)
        return encode_strip(pixels_u8[places], *size_px)
    height, width = pixels_u8.shape[2:]
    scale = min(1.0, size_px[0] / width, size_px[1] / height)
    across, down = (max(2, round(side * scale / 2) * 2) for side in (width, height))
    return encode_strip(pixels_u8, across + _GAP_PX, down)
