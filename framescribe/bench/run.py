"""One benchmark, from the model to the figures: nothing of it is kept on the device from one part to the next."""

from __future__ import annotations

import dataclasses
import gc
import logging
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from framescribe.bench.baseline import Baseline, OneAtATime, as_published, has_transformers
from framescribe.bench.ceilings import measure_ceilings
from framescribe.bench.from_files import HEIGHT, WIDTH, BenchCaptioner, run_files, write_videos
from framescribe.bench.from_frames import FromFrames, Latency, Run, timed_run
from framescribe.bench.provenance import commit, versions
from framescribe.bench.settings import BenchSettings
from framescribe.bench.subject import Subject
from framescribe.bench.work import floors, language_weight_bytes
from framescribe.bench.workload import Workload
from framescribe.engine.engine import Engine
from framescribe.engine.observer import PhaseTimer
from framescribe.model.model import CaptionModel
from framescribe.model.precision import Precision
from framescribe.types import CaptionSettings, Clip
from framescribe.video.decode import decode_frames

log = logging.getLogger("framescribe")


def benchmark(settings: BenchSettings) -> dict[str, Any]:
    """Measures what ``settings`` say.

    Returns:
        JSON values; all seconds but those of start-up and latency are a clip's.

    Raises:
        UsageError: settings that do not fit together, no such checkpoint, too little memory.
    """
    load_before, at_commit = round(os.getloadavg()[0], 2), commit()
    precision, subject = settings.precision, Subject.named(settings.model_name)
    with tempfile.TemporaryDirectory(prefix="framescribe-bench-") as folder:
        videos = write_videos(Path(folder)) if settings.source == "mp4" else []
        workload = _workload(settings, subject, videos)
        workload.prompt(subject.config)
        ceilings = measure_ceilings(precision)
        _release(precision)

        began = time.perf_counter()
        model = subject.build(precision)
        _synchronise(precision)
        model_s = time.perf_counter() - began
        log.info("model there after %.1f s", model_s)
        floor = floors(
            subject.config,
            workload,
            language_weight_bytes(model.decoder, model.lm_head),
            precision.kv_dtype.itemsize,
            ceilings,
        )
        measured = _throughput(model, subject, workload, settings)
        run = measured.median_run
        seconds = run.seconds / workload.clips
        peak = torch.cuda.max_memory_allocated(precision.device) if settings.is_gpu else None
        _release(precision)
        files = _from_files(model, subject, workload, settings, videos, seconds) if videos else None
        baseline = measured.baseline
        if settings.baseline_tokens and baseline is None:
            _release(precision)
            if precision.quant is not None:
                del model
                _release(precision)
                model = subject.build(dataclasses.replace(precision, quant=None))
            baseline = as_published(model, workload, settings.baseline_tokens)

    totals = {"vision" if kind == "encode" else kind: total for kind, total in run.phases.items()}
    phases: dict[str, float] = {phase: total.seconds / workload.clips for phase, total in totals.items()}
    phases["other"] = max(0.0, seconds - sum(phases.values()))
    return {
        "precision": str(precision),
        "model": settings.model_name,
        "seconds_per_clip": seconds,
        "ratio_to_floor": seconds / floor["sum"],
        "all_seconds_per_clip": [each.seconds / workload.clips for each in measured.runs],
        **dataclasses.asdict(workload),
        "floors": floor,
        "phases": phases,
        "shares": {phase: floor[phase] / phases[phase] for phase in totals} | {"sum": floor["sum"] / seconds},
        "phase_runs": {phase: total.runs for phase, total in totals.items()},
        "mean_decode_batch": totals["decode"].sequences / totals["decode"].runs,
        "ceilings": {
            name: value for name, value in dataclasses.asdict(ceilings).items() if name.endswith("_per_s")
        },
        "from_files": files,
        "baseline": None
        if baseline is None
        else {
            "seconds_per_clip": baseline.seconds_per_clip,
            "ratio": baseline.seconds_per_clip / seconds,
            "how": baseline.how,
        },
        "latency": dataclasses.asdict(measured.latency),
        "startup": {"model_s": model_s, **measured.startup},
        "peak_memory_bytes": peak,
        "hardware": precision.hardware,
        "versions": versions(),
        "commit": at_commit,
        "cpu_threads": torch.get_num_threads(),
        "load_before": load_before,
    }


def _workload(settings: BenchSettings, subject: Subject, videos: list[Path]) -> Workload:
    names = ("clips", "frames", "prompt_tokens", "new_tokens", "batch", "width", "height")
    given: dict[str, int | None] = {name: getattr(settings, name) for name in names}
    if videos:
        caption = CaptionSettings()
        frames = decode_frames(Clip(str(videos[0])), caption.sampling)
        prompt = subject.preparer(settings.precision).prompt(frames, caption, caption.prompt)
        given["frames"], given["prompt_tokens"] = len(frames.indices), len(prompt)
        given["width"], given["height"] = settings.width or WIDTH, settings.height or HEIGHT
    return settings.preset.workload(subject.config, **given)


@dataclass(frozen=True, slots=True)
class _Measured:
    """All runs from frames, one clip alone, and the seconds until the engine was ready and its first token there."""

    runs: list[Run]
    latency: Latency
    startup: dict[str, float]
    baseline: Baseline | None

    @property
    def median_run(self) -> Run:
        return sorted(self.runs, key=lambda run: run.seconds)[len(self.runs) // 2]


def _throughput(
    model: CaptionModel, subject: Subject, workload: Workload, settings: BenchSettings
) -> _Measured:
    began = time.perf_counter()
    timer = PhaseTimer(model.device)
    engine = Engine(model, frozenset(), workload.batch, kv_dtype=settings.precision.kv_dtype, observer=timer)
    _synchronise(settings.precision)
    engine_s = time.perf_counter() - began
    preparer = subject.preparer(settings.precision)
    clips = FromFrames(engine, preparer, workload)
    first_token_s = clips.latency(4).first_token_s
    log.info("engine ready after %.1f s, its first token after %.1f s", engine_s, first_token_s)
    clips.warm_up()
    clips.latency(2)  # a lone clip's own shapes
    latencies = [clips.latency(workload.new_tokens) for _ in range(settings.repeat)]
    latency = Latency(
        statistics.median(each.first_token_s for each in latencies),
        statistics.median(each.ms_per_token for each in latencies),
    )
    # In turn with the runs it is held to, as other work on a computer comes and goes.
    slow = None
    if settings.baseline_tokens and not (settings.is_gpu and has_transformers()):
        slow = OneAtATime(model, preparer, workload)
    runs = []
    for _ in range(settings.repeat):
        runs.append(timed_run(timer, clips))
        log.info("%.4f s a clip", runs[-1].seconds / workload.clips)
        if slow is not None:
            slow.run()
    startup = {"engine_s": engine_s, "first_token_s": first_token_s}
    return _Measured(runs, latency, startup, None if slow is None else slow.result)


def _from_files(
    model: CaptionModel,
    subject: Subject,
    workload: Workload,
    settings: BenchSettings,
    videos: list[Path],
    frames_seconds: float,
) -> dict[str, float | None]:
    """The same clips from files: seconds a clip, the rate as a share of that from frames, how busy the GPU was."""
    captioner = BenchCaptioner(model, subject.checkpoint, settings.precision, workload.batch)
    captioner.warm_up(workload)
    run_files(captioner, videos, min(workload.clips, 2 * len(videos)), 2)  # its worker processes start
    runs = [run_files(captioner, videos, workload.clips, workload.new_tokens) for _ in range(settings.repeat)]
    seconds = statistics.median(spent for spent, _ in runs) / workload.clips
    shares = [share for _, share in runs if share is not None]
    return {
        "seconds_per_clip": seconds,
        "rate_to_frames": frames_seconds / seconds,
        "gpu_busy": statistics.median(shares) if shares else None,
    }


def _synchronise(precision: Precision) -> None:
    if precision.device.type == "cuda":
        torch.cuda.synchronize(precision.device)


def _release(precision: Precision) -> None:
    """Gives back the memory of what is gone: an engine's cache takes most of a GPU's."""
    gc.collect()
    if precision.device.type == "cuda":
        torch.cuda.empty_cache()
