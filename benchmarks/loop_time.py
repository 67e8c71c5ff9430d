"""What looping captions cost: 60 clips of real footage, on which the bundled model loops, against 60 of its own world.

    taskset -c 0,1 python -m benchmarks.loop_time --json benchmarks/results/loop_time.json

The real clips are six seconds or so from anywhere in six videos of the examples and the tests, cropped, mirrored,
turned round in time or with exchanged colours. Both are captioned as ``framescribe caption -o`` does, repairs included,
by the same loaded model, with loops stopped; the real ones also without (``--no-stop-loops``). Last line: JSON.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.provenance import provenance, publish
from framescribe import CaptionSettings, GenerationSettings
from framescribe.captioner import Captioner
from framescribe.synthetic.files import file_clips, write_clips
from framescribe.types import Clip, FrameSampling
from framescribe.video.decode import decode_frames
from framescribe.video.encode import write_mp4

ROOT = Path(__file__).parents[1]
SOURCES = [
    *(ROOT / "examples" / "real" / f"{name}.mp4" for name in ("horse", "kitten", "train_running")),
    *(ROOT / "tests" / "data" / "clips" / f"{name}.mp4" for name in ("long-70s", "portrait-25s", "vfr-6s")),
]
COUNT, SECONDS, FPS = 60, 6, 8


def write_real(folder: Path) -> list[Path]:
    rng = random.Random(0)
    paths = []
    sources = [decode_frames(Clip(str(path)), FrameSampling("uniform", 96)).pixels for path in SOURCES]
    for number in range(COUNT):
        frames = sources[number % len(SOURCES)]
        length = min(len(frames), SECONDS * FPS)
        first = rng.randrange(len(frames) - length + 1)
        height, width = (int(side * rng.uniform(0.6, 1)) // 2 * 2 for side in frames.shape[2:])
        top, left = (
            rng.randrange(whole - part + 1)
            for whole, part in zip(frames.shape[2:], (height, width), strict=True)
        )
        clip = frames[first : first + length, :, top : top + height, left : left + width]
        if rng.random() < 0.5:
            clip = clip[..., ::-1]
        if rng.random() < 0.3:
            clip = clip[::-1]
        if rng.random() < 0.3:
            clip = clip[:, [1, 2, 0]]
        paths.append(folder / f"{number:02}-{SOURCES[number % len(SOURCES)].stem}.mp4")
        write_mp4(paths[-1], np.ascontiguousarray(clip), FPS)
    return paths


def caption(captioner: Captioner, paths: list[Path], *, stop_loops: bool) -> dict[str, Any]:
    settings = CaptionSettings(generation=GenerationSettings(stop_loops=stop_loops), repair=True)
    began = time.monotonic()
    rows = list(captioner.caption(paths, settings))
    seconds = time.monotonic() - began
    assert len(rows) == len(paths)
    return {
        "clips": len(rows),
        "seconds": round(seconds, 1),
        "clips_whose_first_caption_was_bad": sum(bool(row.repairs) for row in rows),
        "repairs": sum(len(row.repairs) for row in rows),
        "statuses": {
            status: sum(row.caption_status == status for row in rows)
            for status in ("success", "repetitive", "truncated", "error")
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    made_by = provenance()
    captioner = Captioner.from_pretrained("tiny", device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        real = write_real(Path(folder))
        own = Path(folder) / "own"
        own.mkdir()
        synthetic = list(write_clips(file_clips(COUNT, seed=0), own))
        caption(captioner, synthetic[:8], stop_loops=True)  # worker processes start
        result = {
            "own_world": caption(captioner, synthetic, stop_loops=True),
            "real": caption(captioner, real, stop_loops=True),
            "real_unstopped": caption(captioner, real, stop_loops=False),
        }
    result["times"] = round(result["real"]["seconds"] / result["own_world"]["seconds"], 2)
    publish(made_by | result, arguments.json)


if __name__ == "__main__":
    main()
