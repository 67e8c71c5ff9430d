"""Clips made ready for an export, ahead of it, on all cores: examined, cut out of their videos, made anew."""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from framescribe.errors import ClipError, UsageError
from framescribe.export.making import Job, work
from framescribe.export.pair import Candidate, Unusable
from framescribe.export.reads import Reads
from framescribe.types import Clip, VideoFacts
from framescribe.version import __version__
from framescribe.video.address import local_path, split_member, suffix_of
from framescribe.video.cpus import usable_cpus
from framescribe.video.normalize import Normalize
from framescribe.video.worker_process import Worker
from framescribe.video.workers import DecodeWorkers

_JOBS_AT_ONCE = 32
"""Spans of one video that a worker makes in one reading: more would keep other cores idle at the end."""


_IDLE: list[Worker] = []
"""Processes of earlier exports, for the next one: starting them takes longer than examining a few clips."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """How clips are made ready. Spans are always cut out of their videos.

    Attributes:
        normalize: the form that every clip is made anew in; None leaves whole videos as they are.
        first_frames: write each clip's first picture too.
        keep: a folder where clips that were made are kept, and looked for; None keeps nothing.
        decode_timeout_s: seconds without progress after which a video is given up.
    """

    normalize: Normalize | None
    first_frames: bool
    keep: Path | None
    decode_timeout_s: float

    def __post_init__(self) -> None:
        if not self.decode_timeout_s > 0:
            raise UsageError(f"`decode_timeout_s` must be above 0, not {self.decode_timeout_s}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A candidate's clip as it can go into an export.

    Attributes:
        facts: of the clip.
        suffix: of its file, lower case.
        made: the file that was made of it; None: the video itself.
        first_frame: a PNG of its first picture, if one was wanted.
    """

    facts: VideoFacts
    suffix: str
    made: Path | None = None
    first_frame: Path | None = None


def form_for(reads: Reads, wanted: Normalize) -> Normalize:
    """A form as a trainer's models take it: in their numbers of frames and sides, and at their rate if it names none.

    Args:
        reads: of the trainer's layout: ``LAYOUTS["ltx"].reads``.
        wanted: what the user asks for.

    Raises:
        UsageError: its models take no such size or number of frames.
    """
    return replace(
        wanted,
        fps=reads.fps if wanted.fps is None else wanted.fps,
        frame_step=math.lcm(reads.frame_step, wanted.frame_step),
        side_step=math.lcm(reads.side_step, wanted.side_step),
    )


def prepared(
    candidates: Sequence[Candidate], preparation: Preparation, folder: Path, fetch: bool
) -> Iterator[tuple[Candidate, Ready | Unusable]]:
    """Each candidate with its clip made ready, or why it is not, in order.

    Candidates of one video should follow each other: it is read once for some dozens of them. A few videos are
    worked on ahead, each in a process of its own, which is killed if it makes no progress.

    Args:
        candidates: whose clips to make ready.
        preparation: how.
        folder: for temporary files; those of a candidate are gone soon after the next one has been taken.
        fetch: copy what lies behind URLs and in tars to a file, while it is at hand.
    """
    groups = _groups(candidates)
    with ExitStack() as stack:
        workers = stack.enter_context(DecodeWorkers(_IDLE, preparation.decode_timeout_s))
        pool = ThreadPoolExecutor(usable_cpus())
        stack.callback(pool.shutdown, cancel_futures=True)
        ahead: deque[tuple[list[Candidate], list[Job], Path, Future[list[VideoFacts | str]]]] = deque()
        while True:
            for group in itertools.islice(groups, 2 * usable_cpus() - len(ahead)):
                own = Path(tempfile.mkdtemp(dir=folder))
                jobs = [_job(candidate.clip, preparation, own, fetch) for candidate in group]
                video = Clip(group[0].source_video)
                made = pool.submit(workers.call, work, video, jobs, preparation.normalize)
                ahead.append((group, jobs, own, made))
            if not ahead:
                return
            group, jobs, own, made = ahead.popleft()
            yield from zip(group, _results(group, jobs, made), strict=True)
            shutil.rmtree(own, ignore_errors=True)


def _groups(candidates: Iterable[Candidate]) -> Iterator[list[Candidate]]:
    for _, of_video in itertools.groupby(candidates, lambda candidate: candidate.source_video):
        while group := list(itertools.islice(of_video, _JOBS_AT_ONCE)):
            yield group


def _job(clip: Clip, preparation: Preparation, folder: Path, fetch: bool) -> Job:
    name = _key(clip, preparation.normalize)
    path = None
    if preparation.normalize is not None or clip.start_s > 0 or clip.end_s is not None:
        path = (preparation.keep or folder) / f"{name}.mp4"
    elif fetch and is_far(clip):
        path = folder / f"{name}{suffix_of(clip.source_video)}"
    first_frame = folder / f"{name}.png" if preparation.first_frames else None
    return Job(clip.start_s, clip.end_s, path, first_frame)


def _key(clip: Clip, form: Normalize | None) -> str:
    """The same for the same span of the same file made in the same way."""
    source = clip.source_video
    try:
        status = os.stat(source)
        source = f"{os.path.realpath(source)}\0{status.st_size}\0{status.st_mtime_ns}"
    except (OSError, ValueError):
        pass  # behind a URL, in a tar: its name has to do
    key = f"{source}\0{clip.start_s!r}\0{clip.end_s!r}\0{form!r}\0{__version__}"
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _results(
    group: list[Candidate], jobs: list[Job], future: Future[list[VideoFacts | str]]
) -> Iterator[Ready | Unusable]:
    try:
        outcomes = future.result()
    except ClipError as error:
        yield from [Unusable("the clip's file cannot be read", str(error))] * len(group)
        return
    for candidate, job, outcome in zip(group, jobs, outcomes, strict=True):
        if isinstance(outcome, str):
            yield Unusable("it cannot be cut out or made anew", outcome)
        else:
            suffix = job.path.suffix if job.path else suffix_of(candidate.source_video)
            yield Ready(facts=outcome, suffix=suffix, made=job.path, first_frame=job.first_frame)


def is_far(clip: Clip) -> bool:
    """Whether a clip's video is no file of its own on this machine."""
    return local_path(clip.source_video) is None or split_member(clip.source_video) is not None
