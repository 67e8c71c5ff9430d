"""``framescribe synthesize``: clips with known captions, drawn from a seed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def synthesize(
    count: Annotated[int, typer.Argument(metavar="N", min=1, help="How many clips.")],
    folder: Annotated[Path, typer.Argument(help="Where to write them.")],
    seed: Annotated[int, typer.Option(help="Random seed; the same seed gives the same clips.")] = 0,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Only subjects in motions that training never shows.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier run's files in the folder.")
    ] = False,
) -> None:
    """Write synthetic clips of 7 s with known captions.

    Each is an mp4 with its caption in a .txt beside it; captions.jsonl lists file, caption, facts, and whether
    the clip shows a pair that is held out of training.

    Examples:
        framescribe synthesize 100 clips/
        framescribe synthesize 20 clips/ --held-out --seed 3
    """
    from framescribe.cli.console import err, path_errors
    from framescribe.pipeline.progress import Tracker
    from framescribe.synthetic.files import file_clips, prepare_folder, write_clips

    with path_errors():
        prepare_folder(folder, overwrite=overwrite)
    clips = file_clips(count, seed, held_out=held_out)
    with Tracker(count, err) as tracker:
        for done, _ in enumerate(write_clips(clips, folder), start=1):
            tracker.show(done)
    err.print(f"{count} {'clip' if count == 1 else 'clips'} in {folder}")
