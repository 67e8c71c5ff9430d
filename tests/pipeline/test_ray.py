"""Runs on Ray, on a cluster of this host: the same rows as here, whatever dies. Most need the extra: ``-m ray``."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import threading
import time
import urllib.request
from collections import Counter
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import psutil
import pytest

from framescribe.dataset.store import RowFolder
from framescribe.distinct import Distinct
from framescribe.errors import DeviceError
from framescribe.model_spec import ModelSpec
from framescribe.pipeline.caption_run import CaptionRun, Ray
from framescribe.pipeline.lists import read_list
from framescribe.pipeline.ray.clip_list import ClipList
from framescribe.pipeline.ray.cluster import connected, look_at_model
from framescribe.pipeline.ray.job import Job, Spread, pretrained
from framescribe.pipeline.ray.run import ClusterRun, spread_over
from framescribe.pipeline.ray.telemetry import WorkerReport
from framescribe.rows import RowMaker
from framescribe.task import ClipTask
from framescribe.types import CaptionSettings, Clip, GenerationSettings
from tests.cli.run import start
from tests.pipeline.kill_resume import make_list, rows_of

WHEN = ("created_at",)
QUICK = ("--model", "tiny", "--device", "cpu", "--max-new-tokens", "6", "--batch-size", "4", "--no-repair")
ON_RAY = ("--ray", "--ray-workers", "2", "--decode-workers", "1")
ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}


def run(*arguments: object) -> tuple[int, str]:
    process = start("caption", *arguments, env=ONE_THREAD)
    messages = process.communicate(timeout=900)[1]
    return process.returncode, messages


def timeless(folder: Path) -> dict[str, dict]:
    """Rows by clip, without when they were made; each clip has one."""
    rows = rows_of(folder)
    assert not [clip for clip, times in Counter(row["clip_id"] for row in rows).items() if times > 1]
    return {row["clip_id"]: {key: row[key] for key in row if key not in WHEN} for row in rows}


@pytest.mark.ray
@pytest.mark.parametrize("workers", [1, 2])
def test_rows_are_those_of_a_local_run(workers, tmp_path):
    listed, _ = make_list(tmp_path / "clips", 300, random.Random(0))
    code, messages = run(listed, "-o", tmp_path / "here", *QUICK)
    assert code == 1, messages
    options = ("--ray", "--ray-workers", workers, "--shard-rows", 50)
    code, messages = run(listed, "-o", tmp_path / "ray", *QUICK, *options)
    assert code == 1, messages
    here, there = timeless(tmp_path / "here"), timeless(tmp_path / "ray")
    assert len(here) == 300
    assert there == here
    assert sum(row["caption_status"] == "error" for row in there.values()) >= 30
    assert len({row["caption"] for row in there.values()}) > 20  # else equal says little
    assert sorted(os.listdir(tmp_path / "ray")) == ["_lock", "_run.json", "rows"]
    assert len(list((tmp_path / "ray" / "rows").iterdir())) >= 6


@pytest.mark.ray
@pytest.mark.parametrize(("first", "then"), [(ON_RAY, ()), ((), ON_RAY)])
def test_stopped_there_and_finished_here_and_the_other_way_round(first, then, tmp_path):
    listed, _ = make_list(tmp_path / "clips", 120, random.Random(1))
    run(listed, "-o", tmp_path / "whole", *QUICK)
    command = (listed, "-o", tmp_path / "out", *QUICK, "--shard-rows", 8)
    process = start("caption", *command, *first, env=ONE_THREAD)
    shards = tmp_path / "out" / "rows"
    until(lambda: shards.exists() and len(list(shards.glob("*.parquet"))) >= 3)
    all_of_it = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    psutil.wait_procs(all_of_it, timeout=60)  # they end with what was killed
    before = len(timeless(tmp_path / "out"))
    assert before < 120
    code, messages = run(*command, *then)
    assert f"{before} done, {120 - before} to caption" in messages
    assert code == 1
    assert timeless(tmp_path / "out") == timeless(tmp_path / "whole")


def tiny_job(folder: RowFolder, listed: Path, changed, slice_clips: int = 1) -> tuple[Job, ClipList, int]:
    """As the command with ``QUICK`` would run it, with a changed captioner; its clips, and a frame's bytes."""
    spec = ModelSpec("tiny", device="cpu", dtype="fp32")
    facts = look_at_model(spec, 0)
    rows = RowMaker("tiny", facts.revision, facts.precision)
    captioner, preparer = pretrained(spec, rows, 4)
    settings = CaptionSettings(generation=GenerationSettings(max_new_tokens=6))
    job = Job(partial(changed, captioner), preparer, rows, settings, folder.root, "test", 0, os.getcwd())
    different = Distinct(read_list(str(listed)))
    clips = [(ClipTask.of(clip, [settings.prompt]), None) for clip in different]
    return job, ClipList.write(folder, clips, len(clips), slice_clips), facts.frame_bytes


def plain(device: str, batch_size: int | None = 4, **options) -> CaptionRun:
    """A run into some folder."""
    model = ModelSpec("tiny", device=device)
    return CaptionRun(
        sources=("x",), output="out", model=model, batch_size=batch_size, executor=Ray(), **options
    )


class Changed:
    """A captioner with something done to its session."""

    def __init__(self, captioner, change) -> None:
        self._captioner, self._change = captioner, change
        self.checkpoint = captioner.checkpoint

    def session(self, settings, beside):
        session = self._captioner.session(settings, beside)
        self._change(session)
        return session


def deadly(source: str, captioner) -> Changed:
    """Kills its process when it meets a clip."""

    def change(session) -> None:
        add = session.add

        def kill_or_add(prepared) -> None:
            if prepared.task.clip.source_video == source:
                os.kill(os.getpid(), signal.SIGKILL)
            add(prepared)

        session.add = kill_or_add

    return Changed(captioner(), change)


@pytest.mark.ray
def test_workers_that_die_cost_no_clip_and_a_deadly_clip_is_one_error(tmp_path):
    listed, _ = make_list(tmp_path / "clips", 300, random.Random(2))
    run(listed, "-o", tmp_path / "whole", *QUICK)
    whole = timeless(tmp_path / "whole")
    victim = next(row["source_video"] for row in whole.values() if row["caption_status"] == "truncated")
    folder = RowFolder(tmp_path / "out")
    folder.prepare()
    spread = Spread(
        workers=2,
        gpus_per_worker=0,
        decoders=1,
        cpus_per_decoder=1,
        queue_clips=8,
        task_clips=4,
        shard_rows=20,
    )
    end = threading.Event()
    killed: list[str] = []
    killer = threading.Thread(target=kill_now_and_then, args=(end, killed))
    with connected("local"):
        job, clips, frame_bytes = tiny_job(folder, listed, partial(deadly, victim), 4)
        running = ClusterRun(job, spread, clips, frame_bytes)
        killer.start()
        try:
            notes = [problem for progress in running for problem in progress.problems]
        finally:
            end.set()
            killer.join()
            running.stop()
    print(f"{len(killed)} workers killed: {Counter(killed)}; {[note for note in notes if 'lost' in note]}")
    assert len(killed) >= 5
    out = timeless(tmp_path / "out")
    assert running.written.total() == 300
    different = {row["source_video"] for clip_id, row in out.items() if row != whole[clip_id]}
    assert different == {victim}
    error = next(row for row in out.values() if row["source_video"] == victim)
    assert (error["caption_status"], error["error_stage"]) == ("error", "generate")
    assert "the worker died each time" in error["error_message"]


def kill_now_and_then(end: threading.Event, killed: list[str], period_s: float = 7.0) -> None:
    chance = random.Random(0)
    while not end.wait(period_s):
        if living := processes_of_ray("MapWorker"):
            worker = chance.choice(living)
            with contextlib.suppress(psutil.Error):
                killed.append("".join(worker.cmdline()))
                worker.kill()


@pytest.mark.ray
@pytest.mark.parametrize("is_told", [True, False])
def test_a_host_that_leaves_costs_no_clip(is_told, tmp_path, monkeypatch):
    """Of two hosts with a GPU each one leaves, with clips in its worker; the GPU that is left does them all."""
    monkeypatch.setattr("framescribe.pipeline.ray.run._STALL_S", 120.0)
    listed, _ = make_list(tmp_path / "clips", 60, random.Random(3))
    run(listed, "-o", tmp_path / "whole", *QUICK)
    folder = RowFolder(tmp_path / "out")
    folder.prepare()
    with cluster_of_two() as (there, leaving), connected(there.address) as seen:
        assert (seen.hosts, seen.gpus) == (3, 2)
        job, clips, frame_bytes = tiny_job(folder, listed, partial(stuck_on, leaving.node_id))
        spread = spread_over(seen, plain("cuda", rows_per_shard=8), Ray())
        running = ClusterRun(job, spread, clips, frame_bytes)
        try:
            for progress in running:
                print(progress)
                has_begun = len(progress.busy) == 2 and progress.statuses.total() > 8
                if has_begun and leaving in there.worker_nodes:
                    (conductor,) = processes_of_ray("Conductor")
                    assert conductor.ppid() == there.head_node.all_processes["raylet"][0].process.pid
                    there.remove_node(leaving, allow_graceful=is_told)
        finally:
            running.stop()
    assert leaving not in there.worker_nodes
    assert running.written.total() == 60
    assert timeless(tmp_path / "out") == timeless(tmp_path / "whole")


@pytest.mark.ray
def test_a_run_whose_conductor_is_gone_ends_and_says_so(tmp_path):
    listed, _ = make_list(tmp_path / "clips", 10, random.Random(4))
    folder = RowFolder(tmp_path / "out")
    folder.prepare()
    with connected("local") as seen:
        job, clips, frame_bytes = tiny_job(folder, listed, lambda captioner: captioner())
        running = ClusterRun(job, spread_over(seen, plain("cpu", batch_size=None), Ray()), clips, frame_bytes)
        running.stop()
        with pytest.raises(DeviceError, match="the cluster lost the run"):
            list(running)


@contextlib.contextmanager
def cluster_of_two():
    """A head without CPUs, as in ``examples/ray``, and two hosts with a GPU each (in name); the second may leave."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        hosts = [cluster.add_node(num_cpus=2, num_gpus=1) for _ in range(2)]
        yield cluster, hosts[-1]
    finally:
        cluster.shutdown()


def stuck_on(host: str, captioner):
    """On one host it gives its first rows, and then takes clips only."""
    import ray

    def change(session) -> None:
        step, given = session.step, []

        def step_or_hang():
            if given:
                threading.Event().wait()
            given.extend(rows := step())
            return rows

        session.step = step_or_hang

    return Changed(captioner(), change) if ray.get_runtime_context().get_node_id() == host else captioner()


@pytest.mark.ray
def test_a_worker_whose_device_fails_is_replaced(tmp_path):
    listed, _ = make_list(tmp_path / "clips", 30, random.Random(5))
    run(listed, "-o", tmp_path / "whole", *QUICK)
    folder = RowFolder(tmp_path / "out")
    folder.prepare()
    with connected("local") as seen:
        job, clips, frame_bytes = tiny_job(folder, listed, partial(failing, tmp_path / "failed"))
        running = ClusterRun(job, spread_over(seen, plain("cpu"), Ray()), clips, frame_bytes)
        for progress in running:
            print(progress)
        running.stop()
    assert (tmp_path / "failed").exists()
    assert timeless(tmp_path / "out") == timeless(tmp_path / "whole")


def failing(marker: Path, captioner) -> Changed:
    """Its device fails once, with clips in the engine."""

    def change(session) -> None:
        step = session.step

        def step_or_fail():
            if not marker.exists() and len(session) > 1:
                marker.touch()
                raise DeviceError("the device is gone")
            return step()

        session.step = step_or_fail

    return Changed(captioner(), change)


def processes_of_ray(kind: str) -> list[psutil.Process]:
    """Processes that run so named actors, of this process's cluster only."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "".join(process.cmdline()).startswith(f"ray::{kind}"):
                found.append(process)
    return found


def until(is_so, timeout_s: float = 240.0) -> None:
    end = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


@pytest.mark.ray
def test_metrics_have_the_names_that_the_page_gives():
    pytest.importorskip("opentelemetry.exporter.prometheus", reason="needs ray[default]")
    import ray

    page = Path(__file__).parents[2] / "docs" / "scale.md"
    names = set(re.findall(r"ray_framescribe_\w+", page.read_text(encoding="utf-8")))
    with connected("local"):
        report = WorkerReport(Mock(), Mock(clips=3, busy_s=0.0))
        report.add(
            RowMaker("m", "r", "fp32").failed(
                ClipTask.of(Clip("a.mp4"), ["?"]), CaptionSettings(), "open", "no such file"
            )
        )
        endpoint = f"http://127.0.0.1:{ray.nodes()[0]['MetricsExportPort']}/metrics"

        def told() -> set[str]:
            with urllib.request.urlopen(endpoint, timeout=10) as answer:
                return set(re.findall(r"^ray_framescribe_\w+", answer.read().decode(), re.MULTILINE))

        until(lambda: len(told()) >= len(names))
        assert told() == names
