"""Clips made ready for an export, ahead of it, on all cores: looked at, cut out of their videos, made anew."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from framescribe.errors import ClipError, UsageError
from framescribe.export.making import Job, Outcome, work
from framescribe.export.pair import Candidate, Unusable
from framescribe.task import DEFAULT_TIMEOUT_S
from framescribe.types import Clip, VideoFacts
from framescribe.version import __version__
from framescribe.video.address import local_path, split_member, suffix_of
from framescribe.video.normalize import Normalize
from framescribe.video.worker_process import Worker
from framescribe.video.workers import DecodeWorkers, usable_cpus

_JOBS_AT_ONCE = 32
"""Spans of one video that a worker makes in one reading: more would keep other cores idle at the end."""


_IDLE: list[Worker] = []
"""Processes of earlier exports, for the next one: starting them takes longer than looking at a few clips."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """How clips are made ready. Spans are always cut out of their videos.

    Attributes:
        normalize: the form that every clip is made anew in; None leaves whole videos as they are.
        first_frames: write each clip's first picture too, where the trainer has a place for it.
        keep: a folder where clips that were made are kept: the next export, or the same one after an interruption,
            takes them from there. None keeps nothing.
        decode_timeout_s: seconds without progress after which a video is given up.
    """

    normalize: Normalize | None = None
    first_frames: bool = False
    keep: Path | None = None
    decode_timeout_s: float = DEFAULT_TIMEOUT_S

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


def prepared(
    candidates: Sequence[Candidate], preparation: Preparation, folder: Path, fetch: bool
) -> Iterator[tuple[Candidate, Ready | Unusable]]:
    """Each candidate with its clip made ready, or why it is not, in order.

    Candidates of one video should follow each other: it is read once for some dozens of them. A few videos are
    worked on ahead, each in a process of its own, which is killed if it makes no progress.

    Args:
        candidates: whose clips to make ready.
        preparation: how.
        fetch: copy what lies behind URLs and in tars to a file, while it is at hand.
        folder: for temporary files; those of a candidate are gone soon after the next one has been taken.
    """
    groups = _groups(candidates)
    with ExitStack() as stack:
        workers = stack.enter_context(DecodeWorkers(_IDLE, preparation.decode_timeout_s))
        pool = ThreadPoolExecutor(usable_cpus())
        stack.callback(pool.shutdown, cancel_futures=True)
        ahead: deque[tuple[_Group, Future[list[Outcome]]]] = deque()
        while True:
            for group in itertools.islice(groups, 2 * usable_cpus() - len(ahead)):
                planned = _Group(group, preparation, folder, fetch)
                ahead.append((planned, pool.submit(planned.run, workers)))
            if not ahead:
                return
            planned, future = ahead.popleft()
            yield from planned.results(future)
            planned.clear()


def _groups(candidates: Iterable[Candidate]) -> Iterator[list[Candidate]]:
    for _, of_video in itertools.groupby(candidates, lambda candidate: candidate.clip.source_video):
        while group := list(itertools.islice(of_video, _JOBS_AT_ONCE)):
            yield group


class _Group:
    """Candidates of one video, and what is to be done for them."""

    def __init__(
        self, candidates: list[Candidate], preparation: Preparation, folder: Path, fetch: bool
    ) -> None:
        self._candidates, self._preparation, self._folder = candidates, preparation, folder
        self._fetch = fetch
        self._jobs = [self._job(candidate) for candidate in candidates]

    def _job(self, candidate: Candidate) -> Job:
        clip = candidate.clip
        name = self._key(clip)
        is_made = self._preparation.normalize is not None or clip.start_s > 0 or clip.end_s is not None
        path = None
        if is_made:
            path = (self._preparation.keep or self._folder) / f"{name}.mp4"
        elif self._fetch and is_far(clip):
            path = self._folder / f"{name}{suffix_of(clip.source_video)}"
        first_frame = self._folder / f"{name}.png" if self._preparation.first_frames else None
        return Job(clip.start_s, clip.end_s, path, first_frame)

    def _key(self, clip: Clip) -> str:
        """The same for the same span of the same file made in the same way."""
        source = clip.source_video
        try:
            status = os.stat(source)
            source = f"{os.path.realpath(source)}\0{status.st_size}\0{status.st_mtime_ns}"
        except (OSError, ValueError):
            pass  # behind a URL, in a tar: its name has to do
        key = f"{source}\0{clip.start_s!r}\0{clip.end_s!r}\0{self._preparation.normalize!r}\0{__version__}"
        return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]

    def run(self, workers: DecodeWorkers) -> list[Outcome]:
        """Does it all. Raises what ``work`` raises."""
        clip = Clip(self._candidates[0].clip.source_video)
        return workers.call(work, clip, self._jobs, self._preparation.normalize)

    def results(self, future: Future[list[Outcome]]) -> Iterator[tuple[Candidate, Ready | Unusable]]:
        try:
            outcomes = future.result()
        except ClipError as error:
            problem = Unusable("the clip's file cannot be read", str(error))
            yield from ((candidate, problem) for candidate in self._candidates)
            return
        for candidate, job, outcome in zip(self._candidates, self._jobs, outcomes, strict=True):
            if outcome.facts is None:
                yield candidate, Unusable("it cannot be cut out or made anew", outcome.problem)
                continue
            suffix = job.path.suffix if job.path else suffix_of(candidate.clip.source_video)
            yield (
                candidate,
                Ready(facts=outcome.facts, suffix=suffix, made=job.path, first_frame=job.first_frame),
            )

    def clear(self) -> None:
        """Removes its temporary files."""
        for job in self._jobs:
            for path in (job.path, job.first_frame):
                if path is not None and path.parent == self._folder:
                    path.unlink(missing_ok=True)


def is_far(clip: Clip) -> bool:
    """Whether a clip's video is no file of its own on this machine."""
    return local_path(clip.source_video) is None or split_member(clip.source_video) is not None
