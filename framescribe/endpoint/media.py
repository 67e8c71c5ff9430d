"""What is sent of a clip: its chosen frames, or its file, as parts of an OpenAI message."""

from __future__ import annotations

import mimetypes
import tempfile
from base64 import b64encode
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from os import SEEK_END
from pathlib import Path
from typing import Any

import numpy as np

from framescribe.endpoint.held import HeldBytes
from framescribe.endpoint.spec import Endpoint
from framescribe.errors import ClipError
from framescribe.types import Clip, Frames, FrameSampling, VideoFacts
from framescribe.video.address import without_query
from framescribe.video.cutting import writing_clips
from framescribe.video.decode import probe
from framescribe.video.encode import encode_still, write_mp4
from framescribe.video.source import open_source
from framescribe.video.workers import DecodeWorkers
from framescribe.video_frames import VideoFrames

_PROBE_SIDE_PX = 224
_PROBE_FPS = 8
_MAX_FILE_BYTES = 256 << 20  # what servers take at most


@dataclass(frozen=True, slots=True)
class Media:
    """A clip as it is sent.

    Attributes:
        parts: of a message, before the question.
        fields: of the request beside its messages, which say when the frames are shown.
        held: bytes that are held for it (``HeldBytes``) until its questions are answered.
    """

    parts: list[dict[str, Any]]
    fields: dict[str, Any] = field(default_factory=dict)
    held: int = 0

    @property
    def length(self) -> int:
        """Characters of its parts' addresses, which are the data."""
        return sum(len(part[part["type"]]["url"]) for part in self.parts)

    def message(self, question: str) -> dict[str, Any]:
        """The message that asks about the clip."""
        return {"role": "user", "content": [*self.parts, {"type": "text", "text": question}]}


def frames_media(frames: Frames, endpoint: Endpoint) -> Media:
    """The chosen frames, and nothing else of the clip: as one sequence with its times, or as single pictures."""
    jpeg_q = None if endpoint.send == "png" else endpoint.jpeg_q
    stills: dict[int, str] = {}
    for index, picture in zip(frames.indices, frames.pixels, strict=True):
        if index not in stills:  # a frame that is shown for long is chosen several times
            stills[index] = b64encode(encode_still(picture, jpeg_q, endpoint.long_side)).decode()
    coded = [stills[index] for index in frames.indices]
    kind = "png" if jpeg_q is None else "jpeg"
    if endpoint.send == "images":
        return Media([_part("image_url", f"data:image/{kind};base64,{each}") for each in coded])
    times = {
        "frames_indices": list(frames.indices),
        "total_num_frames": frames.facts.num_frames,
        "duration": frames.facts.duration_s,
        "fps": frames.facts.fps,
        "do_sample_frames": False,
    }
    part = _part("video_url", f"data:video/{kind};base64,{','.join(coded)}")
    return Media([part], {"media_io_kwargs": {"video": times}})


def file_media(
    clip: Clip, workers: DecodeWorkers, held: HeldBytes, requests: int
) -> tuple[Media, VideoFacts]:
    """The clip's file as it is; of a span, a file that is cut out of it. Waits until there is room to hold it.

    Args:
        clip: whose file.
        workers: that look at it, and cut it.
        held: what may be held.
        requests: that will hold it too.

    Raises:
        ClipError: it cannot be read, or is larger than servers take.
    """
    if isinstance(clip.data, VideoFrames):
        raise ClipError("open", f"{clip.source_video}: pictures in memory have no file to send; send frames")
    facts = workers.call(probe, clip).facts
    with ExitStack() as stack:
        if clip.start_s == 0 and clip.end_s is None:
            file = stack.enter_context(open_source(clip))
            kind = mimetypes.guess_type(without_query(clip.source_video))[0] or ""
        else:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "clip.mp4"
            span = clip.start_s, clip.start_s + facts.duration_s
            for reason in workers.call(writing_clips, clip, {path: span}, False).values():
                raise ClipError("decode", f"{clip.source_video}: {reason}")
            file, kind = stack.enter_context(path.open("rb")), "video/mp4"
        file.seek(0, SEEK_END)
        length = file.tell()
        if length > _MAX_FILE_BYTES:
            raise ClipError(
                "open", f"{clip.source_video}: larger than {_MAX_FILE_BYTES >> 20} MB; send frames"
            )
        file.seek(0)
        with held.taking(length * 4 // 3 * (1 + requests)) as taken:
            media = _file(file.read(length), kind if kind.startswith("video/") else "video/mp4")
            return replace(media, held=taken), facts


def probe_media(endpoint: Endpoint, sampling: FrameSampling) -> Media:
    """As much as a clip gives, of a grey picture."""
    count = sampling.num_frames if endpoint.send != "video" else _PROBE_FPS
    ramp = np.linspace(0, 255, _PROBE_SIDE_PX).astype(np.uint8)
    pixels = np.broadcast_to(ramp, (count, 3, _PROBE_SIDE_PX, _PROBE_SIDE_PX))
    if endpoint.send == "video":
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "probe.mp4"
            write_mp4(path, pixels, _PROBE_FPS)
            return _file(path.read_bytes(), "video/mp4")
    seconds = tuple(map(float, range(count)))
    facts = VideoFacts(_PROBE_SIDE_PX, _PROBE_SIDE_PX, 1.0, float(count), "rawvideo", count)
    return frames_media(Frames(pixels, tuple(range(count)), seconds, float(count), facts), endpoint)


def _file(content: bytes, kind: str) -> Media:
    return Media([_part("video_url", f"data:{kind};base64,{b64encode(content).decode()}")])


def _part(kind: str, url: str) -> dict[str, Any]:
    return {"type": kind, kind: {"url": url}}
