"""``framescribe split``: videos to spans, or to files of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from framescribe.cli import options
from framescribe.shown import shown


def split(
    sources: Annotated[list[str], typer.Argument(help="Videos: files, folders, globs, URLs.")],
    segments: options.Segment = "scenes",
    min_length: options.MinLength = 0.0,
    max_length: options.MaxLength = None,
    write: Annotated[
        Path | None,
        typer.Option(help="Write each span to a file in this folder, re-encoded as H.264 and AAC."),
    ] = None,
    sound: Annotated[bool, typer.Option(help="Whether the files have the sound of their spans.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per span.")] = False,
) -> None:
    """Cut videos into spans: fixed windows or scenes.

    Prints each span's video, start and end in seconds. Cutting at any frame means encoding anew; to caption spans
    without writing files, give the same --segment to `caption`.

    Examples:
        framescribe split talk.mp4
        framescribe split videos/ --segment window:10 --min-seconds 4 --json
        framescribe split videos/ --write clips/
    """
    from framescribe.cli.console import os_message, path_errors
    from framescribe.cli.terminal import Terminal
    from framescribe.errors import ClipError
    from framescribe.files import concerns_one_name
    from framescribe.pipeline.sources import expand_sources
    from framescribe.task import DEFAULT_TIMEOUT_S
    from framescribe.video.cutting import cut_path, writing_clips
    from framescribe.video.segment import SegmentRule, finding_spans
    from framescribe.video.workers import DecodeWorkers

    failed = False
    with path_errors(), DecodeWorkers([], DEFAULT_TIMEOUT_S) as workers:
        rule = SegmentRule.parse(segments, min_length, max_length)
        if write is not None:
            write.mkdir(parents=True, exist_ok=True)
        for clip in expand_sources(sources, 0.0, None):
            try:
                found = workers.call(finding_spans, clip, rule)
                paths = [cut_path(write, clip, span) if write else None for span in found]
                if write is not None:
                    files = dict(zip([path for path in paths if path], found, strict=True))
                    workers.call(writing_clips, clip, files, sound)
            except (ClipError, OSError) as error:
                if isinstance(error, OSError) and not concerns_one_name(error):
                    raise
                Terminal().problem(os_message(error) if isinstance(error, OSError) else str(error))
                failed = True
                continue
            for span, file in zip(found, paths, strict=True):
                _print(clip.source_video, span, file, as_json)
    if failed:
        raise typer.Exit(1)


def _print(source: str, span: tuple[float, float], file: Path | None, as_json: bool) -> None:
    start_s, end_s = span
    path = str(file) if file and file.exists() else None  # damage may leave a span without frames
    if as_json:
        row = {"source_video": source, "start_s": start_s, "end_s": end_s}
        print(json.dumps(row | ({} if path is None else {"file": path})))
    else:
        texts = [shown(source), f"{start_s:.3f}", f"{end_s:.3f}"]
        print(*texts, *([] if path is None else [shown(path)]), sep="\t")
