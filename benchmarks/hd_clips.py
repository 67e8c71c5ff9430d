"""Videos of the sizes that people have, made from the real example clips: `make(folder, ...)`.

Real pictures enlarged, moved by a slow pan, blended between neighbours to 24 frames a second, a new scene every eight
seconds, with film grain, which is what fills a bit rate in practice. Encoders run at their default settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

FPS = 24
SCENE_S = 8
_GRAIN = 4.0
"""Standard deviation of the grain, in grey levels."""


def make(
    path: Path, sources: list[Path], size: tuple[int, int], duration_s: float, codec: str, threads: int = 0
) -> Path:
    """Writes one MP4 of ``size`` (width, height), encoded by ``codec`` (libx264, libx265) at its defaults."""
    partial = path.with_suffix(".part")
    with av.open(str(partial), "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=FPS)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = threads
        for number, picture in enumerate(_pictures(sources, size, round(duration_s * FPS))):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return partial.rename(path)


def _pictures(sources: list[Path], size: tuple[int, int], count: int) -> Iterator[np.ndarray]:
    width, height = size
    chance = np.random.default_rng(0)
    noise = (chance.standard_normal((height + 256, width + 256)) * _GRAIN).astype(np.int16)[..., None]
    frames_a_scene = SCENE_S * FPS
    for number in range(count):
        scene, place = divmod(number, frames_a_scene)
        if place == 0:
            real = list(_enlarged(sources[scene % len(sources)], width + 64, height + 64))
        at = place * (len(real) - 1) / frames_a_scene
        first, share = int(at), at % 1
        blended = real[first] * np.float32(1 - share) + real[first + 1] * np.float32(share)
        x, y = place * 64 // frames_a_scene, place * 32 // frames_a_scene
        moved = blended[y : y + height, x : x + width]
        dy, dx = chance.integers(0, 256, 2)
        yield np.clip(moved + noise[dy : dy + height, dx : dx + width], 0, 255).astype(np.uint8)


def _enlarged(path: Path, width: int, height: int) -> Iterator[np.ndarray]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.reformat(width, height, "rgb24", interpolation="LANCZOS").to_ndarray()
