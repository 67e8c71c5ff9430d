"""A text file per clip, of the same stem."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from framescribe.export.pair import Pair


@dataclass(frozen=True, slots=True)
class Sidecars:
    """``a.mp4`` + ``a.txt``: in one folder, or in ``videos`` and ``texts``. No line break ends the text.

    Attributes:
        videos: folder of the clips.
        texts: folder of the texts.
    """

    videos: str = "."
    texts: str = "."

    def write(self, pairs: Iterator[Pair], folder: Path, target: Path) -> None:
        (folder / self.texts).mkdir(exist_ok=True)
        for pair in pairs:
            (folder / self.texts / f"{pair.stem}.txt").write_text(
                pair.caption, encoding="utf-8", newline="\n"
            )

    def read(self, folder: Path) -> Iterator[tuple[str, str]]:
        videos = {path.stem: path for path in (folder / self.videos).iterdir() if path.suffix != ".txt"}
        for text in (folder / self.texts).glob("*.txt"):
            yield str(PurePosixPath(self.videos, videos[text.stem].name)), text.read_text(encoding="utf-8")
