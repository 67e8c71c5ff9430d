"""``framescribe report``: an HTML page about a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from framescribe.cli import filter_options as given
from framescribe.cli import options


def report(
    rows: options.Rows,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; by default OUT-report.html.")
    ] = None,
    clips: Annotated[int, typer.Option(min=0, max=1000, help="Maximum number of clips to show.")] = 60,
    profile: given.ProfileName = None,
    thresholds: given.Thresholds = None,
    use_nearest: given.UseNearest = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing page.")] = False,
) -> None:
    """Write an HTML page about a run: counts, charts, and clips beside their captions.

    The page is self-contained and makes no network requests. Each clip has four stills, which link to its video. Half
    of the clips have a problem, if that many do; all rows are counted. Where clips were scored, there are histograms of
    all scores; --profile and --set draw thresholds into them, with the clips just inside and outside of each.

    Examples:
        framescribe report captions/
        framescribe report rows.parquet -o page.html --clips 200
        framescribe report captions/ --profile allegro --set 'motion>=2'
    """
    from rich.progress import Progress

    from framescribe.cli.console import err, out, path_errors
    from framescribe.dataset.dataset import Dataset

    path = output or options.beside_rows(rows, "-report.html")
    with path_errors(), Progress(console=err, disable=not err.is_terminal, transient=True) as bar:
        task = bar.add_task("Pictures", total=None)
        Dataset.either(rows).report(
            path,
            max_clips=clips,
            profile=profile,
            thresholds=thresholds or (),
            use_nearest=use_nearest,
            overwrite=overwrite,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    out.print(str(path), markup=False)
