"""Options that several commands share, and the values that groups of them spell."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from framescribe.cli.groups import Spelled
from framescribe.model_spec import ModelSpec
from framescribe.types import FrameSampling, GenerationSettings
from framescribe.types import Strategy as StrategyName
from framescribe.types import Template as TemplateName

_MODEL, _FRAMES, _DECODING = "Model", "Frames", "Decoding"


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
    str | None,
    typer.Option(
        "--model",
        "-m",
        autocompletion=models,
        help="Folder, bundled name, Hugging Face id or modelscope:ID; by default the adapter's, or tiny.",
        rich_help_panel=_MODEL,
    ),
]
Adapter = Annotated[
    Path | None,
    typer.Option(help="Folder of a LoRA adapter, merged into the model.", rich_help_panel=_MODEL),
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
Fps = Annotated[
    float,
    typer.Option(
        help="Frames per second for `chat`; the model was trained on 1. --frames still limits their number.",
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
    float,
    typer.Option(help="0.1 to 10; above 1 makes repeated tokens less likely.", rich_help_panel=_DECODING),
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


def model_spec(
    model: Model = None,
    revision: Revision = None,
    device: DeviceName = "auto",
    dtype: Dtype = "auto",
    quant: Quant = None,
    adapter: Adapter = None,
) -> ModelSpec:
    return ModelSpec(model, revision, device, dtype, quant, adapter)


def frame_sampling(strategy: Strategy = "chat", fps: Fps = 1.0, frames: NumFrames = 24) -> FrameSampling:
    return FrameSampling(strategy, frames, fps)


def generation_settings(
    max_new_tokens: MaxNewTokens = 2048,
    temperature: Temperature = 0.0,
    top_p: TopP = 1.0,
    repetition_penalty: RepetitionPenalty = 1.0,
    seed: Seed = 0,
    stop_loops: StopLoops = True,
) -> GenerationSettings:
    return GenerationSettings(max_new_tokens, temperature, top_p, repetition_penalty, seed, stop_loops)


Spec = Annotated[ModelSpec, Spelled(model_spec)]
Sampling = Annotated[FrameSampling, Spelled(frame_sampling)]
Generation = Annotated[GenerationSettings, Spelled(generation_settings)]
