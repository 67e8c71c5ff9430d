"""``framescribe caption``: video files to captions."""

from __future__ import annotations

import sys

import typer

from framescribe.cli import caption_options, endpoint_options, options, ray_options
from framescribe.errors import UsageError
from framescribe.pipeline.caption_run import CaptionOptions
from framescribe.types import CaptionSettings


def caption(
    *,
    sources: caption_options.Sources,
    output: caption_options.Output = None,
    txt: caption_options.Txt = False,
    overwrite: caption_options.Overwrite = False,
    quiet: caption_options.Quiet = False,
    prompts: caption_options.Prompts,
    template: options.Template = None,
    model: options.Spec,
    batch_size: caption_options.BatchSize = None,
    sampling: options.Sampling,
    clips: caption_options.Clips,
    generation: options.Generation,
    repair: caption_options.Repair = None,
    limits: caption_options.Limits,
    run: caption_options.Run,
    executor: ray_options.Executor,
    endpoint: endpoint_options.Given,
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
        framescribe caption clips/ -o captions/ --where 'motion>=2 AND cuts=0'
        framescribe caption clips/ -o captions/ --endpoint http://gpu:8000
        framescribe caption clips/ -o captions/ --prompt 'What happens?' --prompt 'What does the camera do?'
    """
    from framescribe.cli.terminal import Terminal
    from framescribe.dataset.runs import OtherSettings
    from framescribe.pipeline.run import caption as caption_all

    if executor and endpoint:
        raise UsageError("`ray` and `endpoint` exclude each other")
    settings = CaptionSettings(template=template, sampling=sampling, generation=generation, repair=repair)
    run |= clips | CaptionOptions(
        model=model, settings=settings, prompts=prompts, txt=txt, batch_size=batch_size, limits=limits,
        overwrite=overwrite, executor=executor or endpoint or "local",
    )  # fmt: skip
    progress = Terminal(prints_captions=not (output or txt), is_quiet=quiet, is_dry_run=run["dry_run"])
    try:
        summary = caption_all(sources, output, progress=progress, **run)
    except OtherSettings as error:
        if run["dry_run"] or not sys.stdin.isatty() or not _wants_new_run(error.changes):
            raise
        summary = caption_all(sources, output, progress=progress, **run | {"new_run": True})
    if summary.has_failures:
        raise typer.Exit(1)


def _wants_new_run(changes: dict[str, tuple[object, object]]) -> bool:
    told = ", ".join(f"{key} was {old!r}, now {new!r}" for key, (old, new) in changes.items())
    return typer.confirm(f"{told}. Caption again, beside what is there?", err=True)
