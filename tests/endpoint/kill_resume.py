"""Kills ``framescribe caption --endpoint`` again and again, while the server fails one request of five.

Shared by the test (few clips) and ``benchmarks/endpoint_kills.py`` (many).
"""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from framescribe.video.encode import write_mp4
from tests.cli.run import COMMAND
from tests.endpoint.server import FAULTS, FakeServer
from tests.pipeline.kill_resume import rows_of

FAULTY_SHARE = 0.2


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        clips: how many there are.
        starts, kills: of the command; the kills that met it alive.
        rows: in all shards.
        lost, captioned_twice, wrong: clips without a row, with more than one, with another caption or status than in a
            run through a server without faults.
        statuses: of the rows.
        requests: that the server had, those of killed runs among them.
        faults: that it met them with.
        interrupted_s: wall time of all runs.
    """

    clips: int
    starts: int
    kills: int
    rows: int
    lost: int
    captioned_twice: int
    wrong: int
    statuses: dict[str, int]
    requests: int
    faults: dict[str, int]
    interrupted_s: float


def make_clips(folder: Path, count: int) -> None:
    """Tiny clips that differ."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        colours = np.random.default_rng(number).integers(0, 256, (4, 3, 1, 1)).astype(np.uint8)
        write_mp4(folder / f"{number}.mp4", np.broadcast_to(colours, (4, 3, 16, 16)), fps=2)


def start(videos: Path, out: Path, url: str, rows_per_shard: int = 4) -> subprocess.Popen[str]:
    command = [
        COMMAND, "caption", videos, "-o", out, "--endpoint", url, "--frames", "2", "--strategy", "uniform",
        "--shard-rows", rows_per_shard,
    ]  # fmt: skip
    return subprocess.Popen(
        list(map(str, command)),
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def kill_and_resume(folder: Path, clips: int, kills: int, seed: int, rows_per_shard: int) -> Outcome:
    """Captions clips with ``kills`` kills at random moments of progress."""
    chance = random.Random(seed)
    make_clips(folder / "clips", clips)
    with FakeServer(keeps_bodies=False) as well:
        whole = start(folder / "clips", folder / "whole", well.url, rows_per_shard)
        messages = whole.communicate(timeout=3600)[1]
        assert whole.returncode == 0, messages

    def fault(number: int, body: dict) -> str | None:
        return chance.choice(FAULTS) if chance.random() < FAULTY_SHARE else None

    began = time.monotonic()
    killed = starts = 0
    with FakeServer(fault, keeps_bodies=False) as server:
        while True:
            starts += 1
            assert starts < kills + 3, "it makes no progress"
            process = start(folder / "clips", folder / "killed", server.url, rows_per_shard)
            if starts > kills:
                messages = process.communicate(timeout=3600)[1]
                break
            enough = server.requests + chance.randrange(1, max(2, 2 * clips // (kills + 1)))
            wait_until(lambda enough=enough: server.requests >= enough, process)
            process.kill()
            process.communicate()
            killed += process.returncode == -signal.SIGKILL
            rows_of(folder / "killed")  # whatever a reader's glob meets is whole
    assert process.returncode in (0, 1), messages
    expected = {row["clip_id"]: row for row in rows_of(folder / "whole")}
    found = rows_of(folder / "killed")
    times = Counter(row["clip_id"] for row in found)
    return Outcome(
        clips=len(expected),
        starts=starts,
        kills=killed,
        rows=len(found),
        lost=len(expected.keys() - times.keys()),
        captioned_twice=sum(number > 1 for number in times.values()),
        wrong=sum(
            (row["caption"], row["caption_status"]) != (of["caption"], of["caption_status"])
            for row in found
            if (of := expected[row["clip_id"]])
        ),
        statuses=dict(Counter(row["caption_status"] for row in found)),
        requests=server.requests,
        faults=dict(server.faults),
        interrupted_s=round(time.monotonic() - began, 1),
    )


def wait_until(is_so: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Returns once something is so, or the process is over."""
    while not is_so() and process.poll() is None:
        time.sleep(0.005)
