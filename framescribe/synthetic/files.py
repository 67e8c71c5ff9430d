"""Clips of the synthetic world as files: mp4, one .txt each, and captions.jsonl with the facts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from framescribe.errors import UsageError
from framescribe.files import write_file
from framescribe.synthetic.batches import SyntheticClip, make_clip
from framescribe.synthetic.facts import has_held_out_pair

FPS = 8
NUM_FRAMES = (
    57  # the last one is shown at 7.0 s, so the frames nearest to whole seconds are those at 0, 1, …, 7 s
)
CAPTIONS_FILE = "captions.jsonl"


def file_clips(count: int, seed: int, *, held_out: bool = False) -> list[SyntheticClip]:
    """The clips of a seed; the first ones stay the same when ``count`` grows, and none is a training clip."""
    return [make_clip(f"files/{seed}/{index}", held_out=held_out) for index in range(count)]


def prepare_folder(folder: Path, *, overwrite: bool) -> None:
    """Makes the folder; with ``overwrite``, removes the files that an earlier run listed in captions.jsonl.

    Raises:
        UsageError: it is not empty, and ``overwrite`` is not given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not overwrite and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty; choose another folder, or replace it with `overwrite=True`")
    listing = folder / CAPTIONS_FILE
    if listing.exists():
        for line in listing.read_text(encoding="utf-8").splitlines():
            path = folder / Path(json.loads(line)["file"]).name
            path.unlink(missing_ok=True)
            path.with_suffix(".txt").unlink(missing_ok=True)
        listing.unlink()


def write_clips(clips: Sequence[SyntheticClip], folder: Path) -> Iterator[Path]:
    """Renders clips into a folder and yields each mp4's path once it is whole; captions.jsonl comes last.

    The files are named by index, ``000.mp4`` and so on, with the caption beside it in ``000.txt``.
    """
    from framescribe.synthetic.render import render
    from framescribe.video.encode import write_mp4

    times_s = [index / FPS for index in range(NUM_FRAMES)]
    digits = len(str(max(len(clips) - 1, 100)))
    lines = []
    for index, clip in enumerate(clips):
        path = folder / f"{index:0{digits}}.mp4"
        write_mp4(path, render([clip], times_s)[0].numpy(), FPS)
        write_file(path.with_suffix(".txt"), clip.caption + "\n")
        line = {
            "file": path.name,
            "caption": clip.caption,
            "facts": clip.facts.to_dict(),
            "held_out": has_held_out_pair(clip.facts),
        }
        lines.append(json.dumps(line, ensure_ascii=False))
        yield path
    write_file(folder / CAPTIONS_FILE, "".join(f"{line}\n" for line in lines))
