"""What ``framescribe bench`` measures of a model: clips and tokens a second, by phase, and one clip's latency."""

from __future__ import annotations

import dataclasses
import logging
import os
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from framescribe.bench.clips import ClipRunner, Latency
from framescribe.bench.official import RANDOM_MODEL
from framescribe.bench.provenance import commit, versions
from framescribe.bench.subject import build_subject, open_subject, subject_preparer
from framescribe.bench.workload import LONG, SHORT, SMALL, Workload
from framescribe.engine.engine import Engine
from framescribe.engine.observer import PhaseTimer, PhaseTotals
from framescribe.engine.scheduler import PhaseKind
from framescribe.model.model import CaptionModel
from framescribe.model.precision import Precision
from framescribe.prepare import Preparer

log = logging.getLogger("framescribe")


@dataclass(frozen=True, slots=True)
class Run:
    """One pass over all clips: seconds by the wall clock, and the phases' own."""

    seconds: float
    phases: dict[PhaseKind, PhaseTotals]


@dataclass(frozen=True, slots=True)
class Measured:
    """All runs, and the median latency of a clip alone."""

    runs: list[Run]
    latency: Latency

    @property
    def median_run(self) -> Run:
        return sorted(self.runs, key=lambda run: run.seconds)[len(self.runs) // 2]


def default_model(precision: Precision) -> str:
    """``random`` (the official sizes) on a GPU, the bundled ``tiny`` on a CPU."""
    return RANDOM_MODEL if precision.device.type == "cuda" else "tiny"


def default_workload(precision: Precision, is_short: bool) -> Workload:
    """The published clip on a GPU, or the short one; a small one on a CPU."""
    if is_short:
        return SHORT
    return LONG if precision.device.type == "cuda" else SMALL


def benchmark(model: str, precision: Precision, workload: Workload, repeat: int = 3) -> dict[str, Any]:
    """Measures how fast ``model`` captions the clips of ``workload``.

    Args:
        model: as ``open_checkpoint`` takes it, or ``random``: the official sizes with random weights.
        precision: of the model.
        workload: the clips.
        repeat: runs, of which the median counts.

    Returns:
        JSON values; the seconds of phases are a clip's.

    Raises:
        UsageError: no such checkpoint, or too little memory.
    """
    device = precision.device
    load_before = round(os.getloadavg()[0], 2)
    subject = open_subject(model)
    preparer = subject_preparer(subject, precision)
    measured = measure(build_subject(subject, precision), preparer, precision, workload, repeat)
    return {
        "precision": str(precision),
        "model": model,
        **dataclasses.asdict(workload),
        "prompt_tokens": workload.prompt_tokens(subject.config),
        **rates(measured, workload),
        "peak_memory_bytes": torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
        "hardware": precision.hardware,
        "versions": versions(),
        "commit": commit(),
        "cpu_threads": torch.get_num_threads(),
        "load_before": load_before,
    }


def measure(
    model: CaptionModel,
    preparer: Preparer,
    precision: Precision,
    workload: Workload,
    repeat: int,
    between: Callable[[], object] = lambda: None,
) -> Measured:
    """Runs the clips ``repeat`` times, once all is warm.

    ``between`` is called after each run: what it measures of something else sees the same other work on the machine.
    """
    timer = PhaseTimer(model.device)
    engine = Engine(model, frozenset(), workload.batch, kv_dtype=precision.kv_dtype, observer=timer)
    clips = ClipRunner(engine, preparer, workload)
    clips.warm_up()
    latencies = [clips.latency(workload.new_tokens) for _ in range(repeat)]
    runs = []
    for _ in range(repeat):
        timer.take()
        seconds = clips.run()
        runs.append(Run(seconds, timer.take()))
        log.info("%.4f s a clip", seconds / workload.clips)
        between()
    latency = Latency(
        statistics.median(each.first_token_s for each in latencies),
        statistics.median(each.ms_per_token for each in latencies),
    )
    return Measured(runs, latency)


def rates(measured: Measured, workload: Workload) -> dict[str, Any]:
    """The median run as JSON values; ``other`` is what of a clip's seconds no phase took."""
    run, clips = measured.median_run, workload.clips
    phases: dict[str, float] = {kind: totals.seconds / clips for kind, totals in run.phases.items()}
    return {
        "seconds_per_clip": run.seconds / clips,
        "clips_per_s": clips / run.seconds,
        "new_tokens_per_s": clips * workload.new_tokens / run.seconds,
        "all_seconds_per_clip": [each.seconds / clips for each in measured.runs],
        "phases": phases | {"other": max(0.0, run.seconds / clips - sum(phases.values()))},
        "phase_runs": {kind: totals.runs for kind, totals in run.phases.items()},
        "mean_decode_batch": run.phases["decode"].sequences / run.phases["decode"].runs,
        "latency": dataclasses.asdict(measured.latency),
    }
