"""What a server, and a batch, allow: options that ``framescribe serve`` and ``run-batch`` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from framescribe.cli import options
from framescribe.cli.groups import Spelled

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

BatchSize = Annotated[
    int | None,
    typer.Option(min=1, help="Answers that are generated together; by default what fits the memory."),
]


def server_settings(
    model_name: ModelName = None,
    allow_domain: AllowDomain = None,
    allow_folder: AllowFolder = None,
    max_body_mb: MaxBody = 256.0,
    max_seconds: MaxSeconds = 3600.0,
    max_frames: MaxFrames = 256,
    max_output_tokens: MaxOutput = 2048,
    decode_workers: DecodeWorkers = None,
    decode_timeout: DecodeTimeout = 60.0,
    decode_memory: DecodeMemory = 4.0,
) -> Any:
    """A ``ServerSettings``, whose module is imported only now."""
    from framescribe.serving.settings import ServerSettings
    from framescribe.task import DecodeLimits

    return ServerSettings(
        model_name=model_name,
        allowed_domains=tuple(allow_domain or ()),
        allowed_folder=allow_folder,
        max_body_mb=max_body_mb,
        max_seconds=max_seconds,
        max_frames=max_frames,
        max_output_tokens=max_output_tokens,
        limits=DecodeLimits(decode_workers, decode_timeout, decode_memory),
    )


Settings = Annotated[Any, Spelled(server_settings)]
