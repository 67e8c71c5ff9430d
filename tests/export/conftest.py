"""Rows and clips to export. A clip is some bytes of its own: no exporter looks inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

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
]  # fmt: skip
NAMES = [
    "clip.mp4", "same.mp4", "sub/same.mp4", "with space.mp4", "dots.in.name.mp4", "comma,quote\".mp4", "雪.mp4",
    "videos.mp4", "a.txt.mp4", "CLIP.mp4", "-dash.mp4", "line\nbreak.mp4", "videos/videos.mp4",
]  # fmt: skip


def row(number: int, source: Path | str, caption: str | None, **columns: Any) -> dict[str, Any]:
    values = {
        "clip_id": f"{number:016x}",
        "source_video": str(source),
        "start_s": 0.0,
        "end_s": None,
        "duration_s": 6.0 + number / 10,
        "width": 320,
        "height": 180,
        "fps": (8.0, 30000 / 1001, 30.0)[number % 3],
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
        source.write_bytes(f"clip {number} ".encode() * (number + 1))
        made.append(row(number, source, caption))
    return made


@pytest.fixture
def expected(rows) -> list[tuple[bytes, str]]:
    """The pairs that every trainer must see."""
    return sorted((Path(row["source_video"]).read_bytes(), " ".join(row["caption"].split())) for row in rows)
