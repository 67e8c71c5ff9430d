"""Options of ``rewrite`` alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from framescribe.errors import UsageError

_PANEL = "How"

Folder = Annotated[str, typer.Argument(metavar="FOLDER", help="Dataset folder with captions.")]
Variant = Annotated[
    str,
    typer.Option(metavar="NAME", help="Name of the result, such as `short`; its column is variant_NAME."),
]
Preset = Annotated[
    str | None, typer.Option(help="short, medium, plain, translate, tags or json.", rich_help_panel=_PANEL)
]
Instruction = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="What to do, in place of a preset.", rich_help_panel=_PANEL),
]
MaxWords = Annotated[int | None, typer.Option(min=1, help="Most words of a text.", rich_help_panel=_PANEL)]
Language = Annotated[
    str | None,
    typer.Option(metavar="CODE", help="Language to write in: en, zh, de …", rich_help_panel=_PANEL),
]
SchemaFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="JSON Schema that an answer has to fit.", rich_help_panel=_PANEL),
]
Temperature = Annotated[float | None, typer.Option(help="Of sampling; by default 0.", rich_help_panel=_PANEL)]
Tries = Annotated[
    int,
    typer.Option(min=1, help="Answers to ask for, until one passes the checks.", rich_help_panel=_PANEL),
]
Accept = Annotated[
    Literal["reviewed", "accepted"] | None,
    typer.Option(help="accepted: only captions that people accepted; reviewed: also those that they edited."),
]
Limit = Annotated[int | None, typer.Option(min=1, help="Rewrite the first so many that are left.")]
Redo = Annotated[Literal["failed"] | None, typer.Option(help="Rewrite again also what `failed`.")]


def schema_text(file: Path | None) -> str | None:
    """What a schema's file holds; None without one.

    Raises:
        UsageError: it cannot be read.
    """
    from framescribe.reading import read_text

    try:
        return None if file is None else read_text(file)
    except OSError as error:
        raise UsageError(f"--schema {file} cannot be read: {error.strerror}") from error
