"""Frames that came as picture files. A picture has one decoder, by its first bytes, and no container is looked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from framescribe.errors import ClipError
from framescribe.types import Frames, VideoFacts
from framescribe.video.container import MAX_PIXELS, reason
from framescribe.video.display import Display, Pixels
from framescribe.video_frames import EncodedFrames

_CODECS = {b"\xff\xd8\xff": "mjpeg", b"\x89PNG\r\n\x1a\n": "png", b"RIFF": "webp"}


def decode_pictures(sent: EncodedFrames, name: str, allocate: Callable[[tuple[int, ...]], Pixels]) -> Frames:
    """As ``decode_frames``, which see: every picture, scaled to the first one's size.

    Raises:
        ClipError: at stage ``decode``: a picture is none, or not whole.
    """
    display, pixels, codec = Display(), np.empty((0, 3, 0, 0), np.uint8), ""
    for number, content in enumerate(sent.pictures):
        codec = next((codec for start, codec in _CODECS.items() if content.startswith(start)), "")
        if not codec:
            raise ClipError("decode", f"{name}: picture {number} is neither JPEG, PNG nor WebP")
        try:
            picture = display(_decoded(content, codec))
        except MemoryError:
            raise  # one of FFmpeg's errors
        except (av.FFmpegError, ValueError) as error:
            message = f"{name}: picture {number} cannot be decoded: {reason(error)}"
            raise ClipError("decode", message) from error
        if number == 0:
            pixels = allocate((len(sent.pictures), *picture.shape))
        pixels[number] = picture
    height, width = pixels.shape[2:]
    facts = VideoFacts(width, height, sent.fps, sent.duration_s, codec, sent.num_frames)
    return Frames(pixels, sent.indices, sent.timestamps_s, sent.covered_s, facts)


def _decoded(content: bytes, codec: str) -> VideoFrame:
    if codec == "mjpeg" and b"\xff\xd9" not in content:
        raise ValueError("it is not whole")  # cut between two scans, the rest is a picture too
    context: Any = VideoCodecContext.create(codec, "r")
    context.thread_count = 1
    # What is not whole is refused: a picture that is half grey would be captioned as it is.
    context.options = {"max_pixels": str(MAX_PIXELS), "err_detect": "explode"}
    frames: list[VideoFrame] = [*context.decode(av.Packet(content)), *context.decode(None)]
    if len(frames) != 1:
        raise ValueError("it holds no picture")
    return frames[0]
