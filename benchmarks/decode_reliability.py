"""Decoding while processes fork and die: frames of a wrong video, and good clips that became errors.

    python -m benchmarks.decode_reliability --json decode_reliability.json

Two parts, each over clips that are made here, one grey level each, so that every picture tells whose it is:

    fork     a process whose workers are idle, or busy, forks again and again: by ``os.fork``, for a pool of
             multiprocessing and for a torch ``DataLoader``; all sides decode clips of their own, at the same time
    kills    two threads decode good clips while workers are killed (SIGKILL) at random moments

Last line: JSON.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from benchmarks.provenance import provenance, publish
from framescribe.errors import ClipError
from framescribe.types import Clip, FrameSampling
from framescribe.video.encode import write_mp4
from framescribe.video.worker_process import Worker
from framescribe.video.workers import DecodeWorkers

SAMPLING = FrameSampling("uniform", 4)
LEVELS = range(20, 240, 10)
IDLE: list[Worker] = []
CLIPS: list[Clip] = []


def make_clips(folder: Path) -> None:
    for level in LEVELS:
        write_mp4(folder / f"{level}.mp4", np.full((8, 3, 96, 128), level, np.uint8), 4)
        CLIPS.append(Clip(str(folder / f"{level}.mp4")))


def look(run: DecodeWorkers, number: int) -> tuple[int, int]:
    """Frames that were had of a clip, and how many of them are another's."""
    level = LEVELS[number % len(LEVELS)]
    with run.decoded(CLIPS[number % len(LEVELS)], SAMPLING) as frames:
        means = frames.pixels.mean((1, 2, 3))
        return len(means), int((np.abs(means - level) > 4).sum())


def decode(first: int, count: int = 12) -> tuple[int, int]:
    """Decodes clips with the workers that this process finds."""
    with DecodeWorkers(IDLE, 120) as run:
        seen, wrong = zip(*(look(run, first + number) for number in range(count)), strict=True)
    return sum(seen), sum(wrong)


class Numbers(torch.utils.data.Dataset[Any]):
    """What a ``DataLoader`` asks for in its forks."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, number: int) -> tuple[int, int]:
        return decode(number * 5)


def fork_once(first: int) -> tuple[int, int]:
    """What the child saw, when it and its parent decode at the same time; and the parent."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, " ".join(map(str, decode(first))).encode())
        os._exit(0)
    here = decode(first + 7)
    os.waitpid(child, 0)
    there = tuple(map(int, os.read(reader, 100).split()))
    os.close(reader)
    os.close(writer)
    return here[0] + there[0], here[1] + there[1]


def forks(wanted: int) -> dict[str, Any]:
    """Forks in every way until so many frames were seen."""
    seen: Counter[str] = Counter()
    wrong: Counter[str] = Counter()

    def add(way: str, found: tuple[int, int]) -> None:
        seen[way] += found[0]
        wrong[way] += found[1]

    context = multiprocessing.get_context("fork")
    loader = torch.utils.data.DataLoader(Numbers(), batch_size=None, num_workers=2)
    chance = random.Random(0)
    while seen.total() < wanted:
        first = chance.randrange(100)
        add("fork, workers idle", fork_once(first))
        with ThreadPoolExecutor(2) as pool:
            busy = [pool.submit(decode, first + number, 30) for number in (3, 11)]
            add("fork, workers busy", fork_once(first))
            for one in busy:
                add("threads meanwhile", one.result())
        with context.Pool(2) as pool:
            for found in pool.map(decode, [first, first + 5]):
                add("multiprocessing", found)
        for found in loader:
            add("DataLoader", found)
    return {"frames": dict(seen), "frames_in_all": seen.total(), "wrong": wrong.total()}


def kills(clips: int) -> dict[str, Any]:
    """Good clips while workers are killed."""
    is_over = threading.Event()
    killed = 0

    def kill() -> None:
        nonlocal killed
        chance = random.Random(1)
        while not is_over.wait(chance.uniform(0.05, 0.5)):
            if children := psutil.Process().children():
                chance.choice(children).kill()
                killed += 1

    killer = threading.Thread(target=kill)
    killer.start()
    errors: list[str] = []
    wrong = 0
    with DecodeWorkers(IDLE, 120) as run, ThreadPoolExecutor(2) as pool:

        def one(number: int) -> int:
            try:
                return look(run, number)[1]
            except ClipError as error:
                errors.append(str(error))
                return 0

        wrong = sum(pool.map(one, range(clips)))
    is_over.set()
    killer.join()
    return {"clips": clips, "killed": killed, "errors": len(errors), "wrong": wrong, "messages": errors[:5]}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--clips", type=int, default=1_000)
    parser.add_argument("--json", type=Path)
    settings = parser.parse_args()
    made_by = provenance()
    with tempfile.TemporaryDirectory() as folder:
        make_clips(Path(folder))
        started_s = time.monotonic()
        result = {"fork": forks(settings.frames), "kills": kills(settings.clips)}
        result["seconds"] = round(time.monotonic() - started_s, 1)
    for worker in IDLE:
        worker.close()
    publish({**result, **made_by}, settings.json)


if __name__ == "__main__":
    main()
