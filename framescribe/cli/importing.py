"""``framescribe import``: captions made elsewhere become rows."""

from __future__ import annotations

from typing import Annotated

import typer

from framescribe.cli.command import EXIT_FAILED


def import_captions(
    *,
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Folders or tars of videos with texts beside them, files of entries (.csv, .json, .jsonl, .parquet), "
            "or exports."
        ),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", help="Dataset folder (or URL of one); it may have rows already.")
    ],
    caption_column: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Where the caption is in entries; by default found by its name."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="What wrote the captions, where the entries do not say it.")
    ] = None,
    probe: Annotated[
        bool, typer.Option("--probe/--no-probe", help="Open the videos, for their size, rate and duration.")
    ] = True,
    replace: Annotated[bool, typer.Option("--replace", help="Replace captions that a run made.")] = False,
) -> None:
    """Take captions that were made elsewhere into a dataset folder.

    Each becomes a row that says where it came from; the same command again adds nothing. `caption` with the same
    sources and folder captions the clips that have no caption yet.

    Examples:
        framescribe import clips/ -o captions/
        framescribe import metadata.jsonl -o captions/ --caption-column short_caption --model gpt-4o
    """
    from framescribe.cli.console import err, out, path_errors
    from framescribe.importing.run import import_captions as imported

    with path_errors():
        summary = imported(
            sources, output, caption_column=caption_column, model=model, replace=replace, probe_videos=probe
        )
    for problem in summary.problems:
        err.print(f"  {problem}", markup=False)
    if summary.dropped:
        err.print(f"  not read: {', '.join(sorted(summary.dropped))}", markup=False)
    out.print(f"{summary.output}: {summary}", markup=False)
    if summary.unusable:
        raise typer.Exit(EXIT_FAILED)
