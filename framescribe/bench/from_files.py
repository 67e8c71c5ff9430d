"""Clips from video files: the whole way of ``framescribe caption``, decoding in worker processes included."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from framescribe.bench.from_frames import FromFrames
from framescribe.bench.gpu_busy import gpu_busy
from framescribe.bench.workload import Workload
from framescribe.captioner import Captioner
from framescribe.errors import UsageError
from framescribe.types import CaptionSettings, Clip, GenerationSettings
from framescribe.video.encode import write_mp4

WIDTH, HEIGHT, FPS = 1280, 720, 24
# A little over 6 s, so that ``chat`` sees the frames of seconds 0 to 6.
_FRAMES = 6 * FPS + 1
_FILES = 4


def write_videos(folder: Path) -> list[Path]:
    """720p H.264 files of 6 s, each another texture drifting across the picture."""
    paths = []
    for number in range(_FILES):
        dice = np.random.default_rng(number)
        blocks = dice.integers(40, 216, (3, HEIGHT // 16, WIDTH // 16), dtype=np.uint8)
        noise = dice.integers(0, 24, (3, HEIGHT, WIDTH), dtype=np.uint8)
        picture = blocks.repeat(16, axis=1).repeat(16, axis=2) + noise
        frames = np.empty((_FRAMES, *picture.shape), np.uint8)
        for shift, frame in enumerate(frames):
            frame[:] = np.roll(picture, (shift, (number + 1) * shift), axis=(1, 2))
        paths.append(folder / f"{number}.mp4")
        write_mp4(paths[-1], frames, FPS)
    return paths


class BenchCaptioner(Captioner):
    """The front door, whose engine can be warmed up and whose prompts measured."""

    def warm_up(self, workload: Workload) -> None:
        """Every batch size is captured."""
        FromFrames(self._engine, self._preparer, workload).warm_up()


def run_files(
    captioner: BenchCaptioner, paths: list[Path], clips: int, new_tokens: int
) -> tuple[float, float | None]:
    """Captions ``clips`` clips, the files in turn.

    Returns:
        Seconds, and the share of them in which the GPU was busy (None where that is not known).
    """
    settings = CaptionSettings(generation=GenerationSettings(new_tokens, stop_loops=False))
    sources = [Clip(str(paths[number % len(paths)]), given_id=str(number)) for number in range(clips)]
    with gpu_busy(captioner.precision.device) as busy:
        began = time.perf_counter()
        for row in captioner.caption(sources, settings):
            if row.error_message:
                raise UsageError(f"a clip could not be captioned: {row.error_message}")
        seconds = time.perf_counter() - began
    return seconds, busy.share
