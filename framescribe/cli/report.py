"""``framescribe report``: one HTML page about a run."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Annotated

import typer

from framescribe.cli import options
from framescribe.errors import UsageError


def report(
    rows: options.Rows,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The page; OUT-report.html if not given.")
    ] = None,
    clips: Annotated[int, typer.Option(min=0, help="Show so many clips at most.")] = 60,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier page.")] = False,
) -> None:
    """Write one HTML page about a run: counts, charts, and clips beside their captions.

    The page holds everything it shows and asks nothing of the network. Half of the clips are good ones and half have
    something wrong, as far as there are.

    Examples:
        framescribe report captions/
        framescribe report rows.parquet -o page.html --clips 200
    """
    from rich.progress import Progress

    from framescribe.cli.console import err, out, path_errors
    from framescribe.files import write_file
    from framescribe.pipeline.sinks import CAPTION_COLUMNS, read_rows
    from framescribe.report.overview import Row, look_over
    from framescribe.report.page import page
    from framescribe.report.thumbnails import thumbnail

    path = output or options.beside_rows(rows, "-report.html")
    with path_errors():
        if path.is_dir():
            raise UsageError(f"{path} is a folder; name a file with -o")
        if path.exists() and not overwrite:
            raise UsageError(f"{path} exists; choose another with -o, or replace it with --overwrite")
        if not path.parent.is_dir():
            raise UsageError(f"{path}: there is no folder {path.parent}")
        overview = look_over(read_rows(rows, CAPTION_COLUMNS), clips)
        if not overview.rows:
            raise UsageError(f"{rows} holds no rows")
        with Progress(console=err, disable=not err.is_terminal, transient=True) as bar:
            task = bar.add_task("Pictures", total=len(overview.clips))

            def picture(row: Row) -> str:
                bar.advance(task)
                return thumbnail(row)

            text = page(PurePath(rows).name or rows, overview, picture)
        # A file name that is no UTF-8 holds lone surrogates; they are shown as escapes.
        write_file(path, text.encode("utf-8", "backslashreplace"))
    out.print(str(path), markup=False)
