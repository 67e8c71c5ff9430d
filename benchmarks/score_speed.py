"""Scores beside the decoding that they need, each alone and all together, and beside captioning's decoding.

    python -m benchmarks.score_speed --json benchmarks/results/score_speed.json

Clips: the real examples (720x480, 8 frames a second), and videos of 1280x720 at 24 frames a second made of them
(``hd_clips.py``), each encoded by libx264 at its defaults. Every way runs over all clips in every round, in turn, in
this process with one thread, and its best round counts: seconds of CPU a clip. Last line: JSON.

    bare         packets to frames by a plain PyAV loop: every frame decoded, none converted
    pictures     what scorers are given, nothing measured
    NAME         score_clip with that scorer alone
    all          score_clip with all default scorers
    frames       decode_frames as captioning does (24 frames under chat), transformed for the model
    frames_all   the same with all default scorers

``all_to_bare``: of ``all`` to ``bare``; below 2, measuring takes no longer than decoding. ``more_while_captioning``:
what scoring adds to ``frames``, in which the model's own work is not.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import av
import torch

from benchmarks.hd_clips import make
from benchmarks.provenance import provenance, publish
from framescribe.scores.registry import SCORERS, scorers_named
from framescribe.scores.scorer import Scorer
from framescribe.types import Clip, FrameSampling
from framescribe.video.decode import decode_frames
from framescribe.video.scoring import score_clip
from framescribe.video.transform import transform

REAL = sorted(Path("examples/real").glob("*.mp4"))


class Unmeasured(Scorer):
    """Is given what it needs, and measures nothing."""

    def measure(self, pictures: object) -> dict[str, float]:
        return {}


def bare(clip: Clip) -> None:
    with av.open(clip.source_video) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for _ in container.decode(stream):
            pass


def frames(clip: Clip, scorers: tuple[Scorer, ...] = ()) -> None:
    decoded = decode_frames(clip, FrameSampling(), max_threads=1, scorers=scorers)
    transform(torch.from_numpy(decoded.pixels), 224)


def ways(names: list[str]) -> dict[str, Callable[[Clip], object]]:
    chosen = scorers_named(names)
    classical = scorers_named()
    needs = tuple({need for scorer in classical for need in scorer.needs})
    return {
        "bare": bare,
        "pictures": partial(score_clip, scorers=(Unmeasured("none", 1, (), needs),)),
        **{scorer.name: partial(score_clip, scorers=(scorer,)) for scorer in chosen},
        "all": partial(score_clip, scorers=classical),
        "frames": frames,
        "frames_all": partial(frames, scorers=classical),
    }


def cpu_s(way: Callable[[Clip], object], clips: list[Clip]) -> float:
    started = time.process_time()
    for clip in clips:
        way(clip)
    return (time.process_time() - started) / len(clips)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scorers", default=",".join(each.name for each in SCORERS if each.is_default))
    parser.add_argument("--json", type=Path)
    settings = parser.parse_args()
    made_by = provenance()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        hd = [
            make(Path(folder) / f"{number}.mp4", REAL[number : number + 1], (1280, 720), 6, "libx264")
            for number in range(len(REAL))
        ]
        results = {
            name: _measure(list(map(Clip, map(str, paths))), settings.scorers.split(","), settings.rounds)
            for name, paths in (("480p_8fps", REAL), ("720p_24fps", hd))
        }
    publish({"rounds": settings.rounds, **results, **made_by}, settings.json)


def _measure(clips: list[Clip], names: list[str], rounds: int) -> dict[str, object]:
    runs = ways(names)
    took: dict[str, list[float]] = {name: [] for name in runs}
    for way in runs.values():  # warm files and imports
        way(clips[0])
    for _ in range(rounds):
        for name, way in runs.items():
            took[name].append(cpu_s(way, clips))
    best = {name: min(each) for name, each in took.items()}
    return {
        "cpu_ms_a_clip": {name: round(1000 * value, 1) for name, value in best.items()},
        "clips_per_s_a_core": {name: round(1 / value, 2) for name, value in best.items()},
        "all_to_bare": round(best["all"] / best["bare"], 2),
        "more_while_captioning": round(best["frames_all"] / best["frames"] - 1, 3),
    }


if __name__ == "__main__":
    main()
