"""Small files that ask for much: each is an error row, or right, and no worker takes more memory than its limit."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from framescribe.errors import ClipError
from framescribe.types import Clip, FrameSampling
from framescribe.video.decode import decode_frames
from framescribe.video.memory import EXIT_CODE
from framescribe.video.timeline import Timeline, cut
from framescribe.video.worker_process import Worker
from framescribe.video.workers import DecodeWorkers
from tests.video.bombs import BOMBS, flat, small

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what a process takes is read from /proc")

LIMIT_GB = 0.5


def test_there_are_20_of_them():
    assert len(BOMBS) >= 20


@pytest.fixture(scope="module")
def peak_bytes() -> Callable[[Worker], int]:
    def peak_bytes(worker: Worker) -> int:
        status = Path(f"/proc/{worker._process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024  # resident, shared memory among it

    return peak_bytes


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_takes_no_more_than_the_limit(name, tmp_path, peak_bytes):
    path = BOMBS[name](tmp_path)
    idle: list[Worker] = []
    here = psutil.Process().memory_info().rss
    with DecodeWorkers(idle, 240, LIMIT_GB) as run:
        told = None
        try:
            with run.decoded(Clip(str(path)), FrameSampling("chat")) as frames:
                assert frames.pixels.nbytes < LIMIT_GB * 1e9
                assert frames.pixels.ndim == 4
                (worker,) = run._busy
                assert peak_bytes(worker) < LIMIT_GB * 1e9
        except ClipError as error:
            told = error
        if told is not None:
            assert told.stage == "decode"
            assert str(told).startswith(str(path))
            assert "died" not in str(told)
            assert "time-out" not in str(told)
            (worker,) = idle  # it has come through
            assert peak_bytes(worker) < LIMIT_GB * 1e9
    assert psutil.Process().memory_info().rss - here < LIMIT_GB * 1e9
    for worker in idle:
        worker.close()


def test_the_limit_is_told_and_can_be_raised(tmp_path):
    path = flat(tmp_path / "large.mp4", 2048, 2048, count=10)
    clip, sampling = Clip(str(path)), FrameSampling("uniform", 10)
    idle: list[Worker] = []
    with (
        DecodeWorkers(idle, 240, 0.2) as run,
        pytest.raises(ClipError, match=r"more memory than the 0\.2 GB that `decode_memory_gb` allows"),
        run.decoded(clip, sampling),
    ):
        pass
    with DecodeWorkers(idle, 240, 1.0) as run, run.decoded(clip, sampling) as frames:
        assert np.array_equal(frames.pixels, decode_frames(clip, sampling).pixels)
    for worker in idle:
        worker.close()


def test_the_memory_of_a_large_clip_is_given_back(tmp_path):
    large = Clip(str(flat(tmp_path / "large.mp4", 4096, 4096, count=6)))
    small_one = Clip(str(small(tmp_path)))
    sampling = FrameSampling("uniform", 6)
    idle: list[Worker] = []
    with DecodeWorkers(idle, 240) as run:
        with run.decoded(large, sampling) as frames:
            assert frames.pixels.nbytes > 300e6
        assert idle == []
        with run.decoded(small_one, sampling):
            pass
    assert sum(worker.shared_bytes for worker in idle) < 1e6
    for worker in idle:
        worker.close()


def test_elsewhere_a_process_looks_after_itself():
    script = """
import time
import numpy as np
from framescribe.video import memory

memory._IS_HELD_BY_SYSTEM = False
limit = memory.MemoryLimit()
limit.set(400_000_000, 0)
kept = np.ones(150_000_000, np.uint8)
time.sleep(0.2)
print("still here", flush=True)
more = np.ones(400_000_000, np.uint8)
time.sleep(200)
"""
    run = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=False)
    assert (run.returncode, run.stdout) == (EXIT_CODE, b"still here\n")


def test_seconds_of_a_held_picture_are_bounded():
    timeline = Timeline(np.array([0.0, 1.0, 1e12]), 2e12)
    assert len(cut(timeline, Clip("x", 2, 1e12)).numbers) == 10_000
