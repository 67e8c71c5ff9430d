"""Two parallel lists, one line each per clip: captions and paths."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from framescribe.export.pair import Pair


@dataclass(frozen=True, slots=True)
class LineLists:
    """Captions in ``prompts``, paths in ``videos``, those of first frames, if any, in ``images``.

    A blank line would shift every pair after it: there is none.
    """

    prompts: str
    videos: str = "videos.txt"
    images: str = "images.txt"

    def write(self, pairs: Iterator[Pair], folder: Path, target: Path) -> None:
        with (
            (folder / self.prompts).open("w", encoding="utf-8", newline="\n") as prompts,
            (folder / self.videos).open("w", encoding="utf-8", newline="\n") as videos,
        ):
            for pair in pairs:
                prompts.write(f"{pair.caption}\n")
                videos.write(f"{pair.path}\n")
                if pair.image:
                    with (folder / self.images).open("a", encoding="utf-8", newline="\n") as images:
                        images.write(f"{pair.image}\n")

    def read(self, folder: Path) -> Iterator[tuple[str, str]]:
        prompts, videos = (
            [
                line.strip()
                for line in (folder / name).read_text(encoding="utf-8").splitlines()
                if line.strip()
            ]
            for name in (self.prompts, self.videos)
        )
        return zip(videos, prompts, strict=True)
