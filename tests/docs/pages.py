"""The documentation as text: pages, fenced blocks, lines of commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.reference import ROOT

READMES = (ROOT / "README.md", ROOT / "README_zh.md")
GENERATED = tuple(ROOT / "docs" / name for name in ("commands.md", "columns.md", "scores.md", "trainers.md"))
PAGES = (
    *READMES,
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "examples" / "README.md",
    ROOT / "benchmarks" / "README.md",
)

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, *languages: str) -> list[str]:
    """The page's fenced blocks in one of these languages."""
    return [code for language, code in _BLOCK.findall(text_of(page)) if language in languages]


def commands(page: Path) -> Iterator[str]:
    """Every line of a shell's block that calls ``framescribe``."""
    for code in blocks(page, "bash", ""):
        for line in code.replace("\\\n", " ").splitlines():
            yield from (
                part.strip() for part in re.split(r"&&|\|", line) if part.strip().startswith("framescribe ")
            )
