"""``framescribe evaluate``: captions against what is known of their clips."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from framescribe.cli import options
from framescribe.errors import UsageError
from framescribe.model_spec import ModelSpec
from framescribe.types import DEFAULT_MODEL

if TYPE_CHECKING:
    from framescribe.eval.attributes import AttributeReport
    from framescribe.eval.matching import Pair
    from framescribe.types import CaptionSettings

_SYNTHETIC = "Synthetic clips"
# Of a row: what its caption followed from.
_MADE_BY = ("model", "model_revision", "precision", "strategy", "template", "num_frames", "engine_version")


def evaluate(
    rows: Annotated[
        str | None,
        typer.Argument(help="Caption rows: a folder, .jsonl or .parquet file.", show_default=False),
    ] = None,
    references: Annotated[
        str | None,
        typer.Argument(help="What is known of the same clips, likewise.", show_default=False),
    ] = None,
    synthetic: Annotated[
        int | None,
        typer.Option(
            min=2,
            metavar="N",
            help="Draw N synthetic clips, half of them with held-out pairs, and caption them.",
            rich_help_panel=_SYNTHETIC,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the clips.", rich_help_panel=_SYNTHETIC)] = 0,
    keep: Annotated[
        Path | None,
        typer.Option(help="Keep the clips and rows in this empty folder.", rich_help_panel=_SYNTHETIC),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    model: options.Model = DEFAULT_MODEL,
    revision: options.Revision = None,
    device: options.DeviceName = "auto",
    dtype: options.Dtype = "auto",
    quant: options.Quant = None,
    template: options.Template = None,
    strategy: options.Strategy = "chat",
    frames: options.NumFrames = 24,
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
    from framescribe.dataset.dataset import Dataset
    from framescribe.eval.matching import match

    made_by: dict[str, Any] = {}
    if synthetic is not None:
        if rows is not None:
            raise UsageError("give ROWS and REFERENCES, or --synthetic N, not both")
        settings = options.caption_settings(
            strategy=strategy,
            frames=frames,
            template=template,
            max_new_tokens=max_new_tokens,
            temperature=0.0,
            top_p=1.0,
            repetition_penalty=1.0,
            seed=0,
        )
        with tempfile.TemporaryDirectory() as temporary:
            folder = keep or Path(temporary)
            spec = ModelSpec(model, revision, device, dtype, quant)
            pairs, made_by = _caption_synthetic(synthetic, seed, folder, spec, settings)
    elif rows is not None and references is not None:
        pairs = match(*(list(Dataset(each, required=())) for each in (rows, references)))
    else:
        raise UsageError("give ROWS and REFERENCES, or --synthetic N")
    _print_figures(pairs, made_by, as_json)


def _caption_synthetic(
    count: int,
    seed: int,
    folder: Path,
    spec: ModelSpec,
    settings: CaptionSettings,
) -> tuple[list[Pair], dict[str, Any]]:
    """Draws clips into the folder, the seen pairs first, captions them, and leaves rows.jsonl there too.

    Returns:
        The pairs, and what made the captions.
    """
    from rich.progress import track

    from framescribe.bench.provenance import commit, versions
    from framescribe.cli import console
    from framescribe.cli.terminal import Terminal
    from framescribe.dataset.dataset import Dataset
    from framescribe.dataset.row_file import RowFile
    from framescribe.eval.matching import match
    from framescribe.synthetic.files import CAPTIONS_FILE, file_clips, prepare_folder, write_clips

    with console.path_errors():
        prepare_folder(folder, overwrite=False)
    captioner = console.load_captioner(spec)
    tools = {"hardware": captioner.precision.hardware, "versions": versions(), "commit": commit()}
    clips = file_clips(count - count // 2, seed) + file_clips(count // 2, seed, held_out=True)
    quiet = not console.err.is_terminal
    drawn = track(
        write_clips(clips, folder), "Drawing", count, console=console.err, transient=True, disable=quiet
    )
    paths = list(drawn)
    terminal = Terminal()
    with (
        RowFile(folder / "rows.jsonl") as file,
        terminal.captioning(count, captioner.longest_in_progress),
    ):
        for row in captioner.caption(paths, settings):
            file.write(row)
            terminal.row(row)
    rows = list(Dataset(folder / "rows.jsonl"))
    made_by = {name: rows[0][name] for name in _MADE_BY} | {"clips": count, "clips_seed": seed} | tools
    return match(rows, list(Dataset(folder / CAPTIONS_FILE, required=()))), made_by


def _print_figures(pairs: list[Pair], made_by: dict[str, Any], as_json: bool) -> None:
    from framescribe.cli.console import err
    from framescribe.eval.attributes import score_attributes
    from framescribe.eval.metrics import OVERLAP_PACKAGE, overlap_figures, text_figures
    from framescribe.extras import how_to_install, is_installed

    captions = {pair.clip: pair.caption for pair in pairs if pair.caption}
    if not captions:
        raise UsageError("none of the clips that have references has a caption")
    with_facts = [(pair.caption, pair.facts) for pair in pairs if pair.facts]
    report = score_attributes(with_facts) if with_facts else None
    figures: dict[str, Any] = {"clips": len(pairs), **text_figures(list(captions.values()))}
    if not made_by:
        # Without a caption counts as an empty one. Not for synthetic clips, whose wording varies freely.
        expected = {pair.clip: pair.references for pair in pairs if pair.references}
        if not is_installed(OVERLAP_PACKAGE):
            err.print(f"without CIDEr, BLEU and ROUGE: {how_to_install(OVERLAP_PACKAGE)}", markup=False)
        else:
            figures |= overlap_figures({clip: captions.get(clip, "") for clip in expected}, expected)
    if as_json:
        told = (report.to_dict() if report else {}) | {"captions": figures}
        print(json.dumps(told | ({"made_by": made_by} if made_by else {})))
        return
    if missing := len(pairs) - len(captions):
        err.print(f"{missing} of {len(pairs)} clips have no caption and count as wrong")
    _print_tables(report, figures)


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
