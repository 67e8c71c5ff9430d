"""``framescribe caption``: video files to captions."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framescribe.cli import options
from framescribe.types import DEFAULT_MODEL, DEFAULT_QUESTION

if TYPE_CHECKING:
    from framescribe.types import CaptionRow, Clip


def caption(
    sources: Annotated[list[str], typer.Argument(help="Videos: files, folders, globs, URLs.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write rows to this .parquet or .jsonl file.")
    ] = None,
    txt: Annotated[bool, typer.Option("--txt", help="Write CLIP.txt beside each video.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the output file, or existing .txt files.")
    ] = False,
    prompt: Annotated[str | None, typer.Option(help="What to ask about each clip.")] = None,
    prompt_file: Annotated[Path | None, typer.Option(help="Read the prompt from a text file.")] = None,
    template: options.Template = None,
    model: options.Model = DEFAULT_MODEL,
    revision: options.Revision = None,
    device: options.DeviceName = "auto",
    dtype: options.Dtype = "auto",
    quant: options.Quant = None,
    batch_size: Annotated[
        int | None,
        typer.Option(help="Clips that decode together; what fits if not given.", rich_help_panel="Model"),
    ] = None,
    strategy: options.Strategy = "chat",
    frames: options.NumFrames = 24,
    start: options.Start = 0.0,
    end: options.End = None,
    max_new_tokens: options.MaxNewTokens = 2048,
    temperature: options.Temperature = 0.0,
    top_p: options.TopP = 1.0,
    repetition_penalty: options.RepetitionPenalty = 1.0,
    seed: options.Seed = 0,
) -> None:
    """Caption videos.

    Captions are printed as they come, or written with -o as one row per clip with all that made it. A clip that
    fails is an `error` row and the others go on; the exit code is then 1.
    """
    from framescribe.cli.console import (
        load_captioner,
        print_caption,
        print_problem,
        print_summary,
        track,
        usage_errors,
    )
    from framescribe.pipeline.sinks import RowFile, write_sidecar
    from framescribe.pipeline.sources import expand_sources

    with usage_errors(), ExitStack() as stack:
        settings = options.caption_settings(
            prompt=_prompt(prompt, prompt_file),
            strategy=strategy,
            frames=frames,
            template=template,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_p=top_p,
            repetition_penalty=repetition_penalty,
            seed=seed,
        )
        clips = list(dict.fromkeys(expand_sources(sources, start, end)))
        writers: list[Callable[[CaptionRow], None]] = []
        note = ""
        if txt:
            clips, skipped = _without_sidecar(clips, overwrite)
            note = f", {skipped} skipped (.txt exists; --overwrite captions them again)" if skipped else ""
            writers.append(write_sidecar)
        row_file = RowFile(output, overwrite) if output else None
        counts: Counter[str] = Counter()
        if clips:
            captioner = load_captioner(model, revision, device, dtype, quant, batch_size)
            if row_file:
                writers.append(stack.enter_context(row_file).write)
            started = time.monotonic()
            try:
                for row in track(captioner.caption(clips, settings), len(clips), counts):
                    for write in writers or [print_caption]:
                        write(row)
                    print_problem(row)
            except KeyboardInterrupt:
                note += "; stopped by Ctrl-C, the rows so far are kept"
                raise
            finally:
                print_summary(counts, time.monotonic() - started, note)
        else:
            print_summary(counts, 0.0, note)
    if counts["error"]:
        raise typer.Exit(1)


def _prompt(prompt: str | None, prompt_file: Path | None) -> str:
    if prompt is not None and prompt_file is not None:
        raise ValueError("--prompt and --prompt-file exclude each other")
    if prompt_file is None:
        return DEFAULT_QUESTION if prompt is None else prompt
    try:
        return prompt_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"--prompt-file {prompt_file} cannot be read: {error}") from error


def _without_sidecar(clips: list[Clip], overwrite: bool) -> tuple[list[Clip], int]:
    """Clips whose .txt is not there yet, and how many have one. Two clips that would share one raise ValueError."""
    from framescribe.pipeline.sinks import sidecar_path

    owners: dict[Path, str] = {}
    for clip in clips:
        path = sidecar_path(clip.source_video)
        if owners.setdefault(path, clip.source_video) != clip.source_video:
            raise ValueError(f"{owners[path]} and {clip.source_video} would both write {path}; use -o")
    missing = [clip for clip in clips if overwrite or not sidecar_path(clip.source_video).exists()]
    return missing, len(clips) - len(missing)
