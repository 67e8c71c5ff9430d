"""Rows and clips to export."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from framescribe.export import layout
from framescribe.export.reads import Reads

CAPTIONS = [
    "A cat runs.",
    "Two lines:\na cat runs\r\nand a dog follows.\n\n",
    'He says "stop", then leaves; it\'s late, \'so late\'.',
    "commas, semicolons; tabs\there, and a | pipe",
    "🐈‍⬛ runs past a 家 and a بيت, naïvely – 100 % of the time.",
    "Line\u2028separator, paragraph\u2029separator, next\x85line, \x0bvertical, \x0cform feed, \x1crecord.",
    "  spaces around, no-break\u00a0space inside  ",
    "back\\slash \\n is no line break, {braces} and <b>tags</b> & ampersands stay",
    "file,with,a,header\nvideo,prompt",
    "# not a comment",
    "[] = true",
    "ends with a quote\"",
    "Zero\u200bwidth and a soft\u00adhyphen.",
    "NA",
    "null",
    "=1+1",
]  # fmt: skip
NAMES = [
    "clip.mp4", "same.mp4", "sub/same.mp4", "with space.mp4", "dots.in.name.mp4", "comma,quote\".mp4", "雪.mp4",
    "videos.mp4", "a.txt.mp4", "CLIP.mp4", "-dash.mp4", "line\nbreak.mp4", "videos/videos.mp4",
    "na.mp4", "null.mp4", "=1.mp4",
]  # fmt: skip


def of_any_length(like: layout.Layout) -> layout.Layout:
    """The same layout, where clips of three frames are long enough."""
    reads = Reads(suffixes=like.reads.suffixes, codecs=like.reads.codecs, upright=like.reads.upright)
    return replace(like, reads=reads)


LAYOUTS = {name: of_any_length(each) for name, each in layout.LAYOUTS.items()}


@functools.cache
def video(
    number: int,
    *,
    frames: int = 3,
    format: str = "mp4",
    codec: str = "mpeg4",
    rotation: int = 0,
    kept: Callable[[int], bool] = lambda at: True,
) -> bytes:
    """A small video at 10 frames per second whose bytes are unlike those of every other ``number``.

    ``kept`` says which of its frames are in it, each at its own time.
    """
    made = io.BytesIO()
    with av.open(made, "w", format=format) as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        stream.codec_context.time_base = Fraction(1, 10)
        if rotation:
            stream.set_display_rotation(rotation)
        for at in filter(kept, range(frames)):
            pixels = np.full((48, 64, 3), (7 * number % 256, 31 * number % 256, 9 * at), np.uint8)
            pixels[:24, :32] = 255  # so that it shows which way is up
            picture = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format=stream.pix_fmt)
            picture.pts, picture.time_base = at, Fraction(1, 10)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return made.getvalue()


def row(number: int, source: Path | str, caption: str | None, **columns: Any) -> dict[str, Any]:
    values = {
        "clip_id": f"{number:016x}",
        "source_video": str(source),
        "start_s": 0.0,
        "end_s": None,
        "duration_s": 0.3,
        "width": 64,
        "height": 48,
        "fps": 10.0,
        "caption": caption,
        "caption_status": "success",
        "flags": [],
    }
    return values | columns


@pytest.fixture
def rows(tmp_path) -> list[dict[str, Any]]:
    """A good row for each of ``CAPTIONS``, each with a clip under an awkward name."""
    made = []
    for number, (name, caption) in enumerate(zip(NAMES, CAPTIONS, strict=True)):
        source = tmp_path / "source" / name
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_bytes(video(number, format="matroska" if source.suffix == ".mkv" else "mp4"))
        made.append(row(number, source, caption))
    return made


@pytest.fixture
def expected(rows) -> list[tuple[bytes, str]]:
    """The pairs that every trainer must see."""
    return sorted((Path(row["source_video"]).read_bytes(), " ".join(row["caption"].split())) for row in rows)
