"""``framescribe caption``: video files to captions."""

from __future__ import annotations

import sys
from functools import partial

import typer

from framescribe.cli import caption_options, options, ray_options
from framescribe.model_spec import ModelSpec
from framescribe.task import DEFAULT_MEMORY_GB, DEFAULT_TIMEOUT_S, DecodeLimits
from framescribe.types import DEFAULT_MODEL


def caption(
    sources: caption_options.Sources,
    output: caption_options.Output = None,
    txt: caption_options.Txt = False,
    overwrite: caption_options.Overwrite = False,
    quiet: caption_options.Quiet = False,
    prompt: caption_options.Prompt = None,
    prompt_file: caption_options.PromptFile = None,
    template: options.Template = None,
    model: options.Model = DEFAULT_MODEL,
    revision: options.Revision = None,
    device: options.DeviceName = "auto",
    dtype: options.Dtype = "auto",
    quant: options.Quant = None,
    batch_size: caption_options.BatchSize = None,
    strategy: options.Strategy = "chat",
    fps: caption_options.Fps = 1.0,
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
    repair: caption_options.Repair = None,
    decode_workers: options.DecodeWorkers = None,
    decode_timeout: options.DecodeTimeout = DEFAULT_TIMEOUT_S,
    decode_memory: options.DecodeMemory = DEFAULT_MEMORY_GB,
    decoder: options.DecoderName = "auto",
    limit: caption_options.Limit = None,
    sample: caption_options.Sample = None,
    shard: caption_options.Shard = None,
    dry_run: caption_options.DryRun = False,
    new_run: caption_options.NewRun = False,
    redo: caption_options.Redo = None,
    hash_sources: caption_options.HashSources = False,
    rows_per_shard: caption_options.RowsPerShard = None,
    ray: ray_options.Address = None,
    ray_workers: ray_options.Workers = None,
    ray_workers_per_gpu: ray_options.WorkersPerGpu = None,
    ray_queue: ray_options.Queue = None,
    ray_task_clips: ray_options.TaskClips = None,
    ray_decoder_cpus: ray_options.DecoderCpus = None,
) -> None:
    """Caption videos.

    Captions are printed as they come, or written with -o as one row per clip with all that made it. A clip that
    fails is an `error` row and the others go on; the exit code is then 1. A run into a folder is safe to interrupt:
    run the same command again to resume.

    Examples:
        framescribe caption clips/ talk.mp4 'https://example.com/*.webm'
        framescribe caption clips/ -o rows.jsonl --model THUDM/cogvlm2-llama3-caption
        framescribe caption list.csv 's3://bucket/*.tar' -o captions/ --quant 8
        framescribe caption clips/ --txt --prompt 'Describe the camera work.'
        framescribe caption lecture.mp4 --segment window:10 --strategy uniform
        framescribe caption clips/ -o captions/ --redo flagged
        framescribe caption clips/ -o captions/ --prompt 'What happens?' --prompt 'What does the camera do?'
    """
    from framescribe.cli.terminal import Terminal
    from framescribe.dataset.runs import OtherSettings
    from framescribe.pipeline.run import caption as caption_all

    settings = options.caption_settings(
        strategy=strategy,
        frames=frames,
        fps=fps,
        template=template,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_p=top_p,
        repetition_penalty=repetition_penalty,
        seed=seed,
        stop_loops=stop_loops,
        repair=repair,
    )
    run = partial(
        caption_all,
        sources,
        output,
        model=ModelSpec(model, revision, device, dtype, quant),
        settings=settings,
        prompts=caption_options.prompts_of(prompt, prompt_file),
        txt=txt,
        start_s=start,
        end_s=end,
        segments=segments,
        min_length_s=min_length,
        max_length_s=max_length,
        batch_size=batch_size,
        limits=DecodeLimits(decode_workers, decode_timeout, decode_memory, decoder),
        overwrite=overwrite,
        redo=redo,
        hash_sources=hash_sources,
        limit=limit,
        sample=sample,
        shard=caption_options.shard_of(shard),
        rows_per_shard=rows_per_shard,
        dry_run=dry_run,
        executor=ray_options.ray_executor(
            ray, ray_workers, ray_workers_per_gpu, ray_queue, ray_task_clips, ray_decoder_cpus
        )
        or "local",
        progress=Terminal(prints_captions=not (output or txt), is_quiet=quiet, is_dry_run=dry_run),
    )
    try:
        summary = run(new_run=new_run)
    except OtherSettings as error:
        if dry_run or not sys.stdin.isatty() or not _wants_new_run(error.changes):
            raise
        summary = run(new_run=True)
    if summary.has_failures:
        raise typer.Exit(1)


def _wants_new_run(changes: dict[str, tuple[object, object]]) -> bool:
    told = ", ".join(f"{key} was {old!r}, now {new!r}" for key, (old, new) in changes.items())
    return typer.confirm(f"{told}. Caption again, beside what is there?", err=True)
