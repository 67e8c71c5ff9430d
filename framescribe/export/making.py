"""Clips examined, cut out and made anew, in a worker process: all that an export wants of one video, in one go."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from framescribe.files import new_file
from framescribe.types import Clip, VideoFacts
from framescribe.video.decode import probe
from framescribe.video.encode import write_first_frame
from framescribe.video.normalize import Normalize
from framescribe.video.source import open_source
from framescribe.video.spans import Cut
from framescribe.video.transcode import normalize_clips

_AS_IT_IS = Normalize(keep_audio=True)
"""The form of spans that are only cut out: no frame can be cut at without encoding anew."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is wanted of a video.

    Attributes:
        start_s, end_s: the span, in seconds from its first frame; None is its end.
        path: of the file to make; what is there already is used as it is. None: the video stays where it is.
        first_frame: of the picture to write; None: no picture.
    """

    start_s: float
    end_s: float | None
    path: Path | None
    first_frame: Path | None


def work(
    clip: Clip, jobs: Sequence[Job], wanted: Normalize | None
) -> Generator[None, None, list[VideoFacts | str]]:
    """Does the jobs of one video; yields as it goes on.

    Args:
        clip: the whole video.
        jobs: what to do.
        wanted: the form of files to make; None: spans are cut out in their video's size and rate, with their sound, and
            whole videos copied.

    Returns:
        For each job facts of the clip as it will be in the export, or why there is none.

    Raises:
        ClipError: the video cannot be read.
        OSError: a file cannot be written.
    """
    with open_source(clip) as file:
        source = replace(clip, data=file)  # fetched once
        problems = yield from _make(source, jobs, wanted)
        outcomes = []
        for job in jobs:
            outcomes.append(_outcome(source, job, problems))
            yield
    return outcomes


def _make(
    source: Clip, jobs: Sequence[Job], wanted: Normalize | None
) -> Generator[None, None, dict[Path, str]]:
    """Why a file was not made, for those that were not."""
    cuts: dict[Path, Cut] = {}
    for job in jobs:
        if job.path is None or job.path.exists():
            continue
        if wanted is not None or job.start_s > 0 or job.end_s is not None:
            cuts[job.path] = Cut(job.path, job.start_s, job.end_s)
            continue
        with open_source(source) as file, new_file(job.path) as copy:
            shutil.copyfileobj(file, copy, 1 << 20)
        yield
    if not cuts:
        return {}
    return (yield from normalize_clips(source, list(cuts.values()), wanted or _AS_IT_IS))


def _outcome(source: Clip, job: Job, problems: Mapping[Path, str]) -> VideoFacts | str:
    clip = source
    if job.path is not None:
        if not job.path.exists():
            until = "to the end" if job.end_s is None else f"to {job.end_s:g} s"
            return problems.get(job.path, f"no frame from {job.start_s:g} s {until}")
        clip = Clip(str(job.path))
    facts = probe(clip).facts
    if job.first_frame is not None and not job.first_frame.exists():
        write_first_frame(clip, job.first_frame)
    return facts
