"""How much CPU time does a decoder need for a clip? It says how many decoders a GPU needs.

    OMP_NUM_THREADS=1 python -m benchmarks.ray_decoders --json benchmarks/results/ray_decoders.json

A decoder of a run on Ray has one core: it decodes a clip in its worker process, then normalises and resizes the frames.
Clips: 24 s at 24 frames/s, a picture full of detail that moves past, of which the default strategy takes 24 frames. CPU
time of this process and its worker, the best of some rounds. Last line: JSON.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from benchmarks.decode_throughput import measure
from benchmarks.provenance import provenance, publish
from framescribe.checkpoint import open_checkpoint
from framescribe.prepare import Prepared, Preparer
from framescribe.rows import RowMaker
from framescribe.task import ClipTask
from framescribe.types import CaptionSettings, Clip
from framescribe.video.worker_process import Worker
from framescribe.video.workers import DecodeWorkers

SECONDS, RATE = 24, 24
KINDS = (
    ("libx264", 1920, 1080, {"preset": "veryfast"}, 6_000_000),
    ("libx264", 1280, 720, {"preset": "veryfast"}, 3_000_000),
    ("libvpx-vp9", 854, 480, {"cpu-used": "8", "deadline": "realtime"}, 1_000_000),
)


def write_clip(path: Path, codec: str, width: int, height: int, options: dict[str, str], bits: int) -> None:
    """A picture of random patches of all sizes that moves past diagonally."""
    chance = np.random.default_rng(0)
    room = SECONDS * RATE
    picture = np.zeros((height + room, width + room, 3), np.float32)
    for patch in (1, 4, 16, 64):
        shape = (-(-picture.shape[0] // patch), -(-picture.shape[1] // patch), 3)
        noise = chance.random(shape, np.float32) * (8 if patch == 1 else 80)
        picture += noise.repeat(patch, 0).repeat(patch, 1)[: picture.shape[0], : picture.shape[1]]
    moving_u8 = picture.clip(0, 255).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = width, height, "yuv420p", bits
        for step in range(room):
            shown = np.ascontiguousarray(moving_u8[step : step + height, step : step + width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, "rgb24")))
        container.mux(stream.encode(None))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    made_by = provenance()
    torch.set_num_threads(1)
    checkpoint, rows = open_checkpoint("tiny-random"), RowMaker("none", "none", "bf16")
    preparer = Preparer(checkpoint, rows, dtype=torch.bfloat16)
    runs: list[dict[str, Any]] = []
    idle: list[Worker] = []
    with tempfile.TemporaryDirectory() as name, DecodeWorkers(idle, timeout_s=120) as workers:
        for codec, width, height, how, bits in KINDS:
            path = Path(name) / f"{codec}-{height}.mp4"
            write_clip(path, codec, width, height, how, bits)
            once = partial(preparer.prepare, ClipTask.of(Clip(str(path)), ["?"]), CaptionSettings(), workers)
            prepared = once()
            assert isinstance(prepared, Prepared), prepared
            assert len(prepared.picture_of_frame) == 24
            runs.append(
                {
                    "codec": codec,
                    "width": width,
                    "height": height,
                    "megabits_per_s": round(path.stat().st_size * 8e-6 / SECONDS, 2),
                    "cpu_s_per_clip": round(min(measure(once)[0] for _ in range(options.rounds)), 2),
                }
            )
            print(runs[-1], flush=True)
        for worker in idle:
            worker.close()
    publish({"frames": 24, "seconds": SECONDS, "rate": RATE, "runs": runs, **made_by}, options.json)


if __name__ == "__main__":
    main()
