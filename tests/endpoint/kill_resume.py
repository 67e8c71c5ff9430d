"""Kills ``framescribe caption --endpoint`` again and again, while the server fails one request of five.

Shared by the test (few clips) and ``benchmarks/endpoint_kills.py`` (many).
"""

from __future__ import annotations

import random
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import numpy as np

from framescribe.video.encode import write_mp4
from tests.cli.run import COMMAND
from tests.endpoint.server import FAULTS, FakeServer
from tests.pipeline.kill_resume import rows_of

FAULTY_SHARE = 0.2
ANSWERED = re.compile(r"framescribe_requests_total\{")


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        clips: how many there are.
        starts, kills: of the command; the kills that met it alive.
        rows: in all shards.
        captions: how many of the expected ones are different.
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
    captions: int
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
        "--shard-rows", rows_per_shard, "--max-new-tokens", "12", "--no-repair",
    ]  # fmt: skip
    return subprocess.Popen(
        list(map(str, command)),
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def kill_and_resume(
    folder: Path, clips: int, kills: int, seed: int, rows_per_shard: int, own_model: str | None = None
) -> Outcome:
    """Captions clips with ``kills`` kills at random moments of progress.

    Args:
        folder: for clips and rows.
        clips: how many.
        kills: of the command.
        seed: of the moments and faults.
        rows_per_shard: of its folder.
        own_model: with a name ``framescribe serve`` of this model is asked; without one, the server that fails.
    """
    chance = random.Random(seed)
    make_clips(folder / "clips", clips)

    def fault(number: int, body: dict) -> str | None:
        return chance.choice(FAULTS) if chance.random() < FAULTY_SHARE else None

    with FakeServer(keeps_bodies=False) if own_model is None else OwnServer(own_model) as well:
        whole = start(folder / "clips", folder / "whole", well.url, rows_per_shard)
        messages = whole.communicate(timeout=3600)[1]
        assert whole.returncode == 0, messages
        before, began = well.requests, time.monotonic()
        with FakeServer(fault, keeps_bodies=False) if own_model is None else nullcontext(well) as server:
            killed = _kill_often(folder, server, clips, kills, chance, rows_per_shard)
            requests, faults = server.requests, dict(server.faults)
            requests -= before if server is well else 0
        interrupted_s = time.monotonic() - began
    expected = {row["clip_id"]: row for row in rows_of(folder / "whole")}
    found = rows_of(folder / "killed")
    times = Counter(row["clip_id"] for row in found)
    return Outcome(
        clips=len(expected),
        starts=kills + 1,
        kills=killed,
        rows=len(found),
        lost=len(expected.keys() - times.keys()),
        captions=len({row["caption"] for row in expected.values()}),
        captioned_twice=sum(number > 1 for number in times.values()),
        wrong=sum(
            any(row[name] != expected[row["clip_id"]][name] for name in ("caption", "caption_status"))
            for row in found
        ),
        statuses=dict(Counter(row["caption_status"] for row in found)),
        requests=requests,
        faults=faults,
        interrupted_s=round(interrupted_s, 1),
    )


def _kill_often(
    folder: Path, server: FakeServer | OwnServer, clips: int, kills: int, chance: random.Random, shard: int
) -> int:
    """Runs the command until it is through; says how many kills met it alive."""
    killed = 0
    for _ in range(kills):
        process = start(folder / "clips", folder / "killed", server.url, shard)
        enough = server.requests + chance.randrange(1, max(2, 2 * clips // (kills + 1)))
        server.holds_after = enough  # so that it is at work when the kill comes
        wait_until(lambda enough=enough: server.requests >= enough, process, server.looked_at_every_s)
        process.kill()
        process.communicate()
        server.holds_after = None
        killed += process.returncode == -signal.SIGKILL
        rows_of(folder / "killed")  # whatever a reader's glob meets is whole
    process = start(folder / "clips", folder / "killed", server.url, shard)
    messages = process.communicate(timeout=3600)[1]
    assert process.returncode in (0, 1), messages
    return killed


class OwnServer:
    """``framescribe serve``, on a free port."""

    holds_after: int | None = None  # which it does not
    looked_at_every_s = 0.2  # each look is a request, which takes time from the answers

    def __init__(self, model: str) -> None:
        self._model = model
        self.faults: Counter[str] = Counter()

    def __enter__(self) -> OwnServer:
        command = [COMMAND, "serve", "--model", self._model, "--device", "cpu", "--port", "0"]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.url = next(line for line in self._process.stdout if "://" in line).split()[-1]
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.wait()

    @property
    def requests(self) -> int:
        """Chat completions that it has answered, by its metrics."""
        with urlopen(self.url.removesuffix("/v1") + "/metrics") as response:
            lines = response.read().decode().splitlines()
        return sum(int(float(line.split()[-1])) for line in lines if ANSWERED.match(line))


def wait_until(is_so: Callable[[], bool], process: subprocess.Popen[str], every_s: float = 0.005) -> None:
    """Returns once something is so, or the process is over."""
    while not is_so() and process.poll() is None:
        time.sleep(every_s)
