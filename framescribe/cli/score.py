"""``framescribe score``: clips to what can be measured of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from framescribe.cli import caption_options, options, ray_options

_PANEL = "Which clips"

Output = Annotated[
    str | None,
    typer.Option("--output", "-o", help="Write scores to this dataset folder (or URL of one)."),
]
Scores = Annotated[
    str,
    typer.Option(
        metavar="NAMES",
        help="Scorers, as in `motion,cuts`; `all` is all but `text` and `motion_vectors`, "
        "`none` is for --features alone.",
    ),
]
Features = Annotated[
    bool,
    typer.Option("--features", help="Keep what the model sees of each clip; only its vision tower runs."),
]
Heads = Annotated[
    list[Path] | None,
    typer.Option("--head", metavar="FILE", help="Score what the model sees by this head; repeatable."),
]
Redo = Annotated[Literal["failed"] | None, typer.Option(help="Score again also where a scorer `failed`.")]
HashSources = Annotated[
    bool, typer.Option("--hash", help="Record each source's SHA-256; score again what has changed.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Count what would be scored, then exit.")]
Seed = Annotated[int, typer.Option(min=0, help="Random seed of --sample.", rich_help_panel=_PANEL)]
RowsPerShard = Annotated[
    int | None, typer.Option("--shard-rows", min=1, help="Rows per file; by default 20,000.")
]


def score(
    *,
    sources: Annotated[
        list[str],
        typer.Argument(help="Videos, as for `caption`; without -o a dataset folder, whose clips are scored."),
    ],
    output: Output = None,
    scores: Scores = "all",
    features: Features = False,
    heads: Heads = None,
    redo: Redo = None,
    hash_sources: HashSources = False,
    dry_run: DryRun = False,
    quiet: caption_options.Quiet = False,
    seed: Seed = 0,
    model: options.Spec,
    sampling: options.Sampling,
    clips: caption_options.Clips,
    rows_per_shard: RowsPerShard = None,
    limits: caption_options.Limits,
    executor: ray_options.Executor,
) -> None:
    """Measure clips: motion, cuts, blur, borders, text, and more. A model is loaded only for --features and --head.

    Scores are a table of the dataset folder and columns of its rows: `rows --where 'motion >= 2'`. A clip that
    fails has rows that say why, and the others go on. A run is safe to interrupt: run the same command again to
    resume; scores of an older version of a scorer are measured anew.

    Examples:
        framescribe score clips/ -o captions/
        framescribe score captions/
        framescribe score captions/ --scores none --features
        framescribe score clips/ -o captions/ --scores motion,cuts --segment scenes
        framescribe score 's3://bucket/*.tar' -o s3://bucket/scores/ --ray auto
    """
    from framescribe.cli.terminal import Terminal
    from framescribe.errors import UsageError
    from framescribe.pipeline.score_run import score as score_all

    run: dict[str, Any] = {
        **clips, "scores": caption_options.scores_named(scores), "redo": redo, "hash_sources": hash_sources,
        "features": features, "heads": heads or (), "model": model, "sampling": sampling,
        "dry_run": dry_run, "seed": seed, "rows_per_shard": rows_per_shard, "limits": limits,
        "executor": executor or "local",
    }  # fmt: skip
    if output is None and len(sources) > 1:
        raise UsageError("name the folder that scores go to, such as `output=captions/`")
    given = sources[0] if output is None else sources
    summary = score_all(given, output, progress=Terminal(is_quiet=quiet), **run)
    if summary.has_failures:
        raise typer.Exit(1)
