"""Clips looked at, cut out and made anew, in a worker process: all that an export wants of one video, in one go."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from framescribe.files import new_file
from framescribe.types import Clip, VideoFacts
from framescribe.video.decode import probe
from framescribe.video.encode import write_clips
from framescribe.video.normalize import Normalize
from framescribe.video.source import open_source
from framescribe.video.still import write_first_frame
from framescribe.video.transcode import Cut, normalize_clips


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

    @property
    def is_span(self) -> bool:
        return self.start_s > 0 or self.end_s is not None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job: facts of the clip as it will be in the export, or why there is none."""

    facts: VideoFacts | None
    problem: str = ""


def work(clip: Clip, jobs: Sequence[Job], wanted: Normalize | None) -> Generator[None, None, list[Outcome]]:
    """Does the jobs of one video; yields as it goes on.

    Args:
        clip: the whole video.
        jobs: what to do.
        wanted: the form of files to make; None: spans are cut out as they are, whole videos copied.

    Raises:
        ClipError: the video cannot be read.
        OSError: a file cannot be written.
    """
    with open_source(clip) as file:
        source = replace(clip, data=file)  # fetched once
        problems = yield from _make(
            source, [job for job in jobs if job.path and not job.path.exists()], wanted
        )
        outcomes = []
        for job in jobs:
            outcomes.append(_outcome(source, job, problems))
            yield
    return outcomes


def _make(
    source: Clip, jobs: Sequence[Job], wanted: Normalize | None
) -> Generator[None, None, dict[Path, str]]:
    cuts = {job.path: Cut(job.path, job.start_s, job.end_s) for job in jobs if job.path}
    if not cuts:
        return {}
    if wanted is not None:
        return (yield from normalize_clips(source, list(cuts.values()), wanted))
    for job in jobs:
        if job.path and not job.is_span:
            with open_source(source) as file, new_file(job.path) as copy:
                shutil.copyfileobj(file, copy, 1 << 20)
            del cuts[job.path]
            yield
    if cuts:
        end_s = probe(source).facts.duration_s
        for layer in _layers(cuts.values()):
            write_clips(source, {cut.path: (cut.start_s, cut.end_s or end_s) for cut in layer})
            yield
    return {}


def _layers(cuts: Iterable[Cut]) -> list[list[Cut]]:
    """The cuts in groups in which none overlaps another, each in order."""
    layers: list[list[Cut]] = []
    for cut in sorted(cuts, key=lambda cut: cut.start_s):
        for layer in layers:
            end_s = layer[-1].end_s
            if end_s is not None and end_s <= cut.start_s:
                layer.append(cut)
                break
        else:
            layers.append([cut])
    return layers


def _outcome(source: Clip, job: Job, problems: Mapping[Path, str]) -> Outcome:
    clip = source
    if job.path is not None:
        if not job.path.exists():
            until = "to the end" if job.end_s is None else f"to {job.end_s:g} s"
            return Outcome(None, problems.get(job.path, f"no frame from {job.start_s:g} s {until}"))
        clip = Clip(str(job.path))
    facts = probe(clip).facts
    if job.first_frame is not None and not job.first_frame.exists():
        write_first_frame(clip, job.first_frame)
    return Outcome(facts)
