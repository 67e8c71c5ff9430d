"""``framescribe bench``: how fast a model captions on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from framescribe.cli import options
from framescribe.errors import UsageError

_CLIPS = "Clips (a preset's values where not given)"


def bench(
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="Checkpoint, or `random`: the official sizes with random weights. On a GPU random, else tiny.",
            rich_help_panel="Model",
        ),
    ] = None,
    device: options.DeviceName = "auto",
    dtype: options.Dtype = "auto",
    quant: options.Quant = None,
    batch: Annotated[
        int | None,
        typer.Option("--batch-size", min=1, help="Clips that decode together.", rich_help_panel="Model"),
    ] = None,
    short: Annotated[bool, typer.Option("--short", help="The 6 s clip instead of the 24 s one.")] = False,
    clips: Annotated[
        int | None, typer.Option(min=1, help="Clips in each run.", rich_help_panel=_CLIPS)
    ] = None,
    frames: Annotated[
        int | None, typer.Option(min=1, help="Frames per clip.", rich_help_panel=_CLIPS)
    ] = None,
    new_tokens: Annotated[
        int | None, typer.Option(min=2, help="Tokens generated per clip.", rich_help_panel=_CLIPS)
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, help="Number of runs; the median is reported.")] = 3,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
) -> None:
    """Measure speed: clips and tokens a second, by phase, and the latency of one clip.

    Clips are uint8 frames in memory. On a GPU: the published clip of 24 frames, 1,622 prompt and 200 new tokens, 128 of
    them, on random weights of the official size. On a CPU: small clips on the bundled model. The last line is JSON.

    Examples:
        framescribe bench
        framescribe bench --short --quant fp8-kv --json bench.json
    """
    import dataclasses

    from framescribe.bench.measure import benchmark, default_model, default_workload
    from framescribe.cli.console import path_errors
    from framescribe.files import write_file
    from framescribe.model.precision import choose_precision
    from framescribe.model_spec import ModelSpec

    _check_json(json_file)
    precision = choose_precision(ModelSpec(device=device, dtype=dtype, quant=quant))
    chosen = {"clips": clips, "frames": frames, "new_tokens": new_tokens, "batch": batch}
    workload = dataclasses.replace(
        default_workload(precision, short),
        **{name: value for name, value in chosen.items() if value is not None},
    )
    result = benchmark(model or default_model(precision), precision, workload, repeat)
    _print(result)
    print(json.dumps(result), flush=True)
    if json_file is not None:
        with path_errors():
            write_file(json_file, json.dumps(result, indent=2) + "\n")


def _check_json(path: Path | None) -> None:
    """Raises UsageError if the file cannot be written, before anything is measured."""
    if path is not None and not path.absolute().parent.is_dir():
        raise UsageError(f"--json {path}: there is no folder {path.parent}")
    if path is not None and path.is_dir():
        raise UsageError(f"--json {path} is a folder; name a file")


def _print(result: dict[str, Any]) -> None:
    from rich.table import Table

    from framescribe.cli.console import out

    out.print(
        f"{result['clips']} clips of {result['frames']} frames, {result['prompt_tokens']} prompt and "
        f"{result['new_tokens']} new tokens; {result['model']} in {result['precision']} on {result['hardware']}"
    )
    out.print(f"{result['clips_per_s']:.3g} clips/s, {result['new_tokens_per_s']:.4g} new tokens/s")
    table = Table("phase", "s a clip", "share")
    for phase, seconds in (*result["phases"].items(), ("total", result["seconds_per_clip"])):
        table.add_row(phase, f"{seconds:.4f}", f"{seconds / result['seconds_per_clip']:.0%}")
    out.print(table)
    latency = result["latency"]
    out.print(
        f"One clip alone: first token after {latency['first_token_s']:.3f} s, then {latency['ms_per_token']:.2f} ms a "
        "token"
    )
    if result["peak_memory_bytes"]:
        out.print(f"Memory at most: {result['peak_memory_bytes'] / 1e9:.1f} GB")
