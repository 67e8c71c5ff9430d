"""Decoding by a GPU's decoder, by CPUs, and by both: clips a second from files to what the model takes, on the GPU.

    python -m benchmarks.gpu_decoding *.mp4 --seconds 8 --json benchmarks/results/gpu_decoding_h100.json

By file and way: clips a second once all processes run; CPU seconds a clip, of the decoding processes; frames that
differ from FFmpeg's in any bit. Frames are those of ``chat``. Last line: JSON.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import torch

from benchmarks.provenance import provenance, publish
from framescribe.checkpoint import open_checkpoint
from framescribe.prepare import Preparer, gpu_decoders
from framescribe.rows import RowMaker
from framescribe.types import Clip, FrameSampling
from framescribe.video.decode import decode_frames
from framescribe.video.nvdec.rgb import ToRgb
from framescribe.video.workers import DecodeWorkers, usable_cpus

DEVICE = torch.device("cuda", 0)
SAMPLING = FrameSampling()


def run(
    workers: DecodeWorkers, preparer: Preparer, clip: Clip, threads: int, seconds: float
) -> dict[str, Any]:
    """Decodes a clip again and again in so many threads."""
    counts: Counter[str] = Counter()
    lock = threading.Lock()
    until = [0.0]

    def work() -> None:
        while True:
            with workers.decoded(clip, SAMPLING) as frames:
                preparer.pictures(frames.pixels if frames.yuv is None else frames.yuv)
            with lock:
                if time.perf_counter() > until[0]:
                    return
                counts[frames.decoder] += 1

    def rounds(duration_s: float) -> tuple[float, float]:
        until[0] = time.perf_counter() + duration_s
        counts.clear()
        cpu, started = cpu_s(), time.perf_counter()
        all_threads = [threading.Thread(target=work) for _ in range(threads)]
        for thread in all_threads:
            thread.start()
        while time.perf_counter() < until[0]:
            time.sleep(0.05)
        taken = time.perf_counter() - started, cpu_s() - cpu
        for thread in all_threads:
            thread.join()
        return taken

    rounds(3.0)  # starts the processes
    wall_s, used_s = rounds(seconds)
    clips = counts.total()
    return {
        "clips_per_s": clips / wall_s,
        "cpu_s_per_clip": used_s / max(1, clips),
        "decoded_by": dict(counts),
    }


def cpu_s() -> float:
    """Of the decoding processes."""
    return sum(sum(child.cpu_times()[:2]) for child in psutil.Process().children(recursive=True))


def differing_frames(workers: DecodeWorkers, clip: Clip) -> int | None:
    """Frames by the GPU that are not FFmpeg's; None where it does not take the clip."""
    wanted = decode_frames(clip, SAMPLING).pixels
    with workers.decoded(clip, SAMPLING) as frames:
        if frames.yuv is None:
            return None
        found = ToRgb(DEVICE)(frames.yuv).cpu().numpy()
    return int((found != wanted).any(axis=(1, 2, 3)).sum())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    made_by, checkpoint = provenance(), open_checkpoint("tiny")
    preparer = Preparer(checkpoint, RowMaker("", "", ""), device=DEVICE, dtype=torch.bfloat16)
    gpu, cpus = gpu_decoders("gpu", DEVICE), usable_cpus()
    assert gpu is not None
    found = {}
    for video in arguments.videos:
        clip = Clip(str(video))
        ways = {"gpu": (gpu, gpu.count), "cpu": (None, cpus), "both": (gpu, gpu.count + cpus)}
        with DecodeWorkers(gpu=gpu) as workers:
            found[video.name] = {"differing_frames": differing_frames(workers, clip)}
        for way, (decoders, threads) in ways.items():
            with DecodeWorkers(gpu=decoders) as workers:
                found[video.name][way] = run(workers, preparer, clip, threads, arguments.seconds)
            print(video.name, way, found[video.name][way], flush=True)
    hardware = torch.cuda.get_device_name(DEVICE)
    publish(
        {"files": found, "processes": gpu.count, "cpus": cpus, "hardware": hardware} | made_by, arguments.json
    )


if __name__ == "__main__":
    main()
