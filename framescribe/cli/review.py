"""``framescribe review``: look at clips beside their captions, and decide."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from framescribe.cli import options


def review(
    rows: options.Rows,
    compare: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER", help="Another run's captions of the same clips, to compare blind with."
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Port of the address; by default 8765 or the next free one."),
    ] = None,
    host: Annotated[str, typer.Option(help="127.0.0.1, localhost or ::1: this machine only.")] = "127.0.0.1",
    reviewer: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose decisions they are; by default this user's.")
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")
    ] = True,
    cache_gb: Annotated[
        float, typer.Option(callback=options.above_zero, help="Most disk space for previews, in GB.")
    ] = 2.0,
    t5_tokenizer: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="T5's tokenizer.json, to count tokens against the limit of 226."),
    ] = None,
    clip_tokenizer: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="CLIP's tokenizer.json, to count tokens against the limit of 77."),
    ] = None,
) -> None:
    """Open a page on which clips are looked at beside their captions, accepted, rejected, edited and tagged.

    The page is served on this machine only, under an address with a token, until Ctrl-C. A decision is on the disk
    before the page says that it is saved. `?` on the page shows its keys.

    Examples:
        framescribe review captions/
        framescribe review captions/ --reviewer ann --no-browser --port 9000
        framescribe review captions/ --compare captions-of-another-prompt/
    """
    from framescribe.cli.console import out
    from framescribe.reviewing.serve import review as opened

    tokenizers = {"t5": t5_tokenizer, "clip": clip_tokenizer}
    opened(
        rows,
        compare=compare,
        port=port,
        host=host,
        reviewer=reviewer,
        open_browser=browser,
        cache_gb=cache_gb,
        tokenizer_files={name: path for name, path in tokenizers.items() if path is not None},
        on_address=lambda address: out.print(f"Review at {address}", markup=False),
    )
