"""``framescribe``: the commands and what surrounds them."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from framescribe import __version__
from framescribe.cli.apply import apply
from framescribe.cli.ask import ask
from framescribe.cli.bench import bench
from framescribe.cli.caption import caption
from framescribe.cli.command import EXIT_INTERRUPTED, Command, CommandGroup
from framescribe.cli.decide import decide
from framescribe.cli.doctor import doctor
from framescribe.cli.download import download
from framescribe.cli.evaluate import evaluate
from framescribe.cli.export import export
from framescribe.cli.filter import filter as filter_
from framescribe.cli.groups import unfolded
from framescribe.cli.importing import import_captions
from framescribe.cli.inspect import inspect
from framescribe.cli.parity import parity
from framescribe.cli.ray_options import CaptionCommand
from framescribe.cli.report import report
from framescribe.cli.review import review
from framescribe.cli.rewrite import rewrite
from framescribe.cli.rows import rows
from framescribe.cli.run_batch import run_batch
from framescribe.cli.score import score
from framescribe.cli.serve import serve
from framescribe.cli.similar import similar
from framescribe.cli.split import split
from framescribe.cli.synthesize import synthesize
from framescribe.cli.teach import teach
from framescribe.cli.train import train

app = typer.Typer(
    name="framescribe",
    cls=CommandGroup,
    help="Video in, dense captions out: CogVLM2-Llama3-Caption, natively.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for run in (caption, score):
    app.command(cls=CaptionCommand)(unfolded(run))
for command in (
    rows, filter_, report, review, decide, rewrite, export, teach, apply, similar,
    ask, serve, inspect, train, evaluate, split, synthesize, parity, bench, download, doctor,
):  # fmt: skip
    app.command(cls=Command)(unfolded(command))
app.command("run-batch", cls=Command)(unfolded(run_batch))
app.command("import", cls=Command)(unfolded(import_captions))


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"framescribe {__version__}")
        raise typer.Exit


def _log_details(context: typer.Context, wanted: bool) -> None:
    """Called for ``-v`` before the command's name and for ``-v`` after it; either is enough."""
    from framescribe.cli.console import set_up_logging

    if wanted or context.parent is None:
        set_up_logging(wanted)


@app.callback(epilog="framescribe runs on Linux and macOS; on Windows, run it in WSL.")
def _framescribe(
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", "-v", callback=_log_details, expose_value=False, help="Show detailed log messages."
        ),
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point. ``Command`` says what the exit codes mean."""
    # A file name, or a terminal, may not be UTF-8: print escapes for what cannot be encoded.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    except KeyboardInterrupt:  # before or after a command ran, which reports it itself
        print("framescribe: stopped by Ctrl-C.", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
