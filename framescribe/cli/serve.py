"""``framescribe serve``: the captioner behind an address that OpenAI's clients know."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from framescribe.cli import options
from framescribe.cli.server_options import BatchSize, Settings


def serve(
    *,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than 127.0.0.1 need keys.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    key_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The keys that clients need, one a line.")
    ] = None,
    devices: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="A process for each device, behind one address: cuda:0,cuda:1."),
    ] = None,
    model: options.Spec,
    batch_size: BatchSize = None,
    settings: Settings,
    max_requests: Annotated[
        int,
        typer.Option(min=1, help="Requests in work or waiting; others get 429.", rich_help_panel="Limits"),
    ] = 512,
    drain_timeout: Annotated[
        float, typer.Option(callback=options.above_zero, help="Seconds that the end waits for answers.")
    ] = 300.0,
) -> None:
    """Serve captions over HTTP as OpenAI's chat completions, for any client that speaks them.

    This machine is answered without a key, others need one. SIGTERM or Ctrl-C ends it once all answers are given; a
    second one ends it at once.

    Examples:
        framescribe serve
        framescribe serve --model THUDM/cogvlm2-llama3-caption --host 0.0.0.0 --key-file keys.txt
        framescribe serve --allow-domain videos.example.org --max-requests 64
    """
    from framescribe.cli.console import out
    from framescribe.serving.run import serve as run

    run(
        model,
        host=host,
        port=port,
        key_file=key_file,
        devices=devices.split(",") if devices else (),
        settings=replace(settings, max_requests=max_requests),
        batch_size=batch_size,
        drain_timeout_s=drain_timeout,
        on_address=lambda address: out.print(f"Serving at {address}", markup=False),
    )
