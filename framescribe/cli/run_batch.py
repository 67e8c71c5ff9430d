"""``framescribe run-batch``: requests in a file to answers in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from framescribe.cli import options
from framescribe.cli.command import EXIT_FAILED
from framescribe.cli.serve import (
    AllowDomain,
    AllowFolder,
    BatchSize,
    DecodeMemory,
    DecodeTimeout,
    DecodeWorkers,
    MaxBody,
    MaxFrames,
    MaxOutput,
    MaxSeconds,
    ModelName,
)


def run_batch(
    *,
    requests: Annotated[
        Path, typer.Argument(metavar="IN", help="JSON lines, each a request in OpenAI's batch form.")
    ],
    answers: Annotated[
        Path, typer.Argument(metavar="OUT", help="JSON lines with the answers; what is there is kept.")
    ],
    model: options.Spec,
    model_name: ModelName = None,
    batch_size: BatchSize = None,
    allow_domain: AllowDomain = None,
    allow_folder: AllowFolder = None,
    max_body_mb: MaxBody = 256.0,
    max_seconds: MaxSeconds = 3600.0,
    max_frames: MaxFrames = 256,
    max_output_tokens: MaxOutput = 2048,
    decode_workers: DecodeWorkers = None,
    decode_timeout: DecodeTimeout = 60.0,
    decode_memory: DecodeMemory = 4.0,
) -> None:
    """Answer a file of chat completions, each line once; safe to interrupt, run it again to resume.

    The form is that of OpenAI's and vLLM's batches. Media are allowed as for `framescribe serve`.

    Examples:
        framescribe run-batch requests.jsonl answers.jsonl
        framescribe run-batch requests.jsonl answers.jsonl --allow-folder videos/
    """
    from framescribe.cli.console import err
    from framescribe.serving.batches import run_batch as run
    from framescribe.serving.settings import ServerSettings
    from framescribe.task import DecodeLimits

    settings = ServerSettings(
        model_name=model_name,
        allowed_domains=tuple(allow_domain or ()),
        allowed_folder=allow_folder,
        max_body_mb=max_body_mb,
        max_seconds=max_seconds,
        max_frames=max_frames,
        max_output_tokens=max_output_tokens,
        limits=DecodeLimits(decode_workers, decode_timeout, decode_memory),
    )
    summary = run(requests, answers, model, settings=settings, batch_size=batch_size)
    err.print(
        f"Lines answered: {summary.answered} now ({summary.failed} by an error), {summary.before} before",
        markup=False,
    )
    if summary.left:
        err.print(f"Lines without an answer: {summary.left}; run it again for them", markup=False)
    if summary.failed or summary.left:
        raise typer.Exit(EXIT_FAILED)
