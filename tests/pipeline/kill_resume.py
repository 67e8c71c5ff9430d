"""Kills ``framescribe caption`` again and again, and compares what it leaves with an uninterrupted run's rows.

Shared by the test (few clips) and ``benchmarks/kill_resume.py`` (many).
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq

from tests.awkward import AWKWARD
from tests.cli.run import start

BROKEN_EVERY = 10


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        entries, clips: lines of the list, and different clips among them.
        starts, kills: of the command; the kills that met it alive.
        rows, distinct: in all shards, and different clips among them.
        lost, captioned_twice, unequal: clips without a row, with more than one, with another caption or status than in
            the uninterrupted run.
        statuses: of the rows.
        ways_broken: how many kinds of broken files there are.
        uninterrupted_s, interrupted_s: wall time of the one run, and of all those that were killed.
    """

    entries: int
    clips: int
    starts: int
    kills: int
    rows: int
    distinct: int
    lost: int
    captioned_twice: int
    unequal: int
    statuses: dict[str, int]
    ways_broken: int
    uninterrupted_s: float
    interrupted_s: float


def kill_and_resume(
    folder: Path, clips: int, kills: int, seed: int, rows_per_shard: int, model: str = "tiny-random"
) -> Outcome:
    """Captions ``clips`` clips, of which a tenth are broken, with ``kills`` kills at random moments of progress."""
    chance = random.Random(seed)
    listed, ways = make_list(folder / "clips", clips, chance)
    command = [
        "caption", listed, "--model", model, "--device", "cpu", "--max-new-tokens", "4", "--batch-size", "4",
        "--shard-rows", rows_per_shard,
    ]  # fmt: skip
    began = time.monotonic()
    whole = start(*command, "-o", folder / "whole")
    messages = whole.communicate(timeout=3600)[1]
    assert whole.returncode == 1, messages  # some clips are broken
    uninterrupted_s = time.monotonic() - began

    began = time.monotonic()
    killed = starts = 0
    while True:
        starts += 1
        assert starts < kills + 3, "it makes no progress"
        process = start(*command, "-o", folder / "killed")
        if starts > kills:
            messages = process.communicate(timeout=3600)[1]
            break
        killed += kill_after(process, chance.randrange(0, max(1, 2 * clips // (kills + 1))))
        rows_of(folder / "killed")  # whatever a reader's glob meets is whole
    interrupted_s = time.monotonic() - began
    assert process.returncode in (0, 1), messages

    expected = rows_of(folder / "whole")
    found = rows_of(folder / "killed")
    times = Counter(row["clip_id"] for row in found)
    by_id = {row["clip_id"]: row for row in found}
    same = (
        "source_video",
        "caption",
        "caption_raw",
        "caption_status",
        "error_message",
        "frame_indices",
        "prompt",
    )
    return Outcome(
        entries=len(listed.read_bytes().splitlines()),
        clips=len(expected),
        starts=starts,
        kills=killed,
        rows=len(found),
        distinct=len(times),
        lost=sum(row["clip_id"] not in times for row in expected),
        captioned_twice=sum(number > 1 for number in times.values()),
        unequal=sum(
            any(row[column] != by_id[row["clip_id"]][column] for column in same)
            for row in expected
            if row["clip_id"] in by_id
        ),
        statuses=dict(Counter(row["caption_status"] for row in found)),
        ways_broken=ways,
        uninterrupted_s=round(uninterrupted_s, 1),
        interrupted_s=round(interrupted_s, 1),
    )


def kill_after(process, rows: int) -> bool:
    """Kills once ``rows`` clips were told of on stderr; 0 kills in the preflight. Whether it was still alive."""
    for line in process.stderr:
        told = line.startswith(("truncated ", "empty ", "repetitive ", "error "))
        rows -= told
        if rows <= 0 and (told or rows == 0):
            break
    process.kill()
    process.stderr.read()
    process.communicate()
    return process.returncode == -9


def rows_of(folder: Path) -> list[dict]:
    """All rows of all shards, by nothing of ours."""
    shards = sorted((folder / "rows").glob("*.parquet"))
    return [row for shard in shards for row in pq.read_table(shard).to_pylist()]


def make_list(folder: Path, clips: int, chance: random.Random) -> tuple[Path, int]:
    """A list of so many different clips, each tenth broken in a way of its own, some named twice; and the ways."""
    folder.mkdir()
    broken = broken_files(folder / "broken")
    names = []
    for number in range(clips):
        if number % BROKEN_EVERY == 0:
            original = broken[number // BROKEN_EVERY % len(broken)]
            name = f"{number} {original.name}"
            shutil.copy(original, folder / name)
        elif number % BROKEN_EVERY == 1 and number % 30 == 1:
            name = f"{number} is missing.mp4"
        else:
            name = f"{number} 猫.mp4"
            make_clip(folder / name, chance)
        names.append(name)
    names += chance.sample(names, clips // 20)
    chance.shuffle(names)
    listed = folder / "list.txt"
    listed.write_bytes(b"".join(os.fsencode(name) + b"\n" for name in names))
    return listed, len(broken) + 1


def broken_files(folder: Path) -> list[Path]:
    """One of each way to be broken that is a file's content."""
    files = []
    for name, each in AWKWARD.items():
        if each.outcome in ("open", "decode"):
            (folder / name).mkdir(parents=True)
            source = each.make(folder / name)
            if source.data is None and os.path.isfile(source.source_video):
                files.append(Path(source.source_video))
    return files


def make_clip(path: Path, chance: random.Random) -> None:
    """Half a second of coloured squares, unlike any other clip."""
    noise = np.random.default_rng(chance.getrandbits(63))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(4):
            squares = noise.integers(0, 256, (3, 4, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(squares.repeat(16, 0).repeat(16, 1), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 8)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
