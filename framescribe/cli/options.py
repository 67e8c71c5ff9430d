"""Options that several commands share, and how they become settings."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from framescribe.task import DecoderChoice
from framescribe.types import CaptionSettings, FrameSampling, GenerationSettings
from framescribe.types import Strategy as StrategyName
from framescribe.types import Template as TemplateName

_MODEL, _FRAMES, _DECODING, _READING = "Model", "Frames", "Decoding", "Reading videos"


def above_zero(number: float | None) -> float | None:
    """The number, of an option that is refused before any work if it is not above 0 and finite."""
    if number is not None and not (math.isfinite(number) and number > 0):
        raise typer.BadParameter(f"{number:g} is not a number above 0.")
    return number


def models(incomplete: str) -> list[str]:
    """For the shell's completion."""
    from framescribe.model.hub import OFFICIAL_MODEL, bundled_models

    return [name for name in (*bundled_models(), OFFICIAL_MODEL) if name.startswith(incomplete)]


def flags(incomplete: str) -> list[str]:
    """What can be wrong with a caption, for the shell's completion."""
    from framescribe.quality.flags import FLAGS

    return [name for name in FLAGS if name.startswith(incomplete)]


def _one_of(*names: str) -> Callable[[str], list[str]]:
    """Completes some values of an option that takes others too."""
    return lambda incomplete: [name for name in names if name.startswith(incomplete)]


Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        autocompletion=models,
        help="Folder, bundled name, Hugging Face id or modelscope:ID.",
        rich_help_panel=_MODEL,
    ),
]
Revision = Annotated[
    str | None, typer.Option(help="Branch, tag or commit of the repository.", rich_help_panel=_MODEL)
]
DeviceName = Annotated[
    str,
    typer.Option(
        "--device",
        autocompletion=_one_of("auto", "cpu", "cuda", "mps"),
        help="auto, cpu, cuda, cuda:1 or mps.",
        rich_help_panel=_MODEL,
    ),
]
Dtype = Annotated[
    str,
    typer.Option(
        autocompletion=_one_of("auto", "bf16", "fp16", "fp32"),
        help="bf16, fp16, fp32; auto: bf16 or fp16 on a GPU, fp32 on a CPU.",
        rich_help_panel=_MODEL,
    ),
]
Quant = Annotated[
    Literal["8", "4", "fp8", "fp8-kv"] | None,
    typer.Option(
        help="8 or 4: linear-layer weights in that many bits, to save memory. fp8: weights and "
        "activations, for speed. fp8-kv: the KV cache as well.",
        rich_help_panel=_MODEL,
    ),
]
Strategy = Annotated[
    StrategyName,
    typer.Option(
        help="chat: one frame per second of the first 24 s. base: 24 frames over the first 60 s. "
        "uniform: 24 frames over the clip.",
        rich_help_panel=_FRAMES,
    ),
]
NumFrames = Annotated[
    int, typer.Option("--frames", help="Maximum number of frames.", rich_help_panel=_FRAMES)
]
Start = Annotated[float, typer.Option(help="Start of the span, in seconds.", rich_help_panel=_FRAMES)]
End = Annotated[
    float | None, typer.Option(help="End of the span, in seconds (exclusive).", rich_help_panel=_FRAMES)
]
Template = Annotated[
    TemplateName | None,
    typer.Option(help="Prompt layout; by default the strategy's own."),
]
MaxNewTokens = Annotated[
    int,
    typer.Option(help="Token limit; a caption that reaches it is `truncated`.", rich_help_panel=_DECODING),
]
Temperature = Annotated[
    float,
    typer.Option(help="0 is greedy, as published; above 0, tokens are sampled.", rich_help_panel=_DECODING),
]
TopP = Annotated[
    float,
    typer.Option(
        help="Sample from the most probable tokens that together reach this probability.",
        rich_help_panel=_DECODING,
    ),
]
RepetitionPenalty = Annotated[
    float, typer.Option(help="Above 1 makes repeated tokens less likely.", rich_help_panel=_DECODING)
]
Seed = Annotated[int, typer.Option(help="Random seed for sampling.", rich_help_panel=_DECODING)]
StopLoops = Annotated[
    bool,
    typer.Option(
        "--stop-loops/--no-stop-loops",
        help="Stop a caption as soon as it certainly loops, not at the token limit.",
        rich_help_panel=_DECODING,
    ),
]
Segment = Annotated[
    str,
    typer.Option(
        "--segment",
        autocompletion=_one_of("whole", "scenes", "window:"),
        help="whole, window:SECONDS, or scenes.",
        rich_help_panel=_FRAMES,
    ),
]
MinLength = Annotated[
    float,
    typer.Option("--min-seconds", help="Leave out segments shorter than this.", rich_help_panel=_FRAMES),
]
MaxLength = Annotated[
    float | None,
    typer.Option("--max-seconds", help="Split segments longer than this evenly.", rich_help_panel=_FRAMES),
]
DecodeWorkers = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Decoding processes; by default one per core, at most 32. 0 decodes in this process, "
        "without a time-out.",
        rich_help_panel=_READING,
    ),
]
DecoderName = Annotated[
    DecoderChoice,
    typer.Option(
        "--decoder",
        help="What decodes videos: `auto` also uses the GPU's decoder, where it has one for a video; `cpu` does not; "
        "`gpu` refuses to run without one. The frames are the same.",
        rich_help_panel=_READING,
    ),
]
DecodeMemory = Annotated[
    float,
    typer.Option(
        callback=above_zero,
        metavar="GB",
        help="Memory a decoding process may use for one clip; a clip that needs more is an `error` row.",
        rich_help_panel=_READING,
    ),
]
DecodeTimeout = Annotated[
    float,
    typer.Option(
        callback=above_zero,
        help="Seconds allowed for fetching and decoding one clip; a clip that takes longer is an `error` row.",
        rich_help_panel=_READING,
    ),
]

Where = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SQL", help="Only rows for which this SQL condition holds; repeatable, all must hold."
    ),
]
Rows = Annotated[
    str, typer.Argument(metavar="OUT", help="What `caption -o` wrote: a folder, .jsonl or .parquet file.")
]


def beside_rows(rows: str, ending: str) -> Path:
    """Where something made of rows goes unless told otherwise: beside them, or here if they are behind a URL."""
    from framescribe.dataset.folder import local_path

    local = local_path(rows)
    name = rows.rstrip("/").rsplit("/", 1)[-1] if local is None else os.path.abspath(local)
    return Path(name.removesuffix(".jsonl").removesuffix(".parquet") + ending)


def caption_settings(
    *,
    strategy: StrategyName,
    frames: int,
    fps: float = 1.0,
    template: TemplateName | None,
    max_new_tokens: int,
    temperature: float,
    top_p: float,
    repetition_penalty: float,
    seed: int,
    stop_loops: bool = True,
    repair: bool | None = False,
) -> CaptionSettings:
    """The settings that the options spell.

    Raises:
        UsageError: a value that makes no sense.
    """
    return CaptionSettings(
        template=template,
        sampling=FrameSampling(strategy, frames, fps),
        generation=GenerationSettings(
            max_new_tokens, temperature, top_p, repetition_penalty, seed, stop_loops
        ),
        repair=repair,
    )
