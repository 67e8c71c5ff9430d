"""Options that only ``caption`` has, and the values that groups of them spell."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from framescribe.cli import options
from framescribe.cli.groups import Spelled
from framescribe.dataset.store import Redo as RedoName
from framescribe.errors import UsageError
from framescribe.pipeline.caption_run import CaptionOptions
from framescribe.task import DEFAULT_MEMORY_GB, DEFAULT_TIMEOUT_S, DecodeLimits, DecoderChoice

_RUNS, _WHICH, _READING = "Runs into a folder", "Which clips", "Reading videos"

Sources = Annotated[
    list[str],
    typer.Argument(help="Videos: files, folders, globs, URLs, tars; lists as .txt, .csv, .jsonl, .parquet."),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        help="Write rows to this folder (or URL of one), which a later run adds to, or .parquet or .jsonl file.",
    ),
]
Txt = Annotated[
    bool,
    typer.Option("--txt", help="Write CLIP.txt beside each video, except for defective captions."),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace the output file, or existing .txt files.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors and the summary only.")]
Prompt = Annotated[
    list[str] | None,
    typer.Option(
        help="What to ask about each clip. Repeatable: each clip is decoded once and gets a row per prompt."
    ),
]
PromptFile = Annotated[Path | None, typer.Option(help="Read the prompt from a text file.")]
BatchSize = Annotated[
    int | None,
    typer.Option(min=1, help="Clips decoded together; by default as many as fit.", rich_help_panel="Model"),
]
Repair = Annotated[
    bool | None,
    typer.Option(
        "--repair/--no-repair",
        help="Re-decode defective captions with other settings; on for a folder and --txt.",
        rich_help_panel="Decoding",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Report what would be captioned, then exit; exit code 2 if the folder was made with other settings.",
        rich_help_panel=_RUNS,
    ),
]
NewRun = Annotated[
    bool,
    typer.Option(
        "--new-run",
        help="Caption with other settings into the same folder: all clips, or those that --redo "
        "chooses. Earlier rows are kept; a clip's last one counts. Going back to earlier settings"
        " captions again what others have replaced.",
        rich_help_panel=_RUNS,
    ),
]
Redo = Annotated[
    RedoName | None,
    typer.Option(
        help="Caption again only clips whose last row `failed`, is `flagged`, or was `rejected` or `imported`; "
        "clips with no row yet are skipped.",
        rich_help_panel=_RUNS,
    ),
]
HashSources = Annotated[
    bool,
    typer.Option(
        "--hash",
        help="Record each source's SHA-256; caption again what has changed.",
        rich_help_panel=_RUNS,
    ),
]
Scores = Annotated[
    str | None,
    typer.Option(
        "--scores",
        metavar="NAMES",
        help="Also measure clips while they are decoded: `all`, or scorers as in `score --scores`.",
        rich_help_panel=_RUNS,
    ),
]
Features = Annotated[
    bool,
    typer.Option(
        "--features",
        help="Keep each clip's pooled features, for `teach` and `similar`; captions stay the same.",
        rich_help_panel=_RUNS,
    ),
]
Heads = Annotated[
    list[Path] | None,
    typer.Option(
        "--head",
        help="Score each clip by a head that `teach` wrote. Repeatable.",
        rich_help_panel=_RUNS,
    ),
]
RowsPerShard = Annotated[
    int | None,
    typer.Option(
        "--shard-rows",
        min=1,
        help="Rows per file of the folder; small files lose less when a run is killed. By default "
        "1,000, with --ray 128 per worker.",
        rich_help_panel=_RUNS,
    ),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SQL",
        help="Caption only clips whose scores in the folder fulfil this SQL condition; repeatable, all must hold.",
        rich_help_panel=_WHICH,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="Caption the first N clips of those left to do.", rich_help_panel=_WHICH
    ),
]
Sample = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Caption N clips drawn at random with --seed, whatever their order.",
        rich_help_panel=_WHICH,
    ),
]
Shard = Annotated[
    str | None,
    typer.Option(
        metavar="I/N",
        help="Caption the I-th of N parts, 1/N to N/N: N machines divide the clips, each into a folder of its own.",
        rich_help_panel=_WHICH,
    ),
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
        callback=options.above_zero,
        metavar="GB",
        help="Memory a decoding process may use for one clip; a clip that needs more is an `error` row.",
        rich_help_panel=_READING,
    ),
]
DecodeTimeout = Annotated[
    float,
    typer.Option(
        callback=options.above_zero,
        help="Seconds allowed for fetching and decoding one clip; a clip that takes longer is an `error` row.",
        rich_help_panel=_READING,
    ),
]


def clip_options(
    start: options.Start = 0.0,
    end: options.End = None,
    segments: options.Segment = "whole",
    min_length: options.MinLength = 0.0,
    max_length: options.MaxLength = None,
    limit: Limit = None,
    sample: Sample = None,
    shard: Shard = None,
) -> CaptionOptions:
    """Which clips a run takes.

    Raises:
        UsageError: ``shard`` is not of the form I/N.
    """
    numbers = None if shard is None else re.fullmatch(r"(\d{1,9})/(\d{1,9})", shard)
    if shard is not None and numbers is None:
        raise UsageError(f"`shard` takes I/N, such as 1/4 to 4/4, not {shard!r}")
    return {
        "start_s": start, "end_s": end, "segments": segments, "min_length_s": min_length, "max_length_s": max_length,
        "limit": limit, "sample": sample, "shard": (int(numbers[1]), int(numbers[2])) if numbers else None,
    }  # fmt: skip


def names_of(names: str | None) -> list[str]:
    """Names that commas divide."""
    return [name.strip() for name in names.split(",")] if names else []


def scores_named(names: str) -> Literal["all"] | list[str]:
    """As `framescribe.score` takes scorers."""
    return "all" if names == "all" else [] if names == "none" else names_of(names)


def run_options(
    dry_run: DryRun = False,
    new_run: NewRun = False,
    redo: Redo = None,
    hash_sources: HashSources = False,
    where: Where = None,
    scores: Scores = None,
    features: Features = False,
    heads: Heads = None,
    rows_per_shard: RowsPerShard = None,
) -> CaptionOptions:
    """What a run does in a folder."""
    return {
        "dry_run": dry_run, "new_run": new_run, "redo": redo, "hash_sources": hash_sources,
        "where": where or (), "features": features, "heads": heads or (), "rows_per_shard": rows_per_shard,
        "scores": scores_named(scores) if scores else (),
    }  # fmt: skip


def decode_limits(
    decode_workers: DecodeWorkers = None,
    decoder: DecoderName = "auto",
    decode_timeout: DecodeTimeout = DEFAULT_TIMEOUT_S,
    decode_memory: DecodeMemory = DEFAULT_MEMORY_GB,
) -> DecodeLimits:
    return DecodeLimits(decode_workers, decode_timeout, decode_memory, decoder)


def prompts_of(prompt: Prompt = None, prompt_file: PromptFile = None) -> list[str]:
    """What each clip is asked; empty for the published prompt.

    Raises:
        UsageError: prompts in both places, or a file that cannot be read.
    """
    if prompt_file is None:
        return prompt or []
    if prompt:
        raise UsageError("`prompt` and `prompt_file` exclude each other")
    from framescribe.reading import read_text

    try:
        return [read_text(prompt_file).strip()]
    except OSError as error:
        raise UsageError(f"--prompt-file {prompt_file} cannot be read: {error.strerror}") from error


Clips = Annotated[CaptionOptions, Spelled(clip_options)]
Run = Annotated[CaptionOptions, Spelled(run_options)]
Limits = Annotated[DecodeLimits, Spelled(decode_limits)]
Prompts = Annotated[list[str], Spelled(prompts_of)]
