"""From a clip to the frames that the model sees. The only file that decodes.

A first pass reads the packets without decoding them: they say when each frame is shown. Frames are chosen
from that, and a second pass decodes what leads to them. Where the packets turn out not to tell the truth
(damage, no timestamps), a slow reading decodes everything, packet by packet, and the choice is made among
what decodes.

Not known here: damage between chosen frames that the second pass skips over; mirrored display; non-square
pixels and HDR transfer curves (pictures are given as they are stored, upright).
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from framescribe.types import Clip, ClipError, Frames, FrameSampling, VideoFacts
from framescribe.video.packets import SEEKABLE_FORMATS, index_packets, packets
from framescribe.video.sample import Selection, select_frames
from framescribe.video.source import open_source
from framescribe.video.timeline import PacketIndex, Span, cut

MAX_PIXELS = 8192 * 8192
"""The largest picture that is decoded: a broken header may claim any size."""

_SEEK_FRAMES = 24
"""About as many frames are decoded in the time that a seek takes."""

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Chooser = Callable[[Span, float], Selection]
Allocator = Callable[[tuple[int, ...]], Pixels]
FrameReader = Callable[[InputContainer, VideoStream, PacketIndex, list[int]], Iterator[VideoFrame]]


class _IndexDisagrees(Exception):
    """The decoder does not give the frames that were announced."""

    def __str__(self) -> str:
        return "its frames differ from one reading to the next"


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """A clip looked at: what ``select_frames`` needs.

    Attributes:
        facts: of the clip.
        timestamps_s: float64 [N], seconds from the clip's start to each of its frames.
        average_fps: frames per second as the container states them.
    """

    facts: VideoFacts
    timestamps_s: NDArray[np.float64]
    average_fps: float


def _allocate(shape: tuple[int, ...]) -> Pixels:
    return np.empty(shape, np.uint8)


def decode_frames(clip: Clip, sampling: FrameSampling, allocate: Allocator = _allocate) -> Frames:
    """Decode the frames of a clip that ``sampling`` chooses.

    Args:
        clip: what to read.
        sampling: which of its frames.
        allocate: gives the uint8 array of a shape that the pixels are written to, such as shared memory.

    Returns:
        Frames with pixels uint8 [T, 3, H, W], RGB, upright, and timestamps in seconds from the clip's start.

    Raises:
        ClipError: at stage ``open`` (the source cannot be opened), ``decode`` (nothing in it can be read as
            video) or ``sample`` (the span holds no frame).
    """

    def choose(span: Span, average_fps: float) -> Selection:
        return select_frames(span.timestamps_s, average_fps, span.duration_s, sampling)

    seen, selection, pixels = _read(clip, choose, allocate)
    return Frames(
        pixels=pixels,
        indices=selection.indices,
        timestamps_s=tuple(seen.timestamps_s[list(selection.indices)].tolist()),
        covered_s=selection.covered_s,
        facts=seen.facts,
    )


def probe(clip: Clip) -> Probe:
    """Look at a clip and decode no more than its first frame (all of it where the packets cannot be trusted).

    Raises:
        ClipError: as ``decode_frames``.
    """
    return _read(clip, lambda span, average_fps: Selection(indices=(0,), covered_s=0.0), _allocate)[0]


def _read(clip: Clip, choose: Chooser, allocate: Allocator) -> tuple[Probe, Selection, Pixels]:
    with open_source(clip) as file:
        try:
            with _video_stream(file, clip) as (container, stream):
                index = index_packets(container, stream)
            if index.is_reliable:
                with contextlib.suppress(_IndexDisagrees, av.FFmpegError):
                    return _read_chosen(clip, file, choose, allocate, index, pts=index.pts, frames=_frames_at)
            with _video_stream(file, clip) as (container, stream):
                pts = _readable_pts(container, stream, index)
            if len(pts) == 0:
                raise ClipError("decode", f"{clip.source_video}: none of its frames can be decoded")
            return _read_chosen(clip, file, choose, allocate, index, pts=pts, frames=_frames_numbered)
        except (_IndexDisagrees, av.FFmpegError, OSError) as error:
            raise ClipError("decode", f"{clip.source_video}: cannot be decoded: {_reason(error)}") from error


def _read_chosen(
    clip: Clip,
    file: IO[bytes],
    choose: Chooser,
    allocate: Allocator,
    index: PacketIndex,
    *,
    pts: NDArray[np.int64],
    frames: FrameReader,
) -> tuple[Probe, Selection, Pixels]:
    span = cut(index.timeline(pts), clip)
    selection = choose(span, index.average_fps)
    wanted, slots = np.unique(selection.indices, return_inverse=True)
    with _video_stream(file, clip) as (container, stream):
        codec = stream.codec_context.codec.canonical_name
        pictures = _upright(frames(container, stream, index, (wanted + span.first).tolist()))
        pixels: Pixels = np.empty((0, 3, 0, 0), np.uint8)
        for number, picture in enumerate(pictures):
            if number == 0:
                pixels = allocate((len(slots), *picture.shape))
            pixels[slots == number] = picture
    facts = VideoFacts(
        width=pixels.shape[3],
        height=pixels.shape[2],
        fps=index.average_fps,
        duration_s=span.duration_s,
        codec=codec,
        num_frames=len(span.timestamps_s),
        missing_s=span.missing_s,
    )
    return Probe(facts, span.timestamps_s, index.average_fps), selection, pixels


def _upright(frames: Iterable[VideoFrame]) -> Iterator[Pixels]:
    """RGB pictures [3, H, W], all of the first one's size (a stream may change it), turned as displayed."""
    width = height = quarter_turns = 0
    for frame in frames:
        if not width:
            width, height, quarter_turns = frame.width, frame.height, round(frame.rotation / 90)
        rgb = frame.reformat(width, height, "rgb24").to_ndarray()
        upright: Pixels = np.rot90(rgb, quarter_turns)  # both count counterclockwise
        yield upright.transpose(2, 0, 1)


@contextlib.contextmanager
def _video_stream(file: IO[bytes], clip: Clip) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and the video stream that a player would show, from the start, with nothing read yet."""
    name = clip.source_video
    file.seek(0)
    try:
        # No protocol is allowed: a playlist must not make us open other files or URLs.
        container = av.open(file, "r", metadata_errors="ignore", options={"protocol_whitelist": "none"})
    except av.FFmpegError as error:
        raise ClipError("decode", f"{name}: cannot be read as a video file: {_reason(error)}") from error
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
        context.options = {"max_pixels": str(MAX_PIXELS)}
        yield container, stream


def _contents(container: InputContainer) -> str:
    if container.format.name == "tty":
        return "text"
    kinds = [f"{s.type} ({s.codec_context.codec.canonical_name})" for s in container.streams.audio]
    return ", ".join(kinds) or ", ".join(s.type for s in container.streams) or "an empty container"


def _frames_at(
    container: InputContainer, stream: VideoStream, index: PacketIndex, wanted: list[int]
) -> Iterator[VideoFrame]:
    """The frames with the timestamps ``index.pts[wanted]``, in order.

    Raises:
        _IndexDisagrees: one of them does not come, or comes damaged.
    """
    stream.thread_type = "AUTO"
    may_seek = container.format.name in SEEKABLE_FORMATS
    frames = _decoded(container, stream)
    position = 0  # number of the frame that comes next
    for number in wanted:
        target = int(index.pts[number])
        keyframe = int(index.keyframe_pts[np.searchsorted(index.keyframe_pts, target, side="right") - 1])
        is_far = np.searchsorted(index.pts, keyframe) - position > _SEEK_FRAMES
        sought = may_seek and is_far
        if sought:
            container.seek(keyframe, stream=stream)
            frames = _decoded(container, stream)
        for frame in frames:
            if sought and frame.pts is not None and frame.pts < index.pts[position]:
                may_seek = False  # landed before where we were: a file without an index; read on from here
            sought = False
            if frame.pts == target and not frame.is_corrupt:
                yield frame
                position = number + 1
                break
            if frame.pts is None or frame.pts >= target:
                raise _IndexDisagrees
        else:
            raise _IndexDisagrees


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    for packet in itertools.chain(packets(container, stream), [None]):  # None: give what is held back
        yield from stream.codec_context.decode(packet)


def _frames_numbered(
    container: InputContainer, stream: VideoStream, index: PacketIndex, wanted: list[int]
) -> Iterator[VideoFrame]:
    """Of the frames that can be read, those with the numbers ``wanted``, in order."""
    remaining = set(wanted)
    for number, frame in enumerate(_readable_frames(container, stream)):
        if number in remaining:
            remaining.remove(number)
            yield frame
        if not remaining:
            return
    raise _IndexDisagrees


def _readable_pts(container: InputContainer, stream: VideoStream, index: PacketIndex) -> NDArray[np.int64]:
    """int64 [N], ascending: when each frame that can be read is shown; by the frame rate where unsaid."""
    pts: list[int] = []
    for frame in _readable_frames(container, stream):
        stamps = (frame.pts, frame.dts, pts[-1] + index.frame_units if pts else 0)
        stamp = next(stamp for stamp in stamps if stamp is not None)
        pts.append(max(stamp, pts[-1]) if pts else stamp)
    return np.array(pts, np.int64)


def _readable_frames(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Every frame that decodes without damage, packet by packet, whatever fails in between."""
    context = stream.codec_context
    context.thread_count = 1  # threads report an error late, and good frames are lost with it
    for packet in itertools.chain(packets(container, stream), [None]):
        with contextlib.suppress(av.FFmpegError):
            yield from [frame for frame in context.decode(packet) if not frame.is_corrupt]


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
