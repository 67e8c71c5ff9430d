"""Forks of a process with workers: each side gets the frames of its own videos, and leaves the other's alone."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest

from framescribe.types import CaptionSettings, Clip, FrameSampling, GenerationSettings
from framescribe.video.encode import write_mp4
from framescribe.video.worker_process import Worker
from framescribe.video.workers import DecodeWorkers

ONE = FrameSampling("uniform", 1)
LEVELS = (40, 90, 140, 190)


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> list[Clip]:
    """One grey level each."""
    folder = tmp_path_factory.mktemp("levels")
    for level in LEVELS:
        write_mp4(folder / f"{level}.mp4", np.full((2, 3, 32, 32), level, np.uint8), 2)
    return [Clip(str(folder / f"{level}.mp4")) for level in LEVELS]


@pytest.fixture
def idle(clips) -> Iterator[list[Worker]]:
    """Two workers that have been used."""
    idle: list[Worker] = []
    with DecodeWorkers(idle, 240) as run, run.decoded(clips[0], ONE), run.decoded(clips[1], ONE):
        pass
    assert len(idle) == 2
    yield idle
    for worker in idle:
        worker.close()


def count_wrong(idle: list[Worker], clips: list[Clip], number: int, times: int = 30) -> int:
    """How often a clip gives other frames than its own, among ``times``."""
    wrong = 0
    with DecodeWorkers(idle, 240) as run:
        for _ in range(times):
            with run.decoded(clips[number], ONE) as frames:
                wrong += abs(float(frames.pixels.mean()) - LEVELS[number]) > 6
    return wrong


def in_fork(function: Callable[[], int]) -> Callable[[], int]:
    """Calls a function in a fork, which then ends as an interpreter does; gives what waits for its exit code."""
    child = os.fork()
    if child == 0:
        try:
            code = function()
        except BaseException:  # noqa: BLE001 - an exit code, as in any other process
            code = 99
        sys.stdout.flush()
        os._exit(code)
    return lambda: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_idle_workers_serve_one_side_only(idle, clips):
    children = [in_fork(lambda number=number: count_wrong(idle, clips, number)) for number in (1, 2)]
    assert count_wrong(idle, clips, 0) == 0
    assert [child() for child in children] == [0, 0]
    assert len(idle) == 2


def test_busy_workers_serve_one_side_only(idle, clips):
    with DecodeWorkers(idle, 240) as run, ThreadPoolExecutor(2) as pool:
        stop = threading.Event()

        def decode(number: int) -> int:
            wrong = 0
            while not stop.is_set():
                with run.decoded(clips[number], ONE) as frames:
                    wrong += abs(float(frames.pixels.mean()) - LEVELS[number]) > 6
            return wrong

        found = [pool.submit(decode, number) for number in (0, 1)]
        codes = [in_fork(lambda number=number: count_wrong(idle, clips, number))() for number in (2, 3, 2)]
        stop.set()
        assert [one.result() for one in found] == [0, 0]
    assert codes == [0, 0, 0]


def test_the_same_run_goes_on_in_a_fork(idle, clips):
    """A run that the child found open: neither its lock, which a thread may hold, nor its workers are the child's."""
    with DecodeWorkers(idle, 240) as run:

        def decode() -> int:
            with run.decoded(clips[2], ONE) as frames:
                return int(abs(float(frames.pixels.mean()) - LEVELS[2]) > 6)

        with run._lock:
            child = in_fork(decode)
        with run.decoded(clips[0], ONE) as frames:
            assert abs(float(frames.pixels.mean()) - LEVELS[0]) < 6
        assert child() == 0


def test_pixels_that_a_fork_has_seen_stay_as_they_are(idle, clips):
    parent_end, child_end = multiprocessing.Pipe()
    with DecodeWorkers(idle, 240) as run:
        with run.decoded(clips[0], ONE) as frames:

            def look_later() -> int:
                child_end.recv()
                return int(abs(float(frames.pixels.mean()) - LEVELS[0]) > 6)

            child = in_fork(look_later)
        assert count_wrong(idle, clips, 3, times=3) == 0
        parent_end.send(None)
        assert child() == 0


def test_a_fork_that_ends_leaves_the_parents_workers_alone(idle, clips, tmp_path):
    """It ends as an interpreter does, with its finalizers."""
    script = tmp_path / "script.py"
    script.write_text(
        """
import os, sys
from framescribe.types import Clip, FrameSampling
from framescribe.video.workers import DecodeWorkers

idle, one = [], FrameSampling("uniform", 1)
with DecodeWorkers(idle, 240) as run, run.decoded(Clip(sys.argv[1]), one):
    pass
folders = os.listdir(os.environ["TMPDIR"])
if (child := os.fork()) == 0:
    sys.exit(0)
os.waitpid(child, 0)
assert os.listdir(os.environ["TMPDIR"]) == folders != []
pid = idle[0]._process.pid
with DecodeWorkers(idle, 240) as run, run.decoded(Clip(sys.argv[1]), one):
    pass
assert [worker._process.pid for worker in idle] == [pid]
"""
    )
    (tmp_path / "tmp").mkdir()
    environment = os.environ | {"TMPDIR": str(tmp_path / "tmp")}
    subprocess.run([sys.executable, str(script), clips[0].source_video], env=environment, check=True)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_workers_end_with_their_parent_though_a_fork_lives_on(clips, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        """
import os, signal, sys
from framescribe.types import Clip, FrameSampling
from framescribe.video.workers import DecodeWorkers

idle = []
with DecodeWorkers(idle, 240) as run, run.decoded(Clip(sys.argv[1]), FrameSampling("uniform", 1)):
    pass
if (child := os.fork()) == 0:
    os.close(1)  # what the test reads to its end
    signal.pause()
print(child, idle[0]._process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    (tmp_path / "tmp").mkdir()
    environment = os.environ | {"TMPDIR": str(tmp_path / "tmp")}
    run = subprocess.run(
        [sys.executable, str(script), clips[0].source_video],
        env=environment,
        stdout=subprocess.PIPE,
        check=False,
    )
    child, worker = map(int, run.stdout.split())
    try:
        _, alive = psutil.wait_procs(
            [psutil.Process(worker)] if psutil.pid_exists(worker) else [], timeout=240
        )
        assert alive == []
        assert psutil.pid_exists(child)
        assert list((tmp_path / "tmp").iterdir()) == []
    finally:
        os.kill(child, signal.SIGKILL)


def _in_pool(number: int) -> int:
    return count_wrong(_SEEN_BY_FORKS, _CLIPS, number, times=10)


_SEEN_BY_FORKS: list[Worker] = []
_CLIPS: list[Clip] = []


def test_forks_of_multiprocessing(idle, clips):
    _SEEN_BY_FORKS[:], _CLIPS[:] = idle, clips
    try:
        with multiprocessing.get_context("fork").Pool(2) as pool:
            found = pool.map_async(_in_pool, [0, 1, 2, 3])
            assert count_wrong(idle, clips, 0) == 0
            assert found.get(240) == [0, 0, 0, 0]
    finally:
        _SEEN_BY_FORKS.clear()


def test_captions_in_a_fork(captioner, clips, tmp_path):
    """Through the front door, whose idle workers the fork finds."""
    settings = CaptionSettings(sampling=ONE, generation=GenerationSettings(max_new_tokens=1))
    list(captioner.caption(clips, settings, decode_workers=2))

    def decode() -> int:
        with DecodeWorkers(captioner.decoders.idle, 240) as run, run.decoded(clips[3], ONE) as frames:
            return int(abs(float(frames.pixels.mean()) - LEVELS[3]) > 6)

    child = in_fork(decode)
    rows = list(captioner.caption(clips, settings, decode_workers=2))
    assert [row.caption_status for row in rows] == ["truncated"] * 4
    assert child() == 0
