"""``framescribe evaluate``: captions against what is known of their clips."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from framescribe.caption_row import CaptionRow
from framescribe.cli import options
from framescribe.errors import UsageError
from framescribe.model_spec import ModelSpec
from framescribe.types import CaptionSettings, GenerationSettings

if TYPE_CHECKING:
    from framescribe.eval.attributes import AttributeReport
    from framescribe.eval.evaluation import Evaluation

_SYNTHETIC = "Synthetic clips"


Rows = Annotated[
    str | None, typer.Argument(help="Caption rows: a folder, .jsonl or .parquet file.", show_default=False)
]
References = Annotated[
    str | None, typer.Argument(help="What is known of the same clips, likewise.", show_default=False)
]
Synthetic = Annotated[
    int | None,
    typer.Option(
        min=2,
        metavar="N",
        help="Draw N synthetic clips, half of them with held-out pairs, and caption them.",
        rich_help_panel=_SYNTHETIC,
    ),
]
Seed = Annotated[int, typer.Option(help="Random seed of the clips.", rich_help_panel=_SYNTHETIC)]
Keep = Annotated[
    Path | None,
    typer.Option(help="Keep the clips and rows in this empty folder.", rich_help_panel=_SYNTHETIC),
]


def evaluate(
    *,
    rows: Rows = None,
    references: References = None,
    synthetic: Synthetic = None,
    seed: Seed = 0,
    keep: Keep = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
    model: options.Spec,
    template: options.Template = None,
    sampling: options.Sampling,
    max_new_tokens: options.MaxNewTokens = 256,
) -> None:
    """Measure captions: those of rows against references, or the model's own on synthetic clips.

    ROWS and REFERENCES are rows of `framescribe caption`, or captions.jsonl of `framescribe synthesize`;
    clips are matched by clip id, else by file name. Facts in the references give the shares of right
    attributes.

    Examples:
        framescribe evaluate --synthetic 500 --model runs/mine/checkpoint
        framescribe evaluate captions/ references.jsonl --json
    """
    from framescribe.eval.evaluation import evaluate as measured

    if synthetic is None:
        if rows is None or references is None:
            raise UsageError("give ROWS and REFERENCES, or --synthetic N")
        _print(measured(rows, references), as_json)
        return
    if rows is not None:
        raise UsageError("give ROWS and REFERENCES, or --synthetic N, not both")
    settings = CaptionSettings(
        template=template, sampling=sampling, generation=GenerationSettings(max_new_tokens)
    )
    with tempfile.TemporaryDirectory() as temporary:
        _print(_caption_synthetic(synthetic, keep or Path(temporary), seed, model, settings), as_json)


def _caption_synthetic(
    count: int, folder: Path, seed: int, spec: ModelSpec, settings: CaptionSettings
) -> Evaluation:
    """``evaluate_synthetic`` with bars, and what its figures depend on."""
    from rich.progress import track

    from framescribe.bench.provenance import commit, versions
    from framescribe.cli import console
    from framescribe.cli.terminal import Terminal
    from framescribe.eval.evaluation import evaluate_synthetic
    from framescribe.synthetic.files import prepare_folder

    def drawn(paths: Iterator[Path]) -> Iterable[Path]:
        quiet = not console.err.is_terminal
        return track(paths, "Drawing", count, console=console.err, transient=True, disable=quiet)

    def captioned(rows: Iterator[CaptionRow]) -> Iterator[CaptionRow]:
        terminal = Terminal()
        with terminal.captioning(count, captioner.longest_in_progress):
            for row in rows:
                terminal.row(row)
                yield row

    with console.path_errors():
        prepare_folder(folder, overwrite=False)
    captioner = console.load_captioner(spec)
    tools = {"hardware": captioner.precision.hardware, "versions": versions(), "commit": commit()}
    found = evaluate_synthetic(captioner, count, folder, seed, settings, drawn=drawn, captioned=captioned)
    return replace(found, made_by=found.made_by | tools)


def _print(found: Evaluation, as_json: bool) -> None:
    from framescribe.cli.console import err
    from framescribe.eval.metrics import OVERLAP_PACKAGE
    from framescribe.extras import how_to_install

    if not found.has_overlap and not found.made_by:
        err.print(f"without CIDEr, BLEU and ROUGE: {how_to_install(OVERLAP_PACKAGE)}", markup=False)
    if as_json:
        print(json.dumps(found.to_dict()))
        return
    if missing := found.clips - found.captioned:
        err.print(f"{missing} of {found.clips} clips have no caption and count as wrong")
    _print_tables(found.attributes, found.figures)


def _print_tables(report: AttributeReport | None, figures: dict[str, Any]) -> None:
    from rich.table import Table

    from framescribe.cli.console import out
    from framescribe.eval.attributes import ATTRIBUTES, SPLITS

    if report:
        table = Table("right, in %", *(split.replace("_", " ") for split in SPLITS))
        for name in ATTRIBUTES:
            shares = [report.shares[split][name] for split in SPLITS]
            table.add_row(name, *(str(share) for share in shares))
        out.print(table)
    table = Table("captions", "")
    for name, value in figures.items():
        table.add_row(name.replace("_", " "), f"{value:.3g}" if isinstance(value, float) else str(value))
    out.print(table)
