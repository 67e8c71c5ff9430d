"""One benchmark, from the model to the figures: nothing of it is kept on the device from one part to the next."""

from __future__ import annotations

import dataclasses
import gc
import logging
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from framescribe.bench.baseline import Baseline, as_published, has_transformers, one_at_a_time
from framescribe.bench.ceilings import measure_ceilings
from framescribe.bench.from_files import HEIGHT, WIDTH, BenchCaptioner, run_files, write_videos
from framescribe.bench.from_frames import FromFrames, Latency, Run, timed_run
from framescribe.bench.official import OFFICIAL_CONFIG, RANDOM_MODEL
from framescribe.bench.provenance import commit, versions
from framescribe.bench.timed_engine import TimedEngine
from framescribe.bench.work import floors, language_weight_bytes
from framescribe.bench.workload import LONG, SHORT, SMALL, Preset, Workload
from framescribe.model.checkpoint import load_model, random_model
from framescribe.model.config import ModelConfig
from framescribe.model.hub import Checkpoint, fetch_checkpoint
from framescribe.model.layout import CONFIG_FILE
from framescribe.model.model import CaptionModel
from framescribe.model.precision import Precision, check_memory
from framescribe.model.quantize import quantizer
from framescribe.prepare import Preparer
from framescribe.rows import RowMaker
from framescribe.tokenizer import CaptionTokenizer
from framescribe.types import CaptionSettings, Clip
from framescribe.video.decode import decode_frames

log = logging.getLogger("framescribe")

Source = Literal["frames", "mp4"]
# Random weights know no text; any tokenizer of fewer tokens will do.
_TOKENIZER_MODEL = "tiny-random"


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchSettings:
    """What to measure.

    Attributes:
        model: as ``fetch_checkpoint`` takes it, or ``random``: the official sizes with random weights; None takes
            that on a GPU, and the bundled ``tiny`` on a CPU.
        precision: of the model.
        source: ``frames`` in memory, or those and ``mp4`` files.
        is_short: the 6 s clip instead of the 24 s one.
        clips, frames, prompt_tokens, new_tokens, batch, width, height: of the workload; None takes the preset's.
        repeat: runs, of which the median counts.
        baseline_tokens: of the baseline's clip that are timed; 0 for no baseline.
    """

    precision: Precision
    model: str | None = None
    source: Source = "frames"
    is_short: bool = False
    clips: int | None = None
    frames: int | None = None
    prompt_tokens: int | None = None
    new_tokens: int | None = None
    batch: int | None = None
    width: int | None = None
    height: int | None = None
    repeat: int = 3
    baseline_tokens: int = 32

    def __post_init__(self) -> None:
        if self.precision.device.type not in ("cpu", "cuda"):
            raise ValueError(f"bench measures cpu and cuda, not {self.precision.device.type}")
        if self.source not in ("frames", "mp4"):
            raise ValueError(f"--from takes frames or mp4, not {self.source!r}")
        if self.source == "mp4" and (self.frames or self.prompt_tokens):
            raise ValueError(
                "--from mp4: the files decide frames and prompt; leave out --frames and --prompt-tokens"
            )
        if self.repeat < 1:
            raise ValueError(f"--repeat must be at least 1, not {self.repeat}")
        if self.baseline_tokens == 1 or self.baseline_tokens < 0:
            raise ValueError(f"--baseline-tokens must be at least 2, not {self.baseline_tokens}")

    @property
    def model_name(self) -> str:
        return self.model or (RANDOM_MODEL if self.is_gpu else "tiny")

    @property
    def is_gpu(self) -> bool:
        return self.precision.device.type == "cuda"

    @property
    def preset(self) -> Preset:
        if self.is_short or (self.is_gpu and self.source == "mp4"):
            return SHORT
        return LONG if self.is_gpu else SMALL


@dataclass(frozen=True, slots=True)
class _Subject:
    """The model under test but for its weights, which come and go."""

    checkpoint: Checkpoint
    config: ModelConfig
    is_random: bool

    @classmethod
    def named(cls, name: str) -> _Subject:
        if name == RANDOM_MODEL:
            return cls(fetch_checkpoint(_TOKENIZER_MODEL), OFFICIAL_CONFIG, is_random=True)
        checkpoint = fetch_checkpoint(name)
        return cls(checkpoint, ModelConfig.from_file(checkpoint.folder / CONFIG_FILE), is_random=False)

    def build(self, precision: Precision) -> CaptionModel:
        check_memory(self.config, precision)
        quantize = None if precision.quant is None else quantizer(precision.quant)
        device, dtype = precision.device, precision.dtype
        if self.is_random:
            return random_model(self.config, device, dtype, seed=0, quantize=quantize)
        return load_model(self.checkpoint.folder, device, dtype, quantize)

    def preparer(self, precision: Precision) -> Preparer:
        tokenizer, rows = (
            CaptionTokenizer(self.checkpoint.folder),
            RowMaker("benchmark", "", str(precision)),
        )
        return Preparer(tokenizer, self.config, rows, device=precision.device, dtype=precision.dtype)


def benchmark(settings: BenchSettings) -> dict[str, Any]:
    """Measures what ``settings`` say.

    Returns:
        JSON values; all seconds but those of start-up and latency are a clip's.

    Raises:
        ValueError: settings that do not fit together, no such checkpoint, too little memory.
    """
    precision, subject = settings.precision, _Subject.named(settings.model_name)
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
            precision.dtype.itemsize,
            ceilings,
        )
        runs, latency, startup = _throughput(model, subject, workload, settings)
        run = sorted(runs, key=lambda run: run.seconds)[len(runs) // 2]
        seconds = run.seconds / workload.clips
        peak = torch.cuda.max_memory_allocated(precision.device) if settings.is_gpu else None
        _release(precision)
        files = _from_files(model, subject, workload, settings, videos, seconds) if videos else None
        baseline = None
        if settings.baseline_tokens:
            _release(precision)
            if precision.quant is not None and settings.is_gpu:
                del model
                _release(precision)
                model = subject.build(dataclasses.replace(precision, quant=None))
            baseline = _baseline(model, subject, workload, settings)

    phases: dict[str, float] = {phase: spent / workload.clips for phase, spent in run.phases.seconds.items()}
    phases["other"] = max(0.0, seconds - sum(phases.values()))
    return {
        "precision": str(precision),
        "model": settings.model_name,
        "seconds_per_clip": seconds,
        "ratio_to_floor": seconds / floor["sum"],
        "all_seconds_per_clip": [each.seconds / workload.clips for each in runs],
        **dataclasses.asdict(workload),
        "floors": floor,
        "phases": phases,
        "shares": {phase: floor[phase] / phases[phase] for phase in run.phases.seconds}
        | {"sum": floor["sum"] / seconds},
        "phase_runs": run.phases.runs,
        "mean_decode_batch": run.phases.mean_batch,
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
        "latency": dataclasses.asdict(latency),
        "startup": {"model_s": model_s, **startup},
        "peak_memory_bytes": peak,
        "hardware": precision.hardware,
        "versions": versions(),
        "commit": commit(),
    }


def _workload(settings: BenchSettings, subject: _Subject, videos: list[Path]) -> Workload:
    names = ("clips", "frames", "prompt_tokens", "new_tokens", "batch", "width", "height")
    given: dict[str, int | None] = {name: getattr(settings, name) for name in names}
    if videos:
        caption = CaptionSettings()
        frames = decode_frames(Clip(str(videos[0])), caption.sampling)
        tokenizer = CaptionTokenizer(subject.checkpoint.folder)
        cpu = Preparer(tokenizer, subject.config, RowMaker("benchmark", "", str(settings.precision)))
        given["frames"] = len(frames.indices)
        given["prompt_tokens"] = len(cpu.prompt(frames, caption, caption.prompt))
        given["width"], given["height"] = settings.width or WIDTH, settings.height or HEIGHT
    return settings.preset.workload(subject.config, **given)


def _throughput(
    model: CaptionModel, subject: _Subject, workload: Workload, settings: BenchSettings
) -> tuple[list[Run], Latency, dict[str, float]]:
    """All runs; one clip alone; and the seconds until the engine was ready and its first token there."""
    began = time.perf_counter()
    engine = TimedEngine(model, frozenset(), workload.batch)
    _synchronise(settings.precision)
    engine_s = time.perf_counter() - began
    clips = FromFrames(engine, subject.preparer(settings.precision), workload)
    first_token_s = clips.latency(4).first_token_s
    log.info("engine ready after %.1f s, its first token after %.1f s", engine_s, first_token_s)
    latency = clips.latency(workload.new_tokens)
    clips.warm_up()
    runs = []
    for _ in range(settings.repeat):
        runs.append(timed_run(engine, clips))
        log.info("%.4f s a clip", runs[-1].seconds / workload.clips)
    return runs, latency, {"engine_s": engine_s, "first_token_s": first_token_s}


def _from_files(
    model: CaptionModel,
    subject: _Subject,
    workload: Workload,
    settings: BenchSettings,
    videos: list[Path],
    frames_seconds: float,
) -> dict[str, float | None]:
    """The same clips from files: seconds a clip, the rate as a share of that from frames, how busy the GPU was."""
    tokenizer = CaptionTokenizer(subject.checkpoint.folder)
    captioner = BenchCaptioner(
        model, tokenizer, subject.checkpoint, settings.precision, frozenset(), workload.batch
    )
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


def _baseline(
    model: CaptionModel, subject: _Subject, workload: Workload, settings: BenchSettings
) -> Baseline:
    if settings.is_gpu and has_transformers():
        return as_published(model, workload, settings.baseline_tokens)
    return one_at_a_time(model, subject.preparer(settings.precision), workload, settings.repeat)


def _synchronise(precision: Precision) -> None:
    if precision.device.type == "cuda":
        torch.cuda.synchronize(precision.device)


def _release(precision: Precision) -> None:
    """Gives back the memory of what is gone: an engine's cache takes most of a GPU's."""
    gc.collect()
    if precision.device.type == "cuda":
        torch.cuda.empty_cache()
