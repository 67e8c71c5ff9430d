"""A look at the clips before the model loads: how many, how long, what cannot be read, how much will be seen."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from framescribe.types import Clip, ClipError, FrameSampling
from framescribe.video.decode import probe
from framescribe.video.sample import select_frames

LOCAL_PROBES = 1000
REMOTE_PROBES = 50
"""A probe behind a URL fetches all of the video."""


@dataclass(slots=True)
class Preflight:
    """What a look at the clips found.

    Attributes:
        named: how often a clip was named.
        clips: different ones among them.
        todo: of these, how many are to be captioned.
        probed: of these, how many were opened; all of them, or a random sample.
        codecs: by FFmpeg's name, of the readable ones.
        duration_s, covered_s: of the readable ones: all of it, and what their frames stand for.
        missing_s: seconds that their files promise and that cannot be read.
        unreadable: reasons, one for each.
    """

    named: int = 0
    clips: int = 0
    todo: int = 0
    probed: int = 0
    codecs: Counter[str] = field(default_factory=Counter)
    duration_s: float = 0.0
    covered_s: float = 0.0
    missing_s: float = 0.0
    unreadable: list[str] = field(default_factory=list)

    @property
    def is_sample(self) -> bool:
        return self.probed < self.todo

    @property
    def estimated_duration_s(self) -> float:
        """Of all clips to be captioned, after those that were probed."""
        return self.duration_s * self.todo / self.probed if self.probed else 0.0


def look_at(
    clips: Iterable[Clip],
    is_todo: Callable[[Clip], bool],
    sampling: FrameSampling,
    *,
    seed: int = 0,
) -> Preflight:
    """Counts the clips and opens those that are to be captioned, a random sample if there are very many.

    Args:
        clips: read once and not kept.
        is_todo: whether a clip is to be captioned.
        sampling: whose share of the clips is told.
        seed: of the sample.

    Takes threads, one per core up to 8; opening decodes one frame. Clips in tars and behind URLs are probed too.
    """
    report = Preflight()
    chance = random.Random(seed)
    seen: set[int] = set()
    sample: list[Clip] = []
    for clip in clips:
        report.named += 1
        key = hash(clip.id)  # a number, not the text: a million of these fit in memory
        if key in seen:
            continue
        seen.add(key)
        report.clips += 1
        if not is_todo(clip):
            continue
        report.todo += 1
        # Reservoir sampling: every clip ends up in the sample with the same probability.
        if len(sample) < LOCAL_PROBES:
            sample.append(clip)
        elif (slot := chance.randrange(report.todo)) < LOCAL_PROBES:
            sample[slot] = clip
    local = [clip for clip in sample if "://" not in clip.source_video]
    remote = [clip for clip in sample if "://" in clip.source_video]
    probed = local + chance.sample(remote, min(len(remote), REMOTE_PROBES))
    report.probed = len(probed)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="probe") as pool:
        for found in pool.map(lambda clip: _probe(clip, sampling), probed):
            if isinstance(found, str):
                report.unreadable.append(found)
                continue
            codec, duration_s, covered_s, missing_s = found
            report.codecs[codec] += 1
            report.duration_s += duration_s
            report.covered_s += covered_s
            report.missing_s += missing_s
    return report


def _probe(clip: Clip, sampling: FrameSampling) -> tuple[str, float, float, float] | str:
    """Codec, duration, what is covered and what is missing, in seconds; or why it cannot be read."""
    try:
        seen = probe(clip)
    except ClipError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - as in captioning: whatever a clip does, it is one finding
        return f"{clip.source_video}: {type(error).__name__}: {error}"
    facts = seen.facts
    selection = select_frames(seen.timestamps_s, seen.average_fps, facts.duration_s, sampling)
    return facts.codec, facts.duration_s, selection.covered_s, facts.missing_s
