"""``framescribe run-batch``: requests in a file to answers in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from framescribe.cli import options
from framescribe.cli.command import EXIT_FAILED
from framescribe.cli.server_options import BatchSize, Settings


def run_batch(
    *,
    requests: Annotated[
        Path, typer.Argument(metavar="IN", help="JSON lines, each a request in OpenAI's batch form.")
    ],
    answers: Annotated[
        Path, typer.Argument(metavar="OUT", help="JSON lines with the answers; what is there is kept.")
    ],
    model: options.Spec,
    batch_size: BatchSize = None,
    settings: Settings,
) -> None:
    """Answer a file of chat completions, each line once; safe to interrupt, run it again to resume.

    The form is that of OpenAI's and vLLM's batches. Media are allowed as for `framescribe serve`.

    Examples:
        framescribe run-batch requests.jsonl answers.jsonl
        framescribe run-batch requests.jsonl answers.jsonl --allow-folder videos/
    """
    from framescribe.cli.console import err
    from framescribe.serving.batches import run_batch as run

    summary = run(requests, answers, model, settings=settings, batch_size=batch_size)
    err.print(
        f"Lines answered: {summary.answered} now ({summary.failed} by an error), {summary.before} before",
        markup=False,
    )
    if summary.left:
        err.print(f"Lines without an answer: {summary.left}; run it again for them", markup=False)
    if summary.failed or summary.left:
        raise typer.Exit(EXIT_FAILED)
