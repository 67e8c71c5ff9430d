"""How fast large videos give 24 frames: framescribe, another version of it, torchcodec and bare PyAV, in one run.

    git worktree add ../before 94d41ce
    pip install --no-deps --target ../torchcodec torchcodec==0.11.1    # its CPU build; needs FFmpeg's libraries
    python -m benchmarks.decode_others --before ../before --torchcodec ../torchcodec --json decode_others.json

The videos are made here (``hd_clips.py``), encoded by libx264 and libx265 at their defaults, or lie as ``NAME.mp4``
in ``--folder``. Wanted are 24 frames evenly over each, RGB at full size. Every way keeps all cores busy, in processes
of its own, and runs in every round, in turn; its best round counts. A first clip in each process is not measured.

    framescribe, before    workers, one for each core, pixels read through shared memory
    pyav_all               a PyAV loop that decodes every frame with one thread and converts the wanted ones
    pyav_threads           the same with FFmpeg's choice of threads
    pyav_seek              seeks to the keyframe before each wanted frame and decodes on (one round, a clip a core)
    torchcodec             ``VideoDecoder(...).get_frames_at``, one thread; ``torchcodec_approximate``: without its scan

Last line: JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import numpy as np

CORES = len(os.sched_getaffinity(0))
VIDEOS = {
    "h264_1080p_24s": ((1920, 1080), 24, "libx264"),
    "hevc_1080p_24s": ((1920, 1080), 24, "libx265"),
    "h264_720p_6s": ((1280, 720), 6, "libx264"),
}
REAL = Path(__file__).parents[1] / "examples" / "real"
WANTED = 24


def numbers(path: str) -> list[int]:
    with av.open(path) as container:
        return np.linspace(0, container.streams.video[0].frames - 1, WANTED).round().astype(int).tolist()


def pyav_all(path: str, thread_type: str = "SLICE") -> int:
    wanted = set(numbers(path))
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = thread_type
        if thread_type == "SLICE":
            stream.codec_context.thread_count = 1
        decoded = enumerate(container.decode(stream))
        kept = [frame.to_ndarray(format="rgb24") for number, frame in decoded if number in wanted]
    return len(np.stack(kept))


def pyav_threads(path: str) -> int:
    return pyav_all(path, "AUTO")


def pyav_seek(path: str) -> int:
    kept = []
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        units = round(1 / (stream.average_rate * stream.time_base))
        for number in numbers(path):
            container.seek(number * units, stream=stream)
            frames = container.decode(stream)
            kept.append(
                next(frame for frame in frames if frame.pts >= number * units).to_ndarray(format="rgb24")
            )
    return len(np.stack(kept))


def torchcodec(path: str, seek_mode: str = "exact") -> int:
    from torchcodec.decoders import VideoDecoder

    decoder = VideoDecoder(path, num_ffmpeg_threads=1, seek_mode=seek_mode)
    return len(decoder.get_frames_at(numbers(path)).data)


def torchcodec_approximate(path: str) -> int:
    return torchcodec(path, "approximate")


def framescribe(path: str, clips: int) -> tuple[float, float]:
    from framescribe.types import Clip, FrameSampling
    from framescribe.video.workers import DecodeWorkers

    with DecodeWorkers([], timeout_s=600) as workers, ThreadPoolExecutor(CORES) as pool:

        def one(number: int) -> int:
            with workers.decoded(Clip(path), FrameSampling("uniform", WANTED)) as frames:
                return int(frames.pixels[:, :, :, 0].sum())

        list(pool.map(one, range(CORES)))
        return measured(lambda: list(pool.map(one, range(clips))))


def in_processes(way: Callable[[str], int], path: str, clips: int) -> tuple[float, float]:
    with multiprocessing.get_context("spawn").Pool(CORES) as pool:
        pool.map(way, [path] * CORES, chunksize=1)
        return measured(lambda: pool.map(way, [path] * clips, chunksize=1))


def measured(run: Callable[[], object]) -> tuple[float, float]:
    """Seconds of wall clock, and of CPU of this process and its children."""
    import psutil

    def cpu_s() -> float:
        this = psutil.Process()
        return sum(sum(each.cpu_times()[:2]) for each in (this, *this.children()))

    cpu_before_s, before_s = cpu_s(), time.perf_counter()
    run()
    return time.perf_counter() - before_s, cpu_s() - cpu_before_s


OTHERS = {
    way.__name__: way for way in (pyav_all, pyav_threads, pyav_seek, torchcodec, torchcodec_approximate)
}


def one_way(way: str, path: str, clips: int) -> None:
    """Runs one way and prints its seconds; what ``asked`` starts, in an environment of its own."""
    ours = way in ("framescribe", "before")
    print(json.dumps(framescribe(path, clips) if ours else in_processes(OTHERS[way], path, clips)))


def asked(way: str, path: Path, clips: int, first_on_path: Path | None) -> tuple[float, float]:
    """Wall and CPU seconds a clip."""
    root = str(Path(__file__).parents[1])
    python_path = os.pathsep.join([str(first_on_path.resolve()), root] if first_on_path else [root])
    done = subprocess.run(
        [sys.executable, __file__, "--way", way, str(path), str(clips)],
        env=os.environ | {"PYTHONPATH": python_path, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        check=True,
    )
    wall_s, cpu_s = json.loads(done.stdout.splitlines()[-1])
    return wall_s / clips, cpu_s / clips


def compared(path: Path, settings: argparse.Namespace) -> dict[str, Any]:
    places = {"framescribe": None, "before": settings.before, "pyav_all": None, "pyav_threads": None}
    places |= dict.fromkeys(["torchcodec", "torchcodec_approximate"], settings.torchcodec)
    rounds: dict[str, list[tuple[float, float]]] = {way: [] for way in places}
    for _ in range(settings.rounds):
        for way, place in places.items():
            rounds[way].append(asked(way, path, settings.clips, place))
    rounds["pyav_seek"] = [asked("pyav_seek", path, CORES, None)]
    best = {way: (min(wall for wall, _ in took), min(cpu for _, cpu in took)) for way, took in rounds.items()}
    others = [way for way in best if way not in ("framescribe", "before")]
    (wall_s, cpu_s), (before_wall_s, before_cpu_s) = best["framescribe"], best["before"]
    return {
        "clips_per_s": {way: round(1 / wall, 3) for way, (wall, _) in best.items()},
        "cpu_s_per_clip": {way: round(cpu, 3) for way, (_, cpu) in best.items()},
        "rate_to_before": round(before_wall_s / wall_s, 3),
        "cpu_before_to_now": round(before_cpu_s / cpu_s, 3),
        "rate_to_best_other": round(min(best[way][0] for way in others) / wall_s, 3),
        "cpu_best_other_to_now": round(min(best[way][1] for way in others) / cpu_s, 3),
    }


def main() -> None:
    from benchmarks.hd_clips import make
    from benchmarks.provenance import provenance, publish

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", type=Path, required=True, help="a checkout of another version")
    parser.add_argument("--torchcodec", type=Path, required=True, help="a folder that holds torchcodec")
    parser.add_argument("--folder", type=Path, help="where the videos are, or are made")
    parser.add_argument("--only", choices=list(VIDEOS))
    parser.add_argument("--clips", type=int, default=2 * CORES, help="clips a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    settings = parser.parse_args()
    made_by = provenance()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as made:
        folder = settings.folder or Path(made)
        for name, (size, duration_s, encoder) in VIDEOS.items():
            if settings.only in (None, name):
                path = folder / f"{name}.mp4"
                if not path.exists():
                    make(path, sorted(REAL.glob("*.mp4")), size, duration_s, encoder)
                megabits = path.stat().st_size * 8e-6 / duration_s
                result[name] = {"megabits_per_s": round(megabits, 2), **compared(path, settings)}
                print(name, result[name], flush=True)
    revision = subprocess.run(
        ["git", "-C", str(settings.before), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    publish({**result, "before": revision.stdout.strip(), "cores": CORES, **made_by}, settings.json)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--way"]:
        one_way(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        main()
