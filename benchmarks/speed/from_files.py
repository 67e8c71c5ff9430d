"""Clips from video files: all that ``framescribe caption`` does with them, decoding in worker processes included."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.gpu_busy import gpu_busy
from framescribe.bench.workload import LONG, SHORT, Workload
from framescribe.bound import Part, TimeSpent
from framescribe.captioner import Captioner
from framescribe.checkpoint import OpenCheckpoint
from framescribe.model.model import CaptionModel
from framescribe.model.precision import Precision
from framescribe.task import ClipTask, DecoderChoice
from framescribe.types import CaptionSettings, Clip, FrameSampling, GenerationSettings
from framescribe.video.decode import decode_frames
from framescribe.video.encode import write_mp4

WIDTH, HEIGHT, FPS = 1280, 720, 24
# A little over 6 s, so that ``chat`` sees the frames of seconds 0 to 6.
_FRAMES = 6 * FPS + 1
_FILES = 4


def write_videos(folder: Path) -> list[Path]:
    """720p H.264 files of 6 s, each another texture drifting across the picture."""
    paths = []
    for number in range(_FILES):
        generator = np.random.default_rng(number)
        blocks = generator.integers(40, 216, (3, HEIGHT // 16, WIDTH // 16), dtype=np.uint8)
        noise = generator.integers(0, 24, (3, HEIGHT, WIDTH), dtype=np.uint8)
        picture = blocks.repeat(16, axis=1).repeat(16, axis=2) + noise
        frames = np.empty((_FRAMES, *picture.shape), np.uint8)
        for shift, frame in enumerate(frames):
            frame[:] = np.roll(picture, (shift, (number + 1) * shift), axis=(1, 2))
        paths.append(folder / f"{number}.mp4")
        write_mp4(paths[-1], frames, FPS)
    return paths


def measure_files(
    model: CaptionModel,
    subject: OpenCheckpoint,
    precision: Precision,
    workload: Workload,
    videos: list[Path],
    repeat: int,
    decoder: DecoderChoice,
) -> dict[str, Any]:
    """The workload's clips from files: seconds a clip, how busy the GPU was (None where that is not known), and how
    many clips of the last run each kind of decoder took."""
    captioner = Captioner(model, subject, precision, workload.batch, decoder)
    # Once for worker processes, kernels and CUDA graphs.
    _caption(captioner, videos, workload.decoding, workload.new_tokens)
    runs = [_caption(captioner, videos, workload.clips, workload.new_tokens) for _ in range(repeat)]
    shares = [run.gpu_busy for run in runs if run.gpu_busy is not None]
    return {
        "seconds_per_clip": statistics.median(run.seconds for run in runs) / workload.clips,
        "gpu_busy": statistics.median(shares) if shares else None,
        "decoded_by": dict(runs[-1].decoders),
        "time_shares": runs[-1].shares,
        "first_row_s": statistics.median(run.first_row_s for run in runs),
    }


@dataclass(frozen=True, slots=True)
class _Run:
    seconds: float
    gpu_busy: float | None
    decoders: Counter[str | None]
    first_row_s: float
    shares: dict[Part, float]


def workload_of(videos: list[Path], workload: Workload | None = None) -> Workload:
    """The clips that these files are: their size, and the frames that ``chat`` sees of the first."""
    found = decode_frames(Clip(str(videos[0])), FrameSampling())
    chosen = workload or (LONG if len(found.indices) > SHORT.frames else SHORT)
    return replace(chosen, frames=len(found.indices), width=found.facts.width, height=found.facts.height)


def _caption(captioner: Captioner, paths: list[Path], clips: int, new_tokens: int) -> _Run:
    """``clips`` clips, the files in turn."""
    settings = CaptionSettings(generation=GenerationSettings(new_tokens, stop_loops=False))
    sources = (Clip(str(paths[number % len(paths)]), given_id=str(number)) for number in range(clips))
    tasks = (ClipTask.of(source, [settings.prompt]) for source in sources)
    spent = TimeSpent()
    with gpu_busy(captioner.precision.device) as busy:
        start = time.perf_counter()
        decoders: Counter[str | None] = Counter()
        first_row_s = 0.0
        for row in captioner.caption_tasks(tasks, settings, spent=spent):
            assert not row.error_message, row.error_message
            decoders[row.decoder] += 1
            first_row_s = first_row_s or time.perf_counter() - start
        seconds = time.perf_counter() - start
    return _Run(seconds, busy.share, decoders, first_row_s, dict(spent.shares))
