"""Options that only ``caption`` has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from framescribe.dataset.store import Redo as RedoName
from framescribe.errors import UsageError

_RUNS, _WHICH = "Runs into a folder", "Which clips"

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
Fps = Annotated[
    float,
    typer.Option(
        help="Frames per second for `chat`; the model was trained on 1. --frames still limits their number.",
        rich_help_panel="Frames",
    ),
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
        help="Caption again only clips whose last row `failed` or is `flagged`; clips with no row yet are skipped.",
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


def shard_of(text: str | None) -> tuple[int, int] | None:
    """``1/4`` as numbers.

    Raises:
        UsageError: it is not of this form.
    """
    if text is None:
        return None
    numbers = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
    if numbers is None:
        raise UsageError(f"`shard` takes I/N, such as 1/4 to 4/4, not {text!r}")
    return int(numbers[1]), int(numbers[2])


def prompts_of(prompts: list[str] | None, file: Path | None) -> list[str]:
    """What each clip is asked; empty for the published prompt.

    Raises:
        UsageError: prompts in both places, or a file that cannot be read.
    """
    if file is None:
        return prompts or []
    if prompts:
        raise UsageError("`prompt` and `prompt_file` exclude each other")
    from framescribe.reading import read_text

    try:
        return [read_text(file).strip()]
    except OSError as error:
        raise UsageError(f"--prompt-file {file} cannot be read: {error.strerror}") from error
