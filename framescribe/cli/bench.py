"""``framescribe bench``: the engine's speed against the machine's ceilings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

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
    batch_size: Annotated[
        int | None, typer.Option(help="Clips that decode together.", rich_help_panel="Model")
    ] = None,
    source: Annotated[
        Literal["frames", "mp4"],
        typer.Option("--from", help="frames: uint8 in memory. mp4: also whole files, 720p of 6 s."),
    ] = "frames",
    short: Annotated[bool, typer.Option("--short", help="The 6 s clip instead of the 24 s one.")] = False,
    clips: Annotated[int | None, typer.Option(help="Clips of a run.", rich_help_panel=_CLIPS)] = None,
    frames: Annotated[int | None, typer.Option(help="Frames of a clip.", rich_help_panel=_CLIPS)] = None,
    prompt_tokens: Annotated[
        int | None, typer.Option(help="The frames' among them.", rich_help_panel=_CLIPS)
    ] = None,
    new_tokens: Annotated[
        int | None, typer.Option(help="That every clip gets.", rich_help_panel=_CLIPS)
    ] = None,
    frame_size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Of the uint8 frames.", rich_help_panel=_CLIPS)
    ] = None,
    repeat: Annotated[int, typer.Option(help="Runs; the median counts.")] = 3,
    baseline: Annotated[
        bool, typer.Option("--baseline/--no-baseline", help="Also measure one clip at a time.")
    ] = True,
    baseline_tokens: Annotated[
        int, typer.Option(help="Tokens of the baseline's clip that are timed; the rest is extrapolated.")
    ] = 32,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
) -> None:
    """Measure speed: seconds a clip, by phase, beside the floor that the machine's own ceilings set.

    On a GPU: the published clip of 24 frames, 1,622 prompt and 200 new tokens, 128 of them, on random weights of the
    official size. On a CPU: small clips on the bundled model. The last line is JSON.

    Examples:
        framescribe bench
        framescribe bench --short --from mp4 --quant fp8-kv --json bench.json
    """
    from framescribe.bench.run import benchmark
    from framescribe.bench.settings import BenchSettings
    from framescribe.cli.console import path_errors
    from framescribe.files import write_file
    from framescribe.model.precision import choose_precision
    from framescribe.model_spec import ModelSpec

    if json_file is not None and not json_file.absolute().parent.is_dir():
        raise UsageError(f"--json {json_file}: there is no folder {json_file.parent}")
    if json_file is not None and json_file.is_dir():
        raise UsageError(f"--json {json_file} is a folder; name a file")
    width, height = _frame_size(frame_size)
    settings = BenchSettings(
        precision=choose_precision(ModelSpec(device=device, dtype=dtype, quant=quant)),
        model=model,
        source=source,
        is_short=short,
        clips=clips,
        frames=frames,
        prompt_tokens=prompt_tokens,
        new_tokens=new_tokens,
        batch=batch_size,
        width=width,
        height=height,
        repeat=repeat,
        baseline_tokens=baseline_tokens if baseline else 0,
    )
    result = benchmark(settings)
    _print(result)
    print(json.dumps(result), flush=True)
    if json_file is not None:
        with path_errors():
            write_file(json_file, json.dumps(result, indent=2) + "\n")


def _frame_size(text: str | None) -> tuple[int | None, int | None]:
    if text is None:
        return None, None
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise UsageError(f"--frame-size takes WIDTHxHEIGHT in pixels, such as 1280x720, not {text!r}")
    return int(width), int(height)


def _print(result: dict[str, Any]) -> None:
    from rich.table import Table

    from framescribe.cli.console import out

    table = Table("phase", "s a clip", "floor", "share of the floor")
    for phase, seconds in (*result["phases"].items(), ("sum", result["seconds_per_clip"])):
        floor = result["floors"].get(phase)
        reached = ("", "") if floor is None else (f"{floor:.4f}", f"{result['shares'][phase]:.0%}")
        table.add_row("total" if phase == "sum" else phase, f"{seconds:.4f}", *reached)
    ceilings, latency, startup = result["ceilings"], result["latency"], result["startup"]
    fp8 = ceilings["fp8_matmul_flops_per_s"]
    out.print(
        f"{result['clips']} clips of {result['frames']} frames, {result['prompt_tokens']} prompt and "
        f"{result['new_tokens']} new tokens; {result['model']} in {result['precision']} on {result['hardware']}"
    )
    out.print(table)
    out.print(
        f"Floors from {ceilings['matmul_flops_per_s'] / 1e12:.3g} TFLOP/s"
        + (f", fp8 {fp8 / 1e12:.4g}" if fp8 else "")
        + f", {ceilings['copy_bytes_per_s'] / 1e12:.3g} TB/s; {result['mean_decode_batch']:.0f} clips a decode step"
    )
    if files := result["from_files"]:
        busy = "" if files["gpu_busy"] is None else f", GPU busy {files['gpu_busy']:.0%} of the time"
        out.print(
            f"From mp4 files: {files['seconds_per_clip']:.4f} s a clip, "
            f"{files['rate_to_frames']:.0%} of the rate from frames{busy}"
        )
    if baseline := result["baseline"]:
        out.print(
            f"One clip at a time: {baseline['seconds_per_clip']:.4g} s a clip, {baseline['ratio']:.3g} times as long "
            f"({baseline['how']})"
        )
    out.print(
        f"One clip alone: first token after {latency['first_token_s']:.3f} s, then {latency['ms_per_token']:.2f} ms a "
        "token"
    )
    out.print(
        f"Start: model after {startup['model_s']:.1f} s, engine after {startup['engine_s']:.1f} s more, its first "
        f"token after {startup['first_token_s']:.1f} s"
    )
    if result["peak_memory_bytes"]:
        out.print(f"Memory at most: {result['peak_memory_bytes'] / 1e9:.1f} GB")
