"""``framescribe report``: one HTML page about a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from framescribe.cli import options


def report(
    rows: options.Rows,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The page; OUT-report.html if not given.")
    ] = None,
    clips: Annotated[int, typer.Option(min=0, help="Show so many clips at most.")] = 60,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier page.")] = False,
) -> None:
    """Write one HTML page about a run: counts, charts, and clips beside their captions.

    The page holds everything it shows and asks nothing of the network; four stills of each clip lead to its video. Half
    of the clips are good ones and half have something wrong, as far as there are.

    Examples:
        framescribe report captions/
        framescribe report rows.parquet -o page.html --clips 200
    """
    from rich.progress import Progress

    from framescribe.cli.console import err, out, path_errors
    from framescribe.report.write import write_report

    path = output or options.beside_rows(rows, "-report.html")
    with path_errors(), Progress(console=err, disable=not err.is_terminal, transient=True) as bar:
        task = bar.add_task("Pictures", total=None)
        write_report(
            rows,
            path,
            max_clips=clips,
            overwrite=overwrite,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    out.print(str(path), markup=False)
