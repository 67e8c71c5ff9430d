"""Videos of the sizes that people have, made of the real example clips.

Their pictures, interpolated along their motion to 24 a second and enlarged, one scene after another, under a slow
pan, with film grain, which is what fills a bit rate in practice. Encoders run at their default settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.filter import Graph

FPS = 24
_SCENE_S = 6
_GRAIN = 3.0
"""Standard deviation of the grain, in grey levels."""

_PAN_PX = 64


def make(path: Path, sources: list[Path], size: tuple[int, int], duration_s: float, encoder: str) -> Path:
    """Writes one MP4 of ``size`` (width, height), encoded by libx264 or libx265 at its defaults."""
    partial = path.with_suffix(".part")
    with av.open(str(partial), "w", format="mp4") as container:
        stream = container.add_stream(encoder, rate=FPS, options={"x265-params": "log-level=none"})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for number, picture in enumerate(_pictures(sources, size, round(duration_s * FPS))):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return partial.rename(path)


def _pictures(sources: list[Path], size: tuple[int, int], count: int) -> Iterator[np.ndarray]:
    width, height = size
    chance = np.random.default_rng(0)
    noise = np.rint(chance.standard_normal((height + 256, width + 256, 1)) * _GRAIN).astype(np.int16)
    scene: list[av.VideoFrame] = []
    for number in range(count):
        scene_number, place = divmod(number, _SCENE_S * FPS)
        if place == 0:
            scene = list(smooth_frames(sources[scene_number % len(sources)]))
        frame = scene[min(place, len(scene) - 1)]
        large = frame.reformat(
            width + _PAN_PX, height + _PAN_PX, "rgb24", interpolation="LANCZOS"
        ).to_ndarray()
        x, y = place * _PAN_PX // (_SCENE_S * FPS), place * _PAN_PX // (2 * _SCENE_S * FPS)
        dy, dx = chance.integers(0, 256, 2)
        grainy = large[y : y + height, x : x + width] + noise[dy : dy + height, dx : dx + width]
        yield np.clip(grainy, 0, 255).astype(np.uint8)


def smooth_frames(path: Path) -> Iterator[av.VideoFrame]:
    """A video's frames, with others between them to make it ``FPS`` a second."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        graph = Graph()
        graph.link_nodes(
            graph.add_buffer(template=stream),
            graph.add("minterpolate", f"fps={FPS}:mi_mode=mci:mc_mode=aobmc:me_mode=bidir:vsbmc=1"),
            graph.add("buffersink"),
        ).configure()
        for frame in container.decode(stream):
            graph.push(frame)
            yield from _pulled(graph)
        graph.push(None)
        yield from _pulled(graph)


def _pulled(graph: Graph) -> Iterator[av.VideoFrame]:
    while True:
        try:
            frame = graph.pull()
        except (BlockingIOError, EOFError):
            return
        assert isinstance(frame, av.VideoFrame)
        yield frame
