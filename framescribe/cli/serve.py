"""``framescribe serve``: the captioner behind an address that OpenAI's clients know."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from framescribe.cli import options

_MEDIA, _LIMITS, _DECODING = "Media", "Limits", "Decoding"

AllowDomain = Annotated[
    list[str] | None,
    typer.Option(
        metavar="HOST",
        help="A host that videos are fetched from: example.org, *.example.org, or with a port; repeatable. Without "
        "any, nothing is fetched.",
        rich_help_panel=_MEDIA,
    ),
]
AllowFolder = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER", help="A folder whose files may be named, by file: URLs.", rich_help_panel=_MEDIA
    ),
]
ModelName = Annotated[str | None, typer.Option(metavar="NAME", help="What clients call the model.")]
BatchSize = Annotated[
    int | None,
    typer.Option(min=1, help="Answers that are generated together; by default what fits the memory."),
]
DecodeWorkers = Annotated[
    int | None,
    typer.Option(
        min=1, help="Processes that decode videos; by default one per core.", rich_help_panel=_DECODING
    ),
]
DecodeTimeout = Annotated[
    float,
    typer.Option(
        callback=options.above_zero,
        help="Seconds for fetching and decoding one video.",
        rich_help_panel=_DECODING,
    ),
]
DecodeMemory = Annotated[
    float,
    typer.Option(
        callback=options.above_zero, help="GB that decoding one video may take.", rich_help_panel=_DECODING
    ),
]
MaxSeconds = Annotated[
    float, typer.Option(callback=options.above_zero, help="Seconds of one video.", rich_help_panel=_LIMITS)
]
MaxFrames = Annotated[int, typer.Option(min=1, help="Frames seen of one video.", rich_help_panel=_LIMITS)]
MaxBody = Annotated[
    float,
    typer.Option(
        "--max-body-mb", callback=options.above_zero, help="MB of one request, or of one video that is fetched.",
        rich_help_panel=_LIMITS,
    ),
]  # fmt: skip
MaxOutput = Annotated[
    int, typer.Option("--max-output-tokens", min=1, help="Tokens of one answer.", rich_help_panel=_LIMITS)
]


def serve(
    *,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than 127.0.0.1 need keys.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    key_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The keys that clients need, one a line.")
    ] = None,
    model: options.Spec,
    model_name: ModelName = None,
    batch_size: BatchSize = None,
    allow_domain: AllowDomain = None,
    allow_folder: AllowFolder = None,
    max_requests: Annotated[
        int, typer.Option(min=1, help="Requests in work or waiting; others get 429.", rich_help_panel=_LIMITS)
    ] = 512,
    max_body_mb: MaxBody = 256.0,
    max_seconds: MaxSeconds = 3600.0,
    max_frames: MaxFrames = 256,
    max_output_tokens: MaxOutput = 2048,
    decode_workers: DecodeWorkers = None,
    decode_timeout: DecodeTimeout = 60.0,
    decode_memory: DecodeMemory = 4.0,
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
    from framescribe.serving.settings import ServerSettings
    from framescribe.task import DecodeLimits

    run(
        model,
        host=host,
        port=port,
        key_file=key_file,
        settings=ServerSettings(
            model_name=model_name,
            allowed_domains=tuple(allow_domain or ()),
            allowed_folder=allow_folder,
            max_requests=max_requests,
            max_body_mb=max_body_mb,
            max_seconds=max_seconds,
            max_frames=max_frames,
            max_output_tokens=max_output_tokens,
            limits=DecodeLimits(decode_workers, decode_timeout, decode_memory),
        ),
        batch_size=batch_size,
        drain_timeout_s=drain_timeout,
        on_address=lambda address: out.print(f"Serving at {address}", markup=False),
    )
