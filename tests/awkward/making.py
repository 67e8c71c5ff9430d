"""How awkward inputs are registered, and what makes videos with frames that can be told apart."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np

from framescribe.types import Clip

Outcome = Literal["success", "open", "decode", "sample"]
Maker = Callable[[Path], Clip]

NUM_FRAMES = 24
FPS = 8


@dataclass(frozen=True)
class Awkward:
    """An input, what is expected of it, and whether a part of it must be reported as missing."""

    make: Maker
    outcome: Outcome
    is_damaged: bool


AWKWARD: dict[str, Awkward] = {}


def awkward(outcome: Outcome, *, is_damaged: bool = False) -> Callable[[Maker], Maker]:
    def register(make: Maker) -> Maker:
        AWKWARD[make.__name__] = Awkward(make, outcome, is_damaged)
        return make

    return register


def grey(number: int) -> int:
    """The grey level of frame ``number``: neighbours differ by 16 of 255."""
    return 40 + 16 * (number % 12)


def picture(number: int, width: int, height: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """uint8 [H, W, 3]."""
    rgb = np.full((height, width, 3), grey(number), np.uint8)
    rgb[: height // 2, : width // 2] = (200, 30, 30)
    return rgb


def video(
    path: Path,
    codec: str = "libx264",
    *,
    size: tuple[int, int] = (64, 48),
    pts: Sequence[int] = range(NUM_FRAMES),
    ticks_per_s: int = FPS,
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    container_format: str | None = None,
    container_options: dict[str, str] | None = None,
    sound_s: float = 0.0,
) -> Path:
    """Encode one frame for each of ``pts`` (in ticks)."""
    with av.open(str(path), "w", format=container_format, options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=FPS, options=options or {})
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        stream.time_base = stream.codec_context.time_base = Fraction(1, ticks_per_s)
        if sound_s:
            add_sound(container, sound_s)
        for number, stamp in enumerate(pts):
            frame = av.VideoFrame.from_ndarray(picture(number, *size), "rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, ticks_per_s)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def add_sound(container: Any, seconds: float, codec: str = "aac") -> None:
    stream = container.add_stream(codec, rate=16000)
    stream.codec_context.layout = "mono"
    samples = np.zeros((1, 1024), np.float32)
    for start in range(0, int(seconds * 16000), 1024):
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 16000, start, Fraction(1, 16000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def clip(path: Path) -> Clip:
    return Clip(str(path))


def keep(path: Path, fraction: float) -> Clip:
    """Cut a file off after a part of it."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])
    return clip(path)


def overwrite(path: Path, start: float, end: float, byte: int = 0xFF) -> Clip:
    """Overwrite a part of a file."""
    content = bytearray(path.read_bytes())
    first, stop = int(len(content) * start), int(len(content) * end)
    content[first:stop] = bytes([byte]) * (stop - first)
    path.write_bytes(content)
    return clip(path)


def patch(path: Path, box: bytes, offset: int, value: bytes) -> Clip:
    """Overwrite bytes at ``offset`` from the name of a box of an MP4."""
    content = bytearray(path.read_bytes())
    at = content.index(box) + offset
    content[at : at + len(value)] = value
    path.write_bytes(content)
    return clip(path)


def turn(path: Path, quarter_turns: int) -> Clip:
    """Have an MP4 displayed turned clockwise, by the matrix in its track header, as phones do."""
    a, b, c, d = {1: (0, 1, -1, 0), 2: (-1, 0, 0, -1), 3: (0, -1, 1, 0)}[quarter_turns]
    matrix = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    return patch(path, b"tkhd", 44, matrix)
