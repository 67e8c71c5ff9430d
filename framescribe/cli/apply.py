"""``framescribe apply``: heads over stored features."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def apply(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="Dataset folder with features.")],
    heads: Annotated[list[Path], typer.Argument(metavar="HEAD", help="Heads that `teach` wrote.")],
) -> None:
    """Score all clips of a dataset by heads, from their stored features; no video is opened, no model loaded.

    The probabilities become columns, by the heads' labels. `caption --head` scores clips as they are captioned.

    Examples:
        framescribe apply captions/ lectures.safetensors
        framescribe apply captions/ lectures.safetensors screens.safetensors
    """
    from framescribe.cli.console import err
    from framescribe.heads.apply import apply_heads

    scored = apply_heads(folder, heads)
    err.print(f"{scored:,} {'clip' if scored == 1 else 'clips'} scored")
