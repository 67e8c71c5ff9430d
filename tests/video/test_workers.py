"""Decoding in worker processes: the same pixels; a clip that hangs or kills its decoder costs only itself."""

import dataclasses
import io
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest

from framescribe import CaptionSettings, GenerationSettings
from framescribe.errors import ClipError
from framescribe.types import Clip
from framescribe.video.decode import decode_frames, probe
from framescribe.video.worker_process import Worker
from framescribe.video.workers import DecodeWorkers
from tests.awkward import AWKWARD, make
from tests.reference import CLIPS
from tests.video.decoders import HORSE, SAMPLING, answer, own_children, pixels

pytestmark = pytest.mark.usefixtures("earlier_children")


def kill_worker(sent: signal.Signals = signal.SIGSEGV) -> None:
    (worker,) = (child for child in own_children() if child.status() != "zombie")
    worker.send_signal(sent)


def test_awkward_inputs_give_what_they_give_in_this_process(workers, tmp_path):
    for number, name in enumerate(AWKWARD):
        folder = tmp_path / str(number)
        folder.mkdir()
        clip = make(name, folder)
        try:
            wanted = decode_frames(clip, SAMPLING)
        except ClipError as error:
            with (
                pytest.raises(ClipError, match=f"^{re.escape(str(error))}$"),
                workers.decoded(clip, SAMPLING),
            ):
                pass
            continue
        with workers.decoded(clip, SAMPLING) as frames:
            assert np.array_equal(frames.pixels, wanted.pixels), name
            assert (frames.indices, frames.timestamps_s) == (wanted.indices, wanted.timestamps_s)
            assert (frames.covered_s, frames.facts) == (wanted.covered_s, wanted.facts)


def test_whatever_it_is_another_process_decodes_it(workers, tmp_path):
    """Also what exists in this process only, and the caller's file stays open."""
    import fsspec

    content = HORSE.read_bytes()
    with fsspec.open("memory://here/video.mp4", "wb") as file:
        file.write(content)
    wanted = decode_frames(Clip(str(HORSE)), SAMPLING).pixels
    with (
        HORSE.open("rb") as plain,
        tempfile.TemporaryFile() as unlinked,
        (tmp_path / "gone").open("w+b") as gone,
    ):
        unlinked.write(content)
        gone.write(content)
        (tmp_path / "gone").unlink()
        for clip in (
            Clip("plain", data=plain),
            Clip("nameless", data=io.BytesIO(content)),
            Clip("unlinked", data=unlinked),
            Clip("gone", data=gone),
            Clip("memory://here/video.mp4"),
            Clip("bytes", data=content),
        ):
            with workers.decoded(clip, SAMPLING) as frames:
                assert workers._busy
                assert np.array_equal(frames.pixels, wanted), clip
            assert workers.call(probe, clip).facts.num_frames == frames.facts.num_frames
        assert not any(file.closed for file in (plain, unlinked, gone))


def _slow_steps(clip: Clip, seconds: float, count: int) -> Iterator[None]:
    for _ in range(count):
        time.sleep(seconds)
        yield
    return count  # type: ignore[return-value]


def test_the_time_out_of_what_goes_on_is_that_of_a_step():
    idle: list[Worker] = []
    with DecodeWorkers(idle, timeout_s=240) as run:
        assert run.call(_slow_steps, Clip("x"), 0, 1) == 1  # it has started, which may take longer
    with DecodeWorkers(idle, timeout_s=6) as run:
        assert run.call(_slow_steps, Clip("x"), 0.5, 14) == 14
    with DecodeWorkers(idle, timeout_s=2) as run, pytest.raises(ClipError, match="time-out"):
        run.call(_slow_steps, Clip("x"), 3600, 1)


def test_relative_paths_follow_this_process(workers, tmp_path, monkeypatch):
    first = pixels(workers, Clip(str(HORSE)))
    (tmp_path / "same.mp4").symlink_to(HORSE)
    monkeypatch.chdir(tmp_path)
    assert np.array_equal(pixels(workers, Clip("same.mp4")), first)


def test_a_stuck_clip_is_stopped_and_others_go_on(server):
    idle: list[Worker] = []
    horse = Clip(str(HORSE))
    with (
        DecodeWorkers(idle, timeout_s=240) as run,
        run.decoded(horse, SAMPLING),
        run.decoded(horse, SAMPLING),
    ):
        pass  # two of them have started: that takes longer than a clip
    with DecodeWorkers(idle, timeout_s=6) as workers:
        with pytest.raises(
            ClipError, match=rf"{server.url}: stopped after the time-out.*more than 6 s"
        ) as error:
            pixels(workers, Clip(server.url))
        assert error.value.stage == "decode"
        assert len(own_children()) == 1
        assert len(pixels(workers, horse)) == 6
    for worker in idle:
        worker.close()


@pytest.mark.parametrize(("sent", "times"), [(signal.SIGSEGV, 2), (signal.SIGKILL, 9)])
def test_a_worker_that_dies_costs_a_retry(sent, times, server, workers):
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(pixels, workers, Clip(server.url))
        for _ in range(times):
            with server.accept():
                kill_worker(sent)
        server.serve(HORSE.read_bytes())
        assert np.array_equal(found.result(), decode_frames(Clip(str(HORSE)), SAMPLING).pixels)


@pytest.mark.parametrize(
    "sent",
    [
        [signal.SIGSEGV] * 3,
        [signal.SIGKILL, signal.SIGABRT, signal.SIGKILL],
        [signal.SIGKILL] * 10,
    ],
)
def test_a_worker_that_dies_each_time_costs_its_clip(sent, server, workers):
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(pixels, workers, Clip(server.url))
        for each in sent:
            with server.accept():
                kill_worker(each)
        names = ", ".join(each.name for each in sent)
        with pytest.raises(ClipError, match=rf"died each time \({names}\)") as error:
            found.result()
        assert error.value.stage == "decode"
        server.serve(HORSE.read_bytes())
        assert len(pixels(workers, Clip(server.url))) == 6


def test_idle_workers_that_died_cost_nothing(tmp_path):
    idle: list[Worker] = []
    clips = [Clip(str(HORSE)), Clip(str(CLIPS / "vfr-6s.mp4"))]
    with DecodeWorkers(idle, timeout_s=240) as run, ThreadPoolExecutor(4) as pool:
        barrier = threading.Barrier(4)

        def decode(number: int) -> None:
            with run.decoded(clips[number % 2], SAMPLING):
                barrier.wait(240)

        list(pool.map(decode, range(4)))
    assert len(idle) == 4
    for child in own_children():
        child.send_signal(signal.SIGSEGV)  # three such deaths would be the clip's
    psutil.wait_procs(own_children(), timeout=0)
    with DecodeWorkers(idle, timeout_s=240) as run:
        for clip in clips * 3:
            assert np.array_equal(pixels(run, clip), decode_frames(clip, SAMPLING).pixels)
    assert len(idle) == 1
    idle[0].close()


def test_an_interpreter_that_cannot_start_is_told(monkeypatch, workers):
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(ClipError, match="died each time \\(exit code 1, exit code 1, exit code 1\\)"):
        pixels(workers, Clip(str(HORSE)))


def test_a_worker_of_a_run_that_is_over_does_not_serve_the_next(server):
    idle: list[Worker] = []
    with DecodeWorkers(idle, timeout_s=240) as run:
        decoded = run.decoded(Clip(str(HORSE)), SAMPLING)
        decoded.__enter__()
    decoded.__exit__(None, None, None)
    assert idle == []
    assert not own_children()


def test_ctrl_c_is_left_to_the_parent(server, workers):
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(pixels, workers, Clip(server.url))
        with server.accept() as waiting:
            (worker,) = own_children()
            worker.send_signal(signal.SIGINT)
            content = HORSE.read_bytes()
            answer(waiting, content)
            server.serve(content)
        assert len(found.result()) == 6
        assert [child.pid for child in own_children()] == [worker.pid]


def test_leaving_ends_the_work_in_progress(server):
    with ThreadPoolExecutor(1) as pool, DecodeWorkers([], timeout_s=1000) as workers:
        found = pool.submit(pixels, workers, Clip(server.url))
        waiting = server.accept()
    with waiting, pytest.raises(ClipError, match=r"stopped with the run|died"):
        found.result()
    assert not own_children()


def by_id(rows) -> dict:
    return {row.clip_id: dataclasses.replace(row, created_at=None) for row in rows}


@pytest.mark.parametrize("decode_workers", [0, 1, 3])
def test_captions_do_not_depend_on_the_number_of_workers(decode_workers, captioner):
    settings = CaptionSettings(generation=GenerationSettings(max_new_tokens=5))
    clips = [HORSE, Clip(str(HORSE), 1, 3), HORSE.read_bytes(), CLIPS / "vfr-6s.mp4", b"no video"]
    rows = captioner.caption(clips, settings, decode_workers=decode_workers)
    assert by_id(rows) == by_id(captioner.caption(clips, settings))


def test_a_stuck_clip_is_an_error_row(server, captioner):
    settings = CaptionSettings(generation=GenerationSettings(max_new_tokens=3))
    list(captioner.caption([HORSE, Clip(str(HORSE), 1)], settings, decode_workers=2))  # two have started
    rows = list(captioner.caption([server.url, HORSE], settings, decode_timeout_s=6))
    assert {row.source_video: (row.caption_status, row.error_stage) for row in rows} == {
        server.url: ("error", "decode"),
        str(HORSE): ("truncated", None),
    }


@pytest.mark.parametrize("wrong", [{"decode_workers": -1}, {"decode_timeout_s": 0}, {"decode_memory_gb": 0}])
def test_wrong_settings_are_named(wrong, captioner):
    with pytest.raises(ValueError, match=r"-1|above 0, not 0"):
        next(captioner.caption([HORSE], **wrong))
