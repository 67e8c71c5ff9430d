"""MP4 files of H.264 and AAC: the same pictures give the same bytes, on any machine."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction

import av
from av.container import OutputContainer
from av.filter import Graph
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from framescribe.files import new_file

_THREADS = 4
"""As many on every machine: by itself x264 takes more the more cores there are, each with memory of its own, which in a
worker with a memory limit it may not get, and the output depends on their number."""

TURNS: Sequence[tuple[str, ...]] = ((), ("transpose=cclock",), ("hflip", "vflip"), ("transpose=clock",))
"""The filters that turn pictures by so many quarter turns, counterclockwise."""


@contextmanager
def new_mp4(
    path: str | os.PathLike[str], rate: Fraction, *, crf: int | None = None, params: Iterable[str] = ()
) -> Iterator[tuple[OutputContainer, VideoStream]]:
    """A file to be written, with an x264 stream. It has its name when the ``with`` statement ends, or is gone.

    Args:
        path: where to write; the folder must exist.
        rate: frames per second.
        crf: x264's quality, 0 (lossless) to 51; None leaves x264's own.
        params: more of x264's own parameters, each as ``name=value``.
    """
    # With its macroblock tree the output differs from run to run.
    options = {"x264-params": ":".join(["mbtree=0", *params]), "threads": str(_THREADS)}
    options |= {} if crf is None else {"crf": str(crf)}
    with new_file(path) as file, av.open(file.name, "w", format="mp4") as container:
        yield container, container.add_stream("libx264", rate=rate, options=options)


class Filters:
    """A chain of FFmpeg's filters for decoded frames, set up anew where their form changes within a video."""

    def __init__(self) -> None:
        self._form: tuple[object, ...] | None = None
        self._graph = Graph()

    def steps(self, frame: VideoFrame) -> list[str]:
        """The filters for frames like this one, each as ``name=options``."""
        raise NotImplementedError

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        form = (frame.width, frame.height, frame.format.name, frame.rotation)
        if form != self._form:
            self._graph, self._form = _graph(frame, self.steps(frame)), form
        self._graph.push(frame)
        picture = self._graph.pull()
        assert isinstance(picture, VideoFrame)
        return picture


def _graph(frame: VideoFrame, steps: Sequence[str]) -> Graph:
    graph = Graph()
    # With many cores, each scaling a few rows, a picture is sometimes not ready when it is asked for.
    graph.threads = 1
    source = graph.add(
        "buffer",
        video_size=f"{frame.width}x{frame.height}",
        pix_fmt=frame.format.name,
        time_base="1/1",
        pixel_aspect="1/1",  # pictures are scaled, or the file says it
        colorspace=str(int(frame.colorspace)),
        range=str(int(frame.color_range)),
    )
    filters = [
        graph.add(name, options or None) for name, _, options in (step.partition("=") for step in steps)
    ]
    graph.link_nodes(source, *filters, graph.add("buffersink")).configure()
    return graph


def encoded(stream: VideoStream, picture: VideoFrame, pts: int) -> list[Packet[VideoStream]]:
    """The packets that come of a picture that is shown at ``pts``, in units of the encoder's time base."""
    picture.pts, picture.time_base = pts, stream.codec_context.time_base
    picture.pict_type = 0  # the encoder chooses, whatever it was in the source
    return stream.encode(picture)
