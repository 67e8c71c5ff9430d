"""``framescribe rewrite``: captions of a dataset, rewritten by a model of an endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from framescribe.cli import caption_options, endpoint_options, options

_PANEL = "How"


def rewrite(
    *,
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="Dataset folder with captions.")],
    variant: Annotated[
        str,
        typer.Option(metavar="NAME", help="Name of the result, such as `short`; its column is variant_NAME."),
    ],
    preset: Annotated[
        str | None,
        typer.Option(help="short, medium, plain, translate, tags or json.", rich_help_panel=_PANEL),
    ] = None,
    instruction: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="What to do, in place of a preset.", rich_help_panel=_PANEL),
    ] = None,
    max_words: Annotated[
        int | None, typer.Option(min=1, help="Most words of a text.", rich_help_panel=_PANEL)
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(metavar="CODE", help="Language to write in: en, zh, de …", rich_help_panel=_PANEL),
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="JSON Schema that an answer has to fit.", rich_help_panel=_PANEL),
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Of sampling; by default 0.", rich_help_panel=_PANEL)
    ] = None,
    tries: Annotated[
        int,
        typer.Option(min=1, help="Answers to ask for, until one passes the checks.", rich_help_panel=_PANEL),
    ] = 3,
    accept: Annotated[
        Literal["reviewed", "accepted"] | None,
        typer.Option(
            help="accepted: only captions that people accepted; reviewed: also those that they edited."
        ),
    ] = None,
    where: options.Where = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Rewrite the first so many that are left.")] = None,
    redo: Annotated[Literal["failed"] | None, typer.Option(help="Rewrite again also what `failed`.")] = None,
    quiet: caption_options.Quiet = False,
    endpoint: endpoint_options.GivenText,
) -> None:
    """Rewrite captions through an OpenAI-compatible server: shorter, in another language, in a style, as JSON.

    Each answer is checked. One that fails is asked for again with what is wrong with it, and is never taken: the
    caption then has a row that says why. Texts are a table of the folder and columns of its rows, which
    `export --variant NAME` takes. Run the same command again to resume, and to rewrite what has changed since.

    Examples:
        framescribe rewrite captions/ --endpoint http://gpu:8000 --variant short --preset short
        framescribe rewrite captions/ --endpoint http://gpu:8000 --variant zh --preset translate --language zh
        framescribe rewrite captions/ --endpoint http://gpu:8000 --variant noir --instruction 'Write as a film noir.'
    """
    from framescribe.cli.terminal import Terminal
    from framescribe.errors import UsageError
    from framescribe.reading import read_text
    from framescribe.rewriting.run import rewrite as rewrite_all

    try:
        text = None if schema is None else read_text(schema)
    except OSError as error:
        raise UsageError(f"--schema {schema} cannot be read: {error.strerror}") from error
    summary = rewrite_all(
        folder, endpoint, variant, preset=preset, instruction=instruction, max_words=max_words, language=language,
        schema=text, temperature=temperature, accept=accept, where=where or (), limit=limit, tries=tries, redo=redo,
        progress=Terminal(is_quiet=quiet),
    )  # fmt: skip
    if summary.has_failures:
        raise typer.Exit(1)
