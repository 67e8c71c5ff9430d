"""From an open file to its video stream, with nothing read yet."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from typing import IO, Any

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from framescribe.errors import ClipError
from framescribe.reading import Foreign
from framescribe.types import Clip

# What is not UTF-8 in metadata is kept as surrogates, as PyAV 19 does without being asked.
_METADATA: dict[str, Any] = (
    {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "surrogateescape"}
)

MAX_PIXELS = 8192 * 8192
"""The largest picture that is decoded: a broken header may claim any size."""


_FOREIGN_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,gif,mjpeg,h264,hevc,obu"
)
_FOREIGN_CODECS = (
    "h264,hevc,libdav1d,av1,vp8,vp9,libvpx,libvpx-vp9,mpeg1video,mpeg2video,mpeg4,msmpeg4,msmpeg4v2,h263,h263p,flv,"
    "wmv1,wmv2,wmv3,vc1,theora,mjpeg,prores,gif"
)
"""Of FFmpeg's many, those in which videos come: an odd one has few users, and the more faults that nobody has met."""


def open_container(file: IO[bytes], is_foreign: bool = False) -> InputContainer:
    """An open file as FFmpeg reads it. No protocol is allowed: a playlist must not make us open other files or URLs.

    Args:
        file: at its start.
        is_foreign: open it only if it is of a common kind.

    Raises:
        FFmpegError: it is no media file.
    """
    options = {"protocol_whitelist": "none"}
    if is_foreign:
        options |= {"format_whitelist": _FOREIGN_FORMATS, "codec_whitelist": _FOREIGN_CODECS}
    container: InputContainer = av.open(file, "r", options=options, **_METADATA)
    return container


@contextlib.contextmanager
def video_stream(file: IO[bytes], clip: Clip) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and the video stream that a player would show, from the start, with nothing read yet."""
    name = clip.source_video
    file.seek(0)
    try:
        container = open_container(file, is_foreign := isinstance(clip.data, Foreign))
    except MemoryError:
        raise  # FFmpeg's is one of its errors, and says nothing of the file
    except av.FFmpegError as error:
        if is_foreign and error.errno == errno.EINVAL:
            raise ClipError("decode", f"{name}: its format is none that is taken here") from error
        raise ClipError("decode", f"{name}: cannot be read as a video file: {reason(error)}") from error
    with container:
        # A cover is a picture attached to music, not a video.
        streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams or container.format.name == "tty":
            raise ClipError("decode", f"{name}: has no video stream, only {_contents(container)}")
        best = container.streams.best("video")
        stream = best if isinstance(best, VideoStream) and best in streams else streams[0]
        context = stream.codec_context
        if context is None:
            raise ClipError("decode", f"{name}: no decoder for its video stream (unknown or encrypted)")
        if context.width * context.height > MAX_PIXELS:
            raise ClipError(
                "decode",
                f"{name}: pictures of {context.width}x{context.height} are too large (67 megapixels at most)",
            )
        if is_foreign and context.codec.name not in _FOREIGN_CODECS.split(","):
            raise ClipError("decode", f"{name}: its codec, {context.codec.name}, is none that is taken here")
        context.options = {"max_pixels": str(MAX_PIXELS)}
        yield container, stream


def _contents(container: InputContainer) -> str:
    if container.format.name == "tty":
        return "text"
    kinds = [f"{s.type} ({s.codec_context.codec.canonical_name})" for s in container.streams.audio]
    return ", ".join(kinds) or ", ".join(s.type for s in container.streams) or "an empty container"


def reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
