"""``framescribe caption``: video files to captions."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framescribe.cli import on_ray, options
from framescribe.dataset.store import Redo
from framescribe.errors import ClipError, UsageError
from framescribe.model_spec import ModelSpec
from framescribe.types import DEFAULT_MODEL, DEFAULT_QUESTION, Clip

if TYPE_CHECKING:
    from framescribe.pipeline.sidecars import Sidecars
    from framescribe.pipeline.sitting import Sitting
    from framescribe.quality.duplicates import RepeatCounter
    from framescribe.types import CaptionRow, CaptionSettings

_RUNS = "Runs into a folder"


def caption(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Videos: files, folders, globs, URLs, tars; lists as .txt, .csv, .jsonl, .parquet."
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="Write rows to this folder (or URL of one), which a later run adds to, or .parquet or .jsonl file.",
        ),
    ] = None,
    txt: Annotated[
        bool,
        typer.Option("--txt", help="Write CLIP.txt beside each video, unless its caption came out badly."),
    ] = False,
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
        typer.Option(
            min=1, help="Clips that decode together; what fits if not given.", rich_help_panel="Model"
        ),
    ] = None,
    strategy: options.Strategy = "chat",
    frames: options.NumFrames = 24,
    start: options.Start = 0.0,
    end: options.End = None,
    segments: options.Segment = "whole",
    min_length: options.MinLength = 0.0,
    max_length: options.MaxLength = None,
    max_new_tokens: options.MaxNewTokens = 2048,
    temperature: options.Temperature = 0.0,
    top_p: options.TopP = 1.0,
    repetition_penalty: options.RepetitionPenalty = 1.0,
    seed: options.Seed = 0,
    stop_loops: options.StopLoops = True,
    repair: Annotated[
        bool | None,
        typer.Option(
            "--repair/--no-repair",
            help="Re-decode captions that came out badly with other settings; on for a folder and --txt.",
            rich_help_panel="Decoding",
        ),
    ] = None,
    decode_workers: options.DecodeWorkers = None,
    decode_timeout: options.DecodeTimeout = 120.0,
    decode_memory: options.DecodeMemory = 4.0,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Look at the videos, tell, and stop; exit code 2 if the folder was made with other settings.",
            rich_help_panel=_RUNS,
        ),
    ] = False,
    new_run: Annotated[
        bool,
        typer.Option(
            "--new-run",
            help="Caption with other settings into the same folder, all clips or those of --redo; earlier rows are "
            "kept, a clip's last one counts. Going back to earlier settings captions what others have replaced.",
            rich_help_panel=_RUNS,
        ),
    ] = False,
    redo: Annotated[
        Redo | None,
        typer.Option(
            help="Caption again only clips whose last row `failed` or is `flagged`; clips without a row "
            "wait for a run without this.",
            rich_help_panel=_RUNS,
        ),
    ] = None,
    hash_sources: Annotated[
        bool,
        typer.Option(
            "--hash",
            help="Record each source's SHA-256; caption again what has changed.",
            rich_help_panel=_RUNS,
        ),
    ] = False,
    shard_rows: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Rows per file of the folder; a kill loses fewer. 1,000 if not given, with --ray 128 a worker.",
            rich_help_panel=_RUNS,
        ),
    ] = None,
    ray: on_ray.Address = None,
    ray_workers: on_ray.Workers = None,
    ray_workers_per_gpu: on_ray.WorkersPerGpu = 1,
    ray_queue: on_ray.Queue = None,
    ray_task_clips: on_ray.TaskClips = 1,
    ray_decoder_cpus: on_ray.DecoderCpus = 1.0,
) -> None:
    """Caption videos.

    Captions are printed as they come, or written with -o as one row per clip with all that made it. A clip that
    fails is an `error` row and the others go on; the exit code is then 1. Into a folder, the same command goes on
    where a stopped run was.

    Examples:
        framescribe caption clips/ talk.mp4 'https://example.com/*.webm'
        framescribe caption clips/ -o rows.jsonl --model THUDM/cogvlm2-llama3-caption
        framescribe caption list.csv 's3://bucket/*.tar' -o captions/ --quant 8
        framescribe caption clips/ --txt --prompt 'Describe the camera work.'
        framescribe caption lecture.mp4 --segment window:10 --strategy uniform
        framescribe caption clips/ -o captions/ --redo flagged
    """
    from framescribe.cli.console import (
        err,
        load_captioner,
        out,
        path_errors,
        print_caption,
        print_error,
        print_problem,
        print_summary,
    )
    from framescribe.cli.preflight import print_preflight
    from framescribe.cli.progress import track
    from framescribe.dataset.row_file import RowFile, is_row_file
    from framescribe.dataset.writer import ROWS_PER_SHARD
    from framescribe.pipeline.preflight import look_at
    from framescribe.pipeline.sidecars import Sidecars
    from framescribe.pipeline.sources import check_sources, expand_sources
    from framescribe.quality.duplicates import RepeatCounter
    from framescribe.video.segment import SegmentRule, segment
    from framescribe.video.workers import DecodeWorkers

    with ExitStack() as stack:
        # All that can be wrong with the options is found before a folder is made or a model loaded.
        into_folder = output is not None and not is_row_file(output)
        Clip(sources[0], start, end)  # raises for a span that cannot be
        check_sources(sources)
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
            stop_loops=stop_loops,
            repair=(into_folder or txt) if repair is None else repair,
        )

        rule = SegmentRule.parse(segments, min_length, max_length)
        if txt and not rule.changes_nothing:
            raise UsageError("--txt writes one file for each video; with segments use -o")
        # Kept, as clips are found more than once, and finding scenes reads all of a video.
        reading = stack.enter_context(DecodeWorkers([], decode_timeout, decode_memory))
        parts = cache(lambda clip: tuple(segment(clip, rule, reading)))

        def clips() -> Iterator[Clip]:
            """Named clips, found anew each time: they may be too many for a list."""
            named = expand_sources(sources, start, end)
            found = named if rule.changes_nothing else chain.from_iterable(map(parts, named))
            return filter(_lacks_sidecar, found) if txt and not overwrite else found

        if (
            txt
            and output
            and not overwrite
            and not all(map(_lacks_sidecar, expand_sources(sources, start, end)))
        ):
            raise UsageError(
                "some clips have a .txt already and would be missing from the output too; add --overwrite or drop --txt"
            )
        if into_folder and overwrite:
            raise UsageError(
                "a folder is never overwritten: --redo captions some clips again, --new-run all of them"
            )
        sidecars = Sidecars()
        note = _skipped_note(sidecars, expand_sources(sources, start, end), overwrite) if txt else ""
        if not into_folder and (new_run or redo or hash_sources):
            raise UsageError("--new-run, --redo and --hash need a folder to write to: -o FOLDER")
        if ray and (dry_run or txt or not into_folder):
            raise UsageError("--ray writes to a folder: give -o FOLDER, without --txt and --dry-run")
        row_file = None
        if output and not into_folder and not dry_run:
            with path_errors():
                row_file = RowFile(output, overwrite)
        sitting = None
        if output and into_folder:
            if ray:
                cluster = on_ray.connect(
                    ray,
                    ModelSpec(model, revision, device, dtype, quant),
                    settings,
                    stack,
                    workers=ray_workers,
                    workers_per_gpu=ray_workers_per_gpu,
                    decoders=decode_workers,
                    cpus_per_decoder=ray_decoder_cpus,
                    batch_size=batch_size,
                    queue_clips=ray_queue,
                    task_clips=ray_task_clips,
                    shard_rows=shard_rows,
                )
                made_by: _MadeBy = (
                    cluster.facts.precision, cluster.hardware, lambda: cluster.facts.revision
                )  # fmt: skip
            else:
                made_by = _look_here(ModelSpec(model, revision, device, dtype, quant), dry_run)
            sitting = _sit_down(output, settings, model, made_by, new_run, redo, dry_run, stack)
        if sitting or dry_run:
            is_todo = sitting.is_todo if sitting else lambda clip: True
            is_left_out = sitting.is_left_out if sitting else lambda clip: False
            report = look_at(clips(), is_todo, is_left_out, settings.sampling, timeout_s=decode_timeout)
            print_preflight(
                report,
                strategy,
                sitting.clips_per_s if sitting else None,
                sitting.folder if sitting else None,
                out if dry_run else err,
            )
            total = report.clips if hash_sources else report.todo
        else:
            total = sum(1 for _ in clips())
        if dry_run:
            if sitting and not new_run:
                sitting.check()
            return

        counts: Counter[str] = Counter()
        writers: list[Callable[[CaptionRow], None]] = [sidecars.write] if txt else []
        repeats = RepeatCounter()
        if output or txt:
            writers.append(repeats.write)
        unwritten = 0
        started = time.monotonic()
        if total and ray:
            assert sitting is not None
            todo = sitting.todo(clips(), hash_sources=hash_sources)
            try:
                cluster.caption(sitting, todo, total, settings, decode_timeout, counts)
            finally:
                print_summary(counts, time.monotonic() - started, note)
        elif total:
            if row_file:  # before the model loads, which may take minutes
                writers.append(stack.enter_context(row_file).write)
            captioner = load_captioner(ModelSpec(model, revision, device, dtype, quant), batch_size)
            if sitting:
                writers.append(stack.enter_context(sitting.writer(shard_rows or ROWS_PER_SHARD)).write)
            started = time.monotonic()
            todo = sitting.todo(clips(), hash_sources=hash_sources) if sitting else clips()
            rows = captioner.caption(
                todo,
                settings,
                decode_workers=decode_workers,
                decode_timeout_s=decode_timeout,
                decode_memory_gb=decode_memory,
            )
            try:
                for row in track(rows, total, counts, captioner.longest_in_progress):
                    final = sitting.finished(row) if sitting else row
                    for write in writers or [print_caption]:
                        try:
                            write(final)
                        except ClipError as error:
                            print_error(str(error))
                            unwritten += 1
                    print_problem(final)
            except KeyboardInterrupt:
                note += "; the same command goes on from here" if sitting else ""
                raise
            finally:
                note += _quality_note(sidecars, repeats)
                print_summary(counts, time.monotonic() - started, note)
        else:
            err.print(f"Nothing to do: {_why_nothing(sitting, redo)}{note}")
    if counts["error"] or unwritten:
        raise typer.Exit(1)


def _quality_note(sidecars: Sidecars, repeats: RepeatCounter) -> str:
    """What a training set should not have, of this run."""
    note = ""
    if sidecars.refused:
        reasons = ", ".join(f"{number} {reason}" for reason, number in sidecars.refused.most_common())
        note += f"; no .txt for {sidecars.refused.total()} of them ({reasons})"
    if repeats.count:
        note += f"; {repeats.count} nearly repeat another clip's caption"
    return note


def _why_nothing(sitting: Sitting | None, redo: Redo | None) -> str:
    if redo:
        return f"no clip of these is {redo}"
    return "each clip has its row already" if sitting else "no clip is left"


def _prompt(prompt: str | None, prompt_file: Path | None) -> str:
    if prompt is not None and prompt_file is not None:
        raise UsageError("--prompt and --prompt-file exclude each other")
    if prompt_file is None:
        return DEFAULT_QUESTION if prompt is None else prompt
    from framescribe.reading import read_text

    try:
        return read_text(prompt_file).strip()
    except OSError as error:
        raise UsageError(f"--prompt-file {prompt_file} cannot be read: {error.strerror}") from error


_MadeBy = tuple[str, str, Callable[[], str | None]]
"""Precision and hardware, and what finds the model's revision."""


def _look_here(spec: ModelSpec, dry_run: bool) -> _MadeBy:
    """What captions if this process does. A dry run downloads nothing, and only the hub knows which commit it is."""
    from framescribe.model.hub import fetch_checkpoint
    from framescribe.model.precision import choose_precision

    precision = choose_precision(spec)
    return (
        str(precision),
        precision.hardware,
        lambda: None if dry_run else fetch_checkpoint(spec.name, spec.revision).revision,
    )


def _sit_down(
    output: str,
    settings: CaptionSettings,
    model: str,
    made_by: _MadeBy,
    new_run: bool,
    redo: Redo | None,
    dry_run: bool,
    stack: ExitStack,
) -> Sitting:
    """Opens the folder of a run and locks it until ``stack`` closes; a dry run leaves everything as it is."""
    from framescribe.dataset.lock import locked
    from framescribe.dataset.runs import RunLog, run_identity
    from framescribe.dataset.store import RowFolder
    from framescribe.pipeline.sitting import Sitting

    precision, hardware, find_revision = made_by
    folder = RowFolder(output)
    if dry_run:
        identity = run_identity(settings, [settings.prompt], model, find_revision(), precision)
        return Sitting(folder, RunLog(folder), identity, hardware, redo)
    stack.enter_context(locked(folder))
    identity = run_identity(settings, [settings.prompt], model, find_revision(), precision)
    log = RunLog(folder)
    if not new_run and sys.stdin.isatty() and (differing := log.differences(identity)):
        changes = ", ".join(f"{key} was {old!r}, now {new!r}" for key, (old, new) in differing.items())
        new_run = typer.confirm(f"{changes}. Caption again, beside what is there?", err=True)
    sitting = Sitting(folder, log, identity, hardware, redo)
    sitting.begin(beside=new_run)
    return sitting


def _lacks_sidecar(clip: Clip) -> bool:
    from framescribe.pipeline.sidecars import sidecar_path

    return clip.problem is not None or not os.path.exists(sidecar_path(clip.source_video))


def _skipped_note(sidecars: Sidecars, clips: Iterator[Clip], overwrite: bool) -> str:
    """How many clips have a .txt already. One that two clips would share, or that is a clip, raises UsageError."""
    skipped = set()
    for clip in clips:
        if clip.problem is None and os.path.exists(sidecars.add(clip)) and not overwrite:
            skipped.add(clip.id)
    sidecars.check()
    return f", {len(skipped)} skipped (.txt exists; --overwrite captions them again)" if skipped else ""
