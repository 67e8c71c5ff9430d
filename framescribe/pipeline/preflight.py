"""A look at the clips before the model loads: how many, how long, what cannot be read, how much will be seen."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from framescribe.errors import ClipError
from framescribe.pipeline.run_clips import RunClips
from framescribe.task import ClipTask
from framescribe.types import Clip, FrameSampling, VideoFacts
from framescribe.video.cpus import usable_cpus
from framescribe.video.sample import select_frames
from framescribe.video.workers import DecodeWorkers

LOCAL_PROBES = 1000
REMOTE_PROBES = 50
"""A probe behind a URL fetches all of the video."""


@dataclass(slots=True)
class Preflight:
    """What a look at the clips found.

    Attributes:
        clips: different ones.
        repeated: how many were named again.
        todo: how many are to be captioned.
        rows: how many captions that makes.
        beyond_limit: how many are left for a run with a higher ``limit``.
        left_out: how many have no row and get none now.
        failed_condition, unscored: how many further ones ``where`` leaves out: by their scores, or as they have none.
        probed: of those to be captioned, how many were opened; all of them, or a random sample.
        codecs: by FFmpeg's name, of the readable ones.
        duration_s, covered_s: of the readable ones: all of it, and what their frames stand for.
        missing_s: seconds that their files promise and that cannot be read.
        unreadable: reasons, one for each.
        strategy: whose frames ``covered_s`` is of.
        clips_per_s: measured earlier under the same settings on the same hardware; None if it never was.
        has_folder: whether rows go to a folder.
        bytes_per_row: of the rows so far there; None without any.
        free_bytes: of the disk that rows go to; None where it is not known.
    """

    clips: int = 0
    repeated: int = 0
    todo: int = 0
    rows: int = 0
    beyond_limit: int = 0
    left_out: int = 0
    failed_condition: int = 0
    unscored: int = 0
    probed: int = 0
    codecs: Counter[str] = field(default_factory=Counter)
    duration_s: float = 0.0
    covered_s: float = 0.0
    missing_s: float = 0.0
    unreadable: list[str] = field(default_factory=list)
    strategy: str = "chat"
    clips_per_s: float | None = None
    has_folder: bool = False
    bytes_per_row: float | None = None
    free_bytes: int | None = None

    @property
    def is_sample(self) -> bool:
        return self.probed < self.todo

    @property
    def estimated_duration_s(self) -> float:
        """Of all clips to be captioned, after those that were probed."""
        return self.duration_s * self.todo / self.probed if self.probed else 0.0


def summarize(
    clips: RunClips,
    left: Callable[[Clip], ClipTask | None],
    is_left_out: Callable[[Clip], bool],
    sampling: FrameSampling,
    *,
    limit: int | None,
    timeout_s: float,
) -> Preflight:
    """Counts the clips and opens those that are to be captioned, a random sample if there are very many.

    Args:
        clips: read once and not kept.
        left: what of a clip is to be captioned; None for nothing.
        is_left_out: of a clip of which nothing is, whether it has no row either.
        sampling: whose share of the clips is reported.
        limit: clips to be captioned at most.
        timeout_s: for opening one clip.

    Worker processes, one per core up to 8, decode one frame of each: no clip can hang or crash this process.
    """
    report = Preflight(strategy=sampling.strategy)
    chance = random.Random(0)
    sample: list[Clip] = []
    for clip in clips:
        report.clips += 1
        if (task := left(clip)) is None:
            report.left_out += is_left_out(clip)
        elif report.todo == limit:
            report.beyond_limit += 1
        else:
            report.todo += 1
            report.rows += len(task.questions)
            # Reservoir sampling: every clip ends up in the sample with the same probability.
            if len(sample) < LOCAL_PROBES:
                sample.append(clip)
            elif (slot := chance.randrange(report.todo)) < LOCAL_PROBES:
                sample[slot] = clip
    report.repeated = clips.repeated
    if clips.condition is not None:
        report.failed_condition, report.unscored = clips.condition.failed, clips.condition.unscored
    local = [clip for clip in sample if "://" not in clip.source_video]
    remote = [clip for clip in sample if "://" in clip.source_video]
    _probe_all(local + chance.sample(remote, min(len(remote), REMOTE_PROBES)), report, sampling, timeout_s)
    return report


def _probe_all(clips: list[Clip], report: Preflight, sampling: FrameSampling, timeout_s: float) -> None:
    report.probed = len(clips)
    num_workers = min(8, usable_cpus())
    with ThreadPoolExecutor(num_workers) as pool, DecodeWorkers([], timeout_s) as workers:
        for found in pool.map(lambda clip: _probe(clip, workers), clips):
            if isinstance(found, str):
                report.unreadable.append(found)
                continue
            report.codecs[found.codec] += 1
            report.duration_s += found.duration_s
            report.covered_s += _covered_s(found, sampling)
            report.missing_s += found.missing_s


def _probe(clip: Clip, workers: DecodeWorkers) -> VideoFacts | str:
    """What a clip is, or why it cannot be read."""
    try:
        with workers.decoded(clip, FrameSampling("uniform", 1)) as frames:
            return frames.facts
    except ClipError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - as in captioning: whatever a clip does, it is one finding
        return f"{clip.source_video}: {type(error).__name__}: {error}"


def _covered_s(facts: VideoFacts, sampling: FrameSampling) -> float:
    """Seconds that a strategy's frames would stand for, were the frames evenly spaced."""
    timestamps_s = np.arange(facts.num_frames, dtype=np.float64) * (facts.duration_s / facts.num_frames)
    return select_frames(timestamps_s, facts.fps, facts.duration_s, sampling).covered_s
