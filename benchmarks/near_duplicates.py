"""Whether copies of clips are found, and only copies; and what searching many fingerprints costs.

    python -m benchmarks.near_duplicates --videos clips/ --json benchmarks/results/near_duplicates.json

Clips of the synthetic world, and thirds of each real video and their mirror images, are written as files with six
copies each: coded anew at a lower quality, scaled, a tenth of width and height cut away, at 0.5 to 2 times the speed,
letterboxed, and all of that at once. Beside them stand clips of the same scenery in which something else happens, and
black ones. A pair that is called a copy and is none counts against the precision, one that is a copy and not called so
against the recall; wrong pairs of scenes come with the number of their files' pairs. Then `--many` random fingerprints,
half of them copies of the other half, are searched alone (`--clips 0`: nothing else is).
Last line: JSON.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np
import torch

from benchmarks.provenance import provenance, publish
from framescribe import Clip, near_duplicates, score
from framescribe.scores import near_duplicates as comparing
from framescribe.scores.fingerprint import PLANES, SIDE
from framescribe.synthetic.batches import make_clip
from framescribe.synthetic.render import render

FPS, SECONDS = 12, 4.0
Told = dict[str, tuple[str, str]]
"""Of each file's clip id, what it is a copy of, and how it was altered."""
Film = Callable[[float], np.ndarray]
"""Seconds from the start to a picture, uint8 [H, W, 3]."""


def write(path: Path, pictures: list[np.ndarray], crf: int) -> None:
    height, width = (side // 2 * 2 for side in pictures[0].shape[:2])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": str(crf), "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def altered(film: Film, rng: np.random.Generator) -> Iterator[tuple[str, list[np.ndarray], int]]:
    """The film itself and its copies: kind, pictures, and how coarsely they are coded."""
    left, top = rng.uniform(0, 0.1, 2)
    speed, scale, bar = 2 ** rng.uniform(-1, 1, 2), rng.uniform(0.4, 0.8), rng.uniform(0.05, 0.2)

    def taken(speed: float = 1.0) -> list[np.ndarray]:
        return [film(speed * number / FPS) for number in range(round(SECONDS * FPS / speed))]

    def cut(picture: np.ndarray) -> np.ndarray:
        height, width = picture.shape[:2]
        y, x = round(top * height), round(left * width)
        return picture[y : y + round(0.9 * height), x : x + round(0.9 * width)]

    def shrunk(picture: np.ndarray) -> np.ndarray:
        return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)

    def boxed(picture: np.ndarray) -> np.ndarray:
        return np.pad(picture, ((round(bar * len(picture)),) * 2, (0, 0), (0, 0)))

    plain = taken()
    yield "itself", plain, 20
    yield "coded anew", plain, 34
    yield "scaled", list(map(shrunk, plain)), 23
    yield "cropped", list(map(cut, plain)), 23
    yield "other speed", taken(speed[0]), 23
    yield "letterboxed", list(map(boxed, plain)), 23
    yield "all at once", [boxed(shrunk(cut(picture))) for picture in taken(speed[1])], 28


def synthetic_film(clip: object) -> Film:
    """At the files' own rate: at other speeds frames are left out, or shown twice, as by those who retime videos."""
    frames = render([clip], [1 + number / FPS for number in range(round(FPS * SECONDS))])[0]
    pictures = frames.numpy().transpose(0, 2, 3, 1)
    return lambda at_s: pictures[min(len(pictures) - 1, round(FPS * at_s))]


def real_films(folder: Path) -> Iterator[Film]:
    for path in sorted(folder.glob("*.mp4")):
        with av.open(str(path)) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        if len(frames) < 24 or max(frames[0].shape) < 320:
            continue  # test charts whose clock is all that moves
        third = len(frames) // 3
        for start in range(0, len(frames) - third + 1, third):
            for flip in (1, -1):

                def film(
                    at_s: float, part: list = frames[start : start + third], flip: int = flip
                ) -> np.ndarray:
                    return part[min(len(part) - 1, int(at_s / SECONDS * len(part)))][:, ::flip]

                yield film


def put(folder: Path, name: str, kind: str, pictures: list[np.ndarray], crf: int) -> Told:
    path = folder / f"{name} {kind}.mp4"
    write(path, pictures, crf)
    return {Clip(str(path)).id: (name, kind)}


def put_synthetic(folder: Path, seed: int, number: int) -> Told:
    """A clip with its copies, and another clip of its scenery."""
    clip, other = (make_clip(f"{what}/{seed}/{number}") for what in ("near", "far"))
    told: Told = {}
    for each in altered(synthetic_film(clip), np.random.default_rng((seed, number))):
        told |= put(folder, f"{number:04}", *each)
    facts = replace(other.facts, background=clip.facts.background, weather=clip.facts.weather)
    film = synthetic_film(replace(other, facts=facts))
    pictures = [film(at / FPS) for at in range(round(SECONDS * FPS))]
    return told | put(folder, f"{number:04} scenery", "itself", pictures, 20)


def one_thread() -> None:
    """A process for each core is quicker than threads that wait for each other."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def written(folder: Path, count: int, seed: int, videos: Path | None) -> tuple[Told, int]:
    """Writes all files; the number of real films among them."""
    told: Told = {}
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), spawn, one_thread) as processes:
        for part in processes.map(partial(put_synthetic, folder, seed), range(count)):
            told |= part
    for number in range(20):
        told |= put(folder, f"black {number}", "itself", [np.zeros((128, 128, 3), np.uint8)] * FPS, 20)
    rng, films = np.random.default_rng(seed), list(real_films(videos)) if videos else []
    for number, film in enumerate(films):
        for each in altered(film, rng):
            told |= put(folder, f"real {number:02}", *each)
    return told, len(films)


def found_in(folder: Path, told: Told) -> dict[str, object]:
    scored = folder.with_name("scored")
    started = time.perf_counter()
    score(folder, scored, scores=["fingerprint"], progress=False)
    scored_at = time.perf_counter()
    found = near_duplicates(scored)
    seconds = time.perf_counter() - scored_at
    called = [tuple(sorted(pair)) for group in found.groups for pair in _pairs(group)]
    right = [pair for pair in called if told[pair[0]][0] == told[pair[1]][0]]
    group_of = {clip: number for number, group in enumerate(found.groups) for clip in group}
    original = {name: clip for clip, (name, kind) in told.items() if kind == "itself"}
    recall: dict[str, list[bool]] = {}
    for clip, (name, kind) in told.items():
        if kind != "itself":
            met = clip in group_of and group_of[clip] == group_of.get(original[name])
            recall.setdefault(kind, []).append(met)
            recall.setdefault("real" if name.startswith("real") else "synthetic", []).append(met)
    wrong = Counter(" / ".join(sorted(told[clip][0] for clip in pair)) for pair in set(called) - set(right))
    return {
        "recall": {kind: float(np.mean(met)) for kind, met in recall.items()},
        "precision_of_pairs": len(right) / max(1, len(called)),
        "pairs_called": len(called),
        "wrong_pairs": dict(wrong.most_common(20)),
        "of_one_colour": found.num_flat,
        "seconds_to_score": scored_at - started,
        "seconds_to_compare": seconds,
        "clips": len(told),
    }


def _pairs(group: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    return ((one, other) for place, one in enumerate(group) for other in group[place + 1 :])


def many(count: int, seed: int) -> dict[str, object]:
    """Random fingerprints as smooth as pictures, half of them copies of the other half with noise."""
    rng = np.random.default_rng(seed)
    half = count // 2
    clips = np.empty((2 * half, PLANES, SIDE, SIDE), np.float16)
    for start in range(0, half, 1000):
        size = min(1000, half - start)
        coarse = rng.normal(size=(size, PLANES, 5, 5)) * 20 + rng.normal(size=(size, 1, 5, 5)) * 40 + 128
        smooth = coarse.repeat(4, 2).repeat(4, 3)
        clips[start : start + size] = smooth
        clips[half + start : half + start + size] = smooth + rng.normal(size=smooth.shape) * 3
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    found = comparing.near_duplicates(clips)
    return {
        "fingerprints": len(clips),
        "seconds": time.perf_counter() - started,
        "fingerprints_mb": clips.nbytes / 1e6,
        "more_memory_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3,
        "recall": float((found[half:] == np.arange(half)).mean()),
        "wrong": int((found[:half] != np.arange(half)).sum()),
    }


def draw(count: int, seed: int, videos: Path | None) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "clips"
        folder.mkdir()
        started = time.perf_counter()
        told, num_real = written(folder, count, seed, videos)
        figures = {"seed": seed, "synthetic_clips": count, "real_clips": num_real}
        figures["seconds_to_write"] = time.perf_counter() - started
        return figures | found_in(folder, told)


def worst(draws: list[dict]) -> dict[str, float]:
    """The lowest precision, and the lowest recall of any kind of copy."""
    if not draws:
        return {}
    return {
        "recall": min(min(figures["recall"].values()) for figures in draws),
        "precision_of_pairs": min(figures["precision_of_pairs"] for figures in draws),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[1], help="several draws, and the worst of them"
    )
    parser.add_argument("--videos", type=Path, help="folder of real videos")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    made_by = provenance()
    draws = [draw(arguments.clips, seed, arguments.videos) for seed in arguments.seeds if arguments.clips]
    searched = many(arguments.many, arguments.seeds[0]) if arguments.many else None
    publish({"draws": draws, "worst": worst(draws), "many": searched} | made_by, arguments.json)


if __name__ == "__main__":
    main()
