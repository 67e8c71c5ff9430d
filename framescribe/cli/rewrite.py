"""``framescribe rewrite``: captions of a dataset, rewritten by a model of an endpoint."""

from __future__ import annotations

import typer

from framescribe.cli import caption_options, endpoint_options, options
from framescribe.cli import rewrite_options as given


def rewrite(
    *,
    folder: given.Folder,
    variant: given.Variant,
    preset: given.Preset = None,
    instruction: given.Instruction = None,
    max_words: given.MaxWords = None,
    language: given.Language = None,
    schema: given.SchemaFile = None,
    temperature: given.Temperature = None,
    tries: given.Tries = 3,
    accept: given.Accept = None,
    where: options.Where = None,
    limit: given.Limit = None,
    redo: given.Redo = None,
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
    from framescribe.rewriting.run import rewrite as rewrite_all

    summary = rewrite_all(
        folder, endpoint, variant, preset=preset, instruction=instruction, max_words=max_words, language=language,
        schema=given.schema_text(schema), temperature=temperature, accept=accept, where=where or (), limit=limit,
        tries=tries, redo=redo, progress=Terminal(is_quiet=quiet),
    )  # fmt: skip
    if summary.has_failures:
        raise typer.Exit(1)
