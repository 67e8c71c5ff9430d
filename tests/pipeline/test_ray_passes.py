"""The conductor's passes over clips that lose their workers, without a cluster."""

import dataclasses
from functools import partial

import pytest

from framescribe.dataset.store import RowFolder
from framescribe.errors import DeviceError
from framescribe.pipeline.ray import conductor as conducting
from framescribe.pipeline.ray.clip_list import ClipList
from framescribe.pipeline.ray.job import Spread
from framescribe.types import Clip
from tests.pipeline.test_ray_parts import ROWS, SETTINGS, asked, job_of, listed


@pytest.fixture
def folder(tmp_path):
    folder = RowFolder(tmp_path / "out")
    folder.prepare()
    return folder


SPREAD = Spread(
    workers=2, gpus_per_worker=0, decoders=1, cpus_per_decoder=1, queue_clips=8, task_clips=4, shard_rows=20
)  # fmt: skip


class Passes:
    """Stands for passes over a cluster: each loses the clips that it is told to lose, and writes rows of the rest."""

    def __init__(self, *lost: set[str]) -> None:
        self._lost = iter(lost)
        self.seen: list[tuple[Spread, list[str]]] = []

    def __call__(self, job, spread, clips, frame_bytes, shard, me):
        tasks = [task for part in listed(job.folder, clips) for task, _ in part]
        self.seen.append((spread, [task.clip.source_video for task in tasks]))
        lost = next(self._lost)
        rows = [
            row.to_dict()
            for task in tasks
            if task.clip.source_video not in lost
            for row in ROWS.failed(task, SETTINGS, "generate", "as a stand-in")
        ]
        job.folder.table.append(rows, job.fingerprint, shard)
        yield {"error": len(rows)} if rows else {}


def test_lost_clips_come_again_in_the_end_alone_and_each_has_one_row(folder, captioner, monkeypatch):
    names = [f"{number}.mp4" for number in range(20)]
    passes = Passes({"3.mp4", "4.mp4", "9.mp4"}, {"4.mp4", "9.mp4"}, {"9.mp4"})
    monkeypatch.setattr(conducting, "_rows_written", passes)
    clips = ClipList.write(folder, [(asked(Clip(name)), f"hash of {name}") for name in names], 20, 4)
    statuses = conducting.Conductor().run(job_of(folder, captioner), SPREAD, clips, 1, None)
    alone = dataclasses.replace(SPREAD, queue_clips=1, task_clips=1)
    assert passes.seen == [
        (SPREAD, names), (SPREAD, ["3.mp4", "4.mp4", "9.mp4"]), (alone, ["4.mp4", "9.mp4"]),
    ]  # fmt: skip
    rows = {row["source_video"]: row for row in folder.table.rows()}
    assert sorted(rows) == sorted(names)
    assert folder.table.num_rows() == statuses.total() == 20
    dead = [name for name, row in rows.items() if "the worker died each time" in row["error_message"]]
    assert dead == ["9.mp4"]
    assert rows["9.mp4"]["source_sha256"] == "hash of 9.mp4"


@pytest.mark.parametrize("clips", [16, 17])
def test_a_pass_without_a_row_ends_a_run_of_more_clips_than_workers_hold(
    clips, folder, captioner, monkeypatch
):
    """Fewer may all have been lost with their workers."""
    names = [f"{number}.mp4" for number in range(clips)]
    monkeypatch.setattr(conducting, "_rows_written", Passes(set(names), set()))
    written = ClipList.write(folder, [(asked(Clip(name)), None) for name in names], clips, 4)
    run = partial(conducting.Conductor().run, job_of(folder, captioner), SPREAD, written, 1, None)
    if clips == 16:
        assert run().total() == 16
        return
    with pytest.raises(DeviceError, match="the workers died before any clip had a row"):
        run()
