"""``framescribe train``: captioned clips to a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framescribe.cli.options import above_zero

if TYPE_CHECKING:
    from framescribe.train.progress import Progress, Validation


def _print_example(wanted: bool) -> None:
    if wanted:
        from importlib.resources import files

        text = files("framescribe.train").joinpath("example.toml").read_text(encoding="utf-8")
        print(text, end="")
        raise typer.Exit


def train(
    settings: Annotated[Path, typer.Argument(help="TOML file; --example prints one.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run.")],
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    minutes: Annotated[
        float | None,
        typer.Option(callback=above_zero, help="Stop after this many minutes; run it again to resume."),
    ] = None,
    max_shard_mb: Annotated[
        int, typer.Option(min=1, help="Maximum size of each checkpoint file, in MB.")
    ] = 5000,
    example: Annotated[
        bool,
        typer.Option(
            "--example",
            callback=_print_example,
            is_eager=True,
            help="Print example settings, which train for a minute, and exit.",
        ),
    ] = False,
) -> None:
    """Train a captioning model, or fine-tune one, in full or with LoRA.

    Safe to interrupt: the same command resumes from the last saved state. For several GPUs start it with
    `torchrun --nproc-per-node N -m framescribe train …`.

    Examples:
        framescribe train --example > settings.toml
        framescribe train settings.toml -o runs/mine
        framescribe train recipes/style.toml -o runs/style --minutes 30
    """
    from framescribe.cli.console import err, path_errors
    from framescribe.train.loop import train as run_training
    from framescribe.train.processes import is_first
    from framescribe.train.settings import TrainSettings

    with path_errors():
        parsed = TrainSettings.from_file(settings)
        checkpoint = run_training(
            parsed,
            output,
            device,
            lambda news: _print(news, parsed.steps),
            max_shard_bytes=max_shard_mb * 1_000_000,
            max_minutes=minutes,
        )
    if not is_first():
        return  # under torchrun the first process speaks for all
    if checkpoint is None:
        err.print(f"stopped after {minutes:g} minutes; run it again to resume", markup=False)
    else:
        err.print(f"checkpoint: {checkpoint}", markup=False)


def _print(news: Progress | Validation, steps: int) -> None:
    from framescribe.cli.console import err
    from framescribe.train.progress import Validation

    if isinstance(news, Validation):
        err.print(f"step {news.step}: validation loss {news.loss:.4f}")
        for expected, generated in news.captions:
            err.print(f"  expected:  {expected}\n  generated: {generated}", markup=False)
        return
    left_s = news.seconds / news.step * (steps - news.step)
    err.print(
        f"step {news.step}/{steps}  loss {news.loss:.4f}  lr {news.learning_rate:.2e}  "
        f"{news.clips_per_s:.1f} clips/s  {news.seconds:.0f} s done, {left_s:.0f} s left"
    )
