"""What runs on a cluster's hosts, piece by piece and without a cluster."""

import dataclasses
import hashlib
import io
import os
import pickle
import sys
import tarfile
import threading
import types

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from framescribe.caption_row import CaptionRow
from framescribe.dataset.store import RowFolder
from framescribe.errors import DeviceError, UsageError
from framescribe.feature_row import FeatureRow
from framescribe.pipeline.ray.clip_list import ClipList
from framescribe.pipeline.ray.conductor import _without_row
from framescribe.pipeline.ray.feeder import EngineFailure, Feeder
from framescribe.pipeline.ray.job import Job
from framescribe.pipeline.ray.plain import read_row, row_text, side_text, task_text
from framescribe.pipeline.ray.stages import CaptionStage, PrepareStage, write_shard
from framescribe.pipeline.sources import expand_sources
from framescribe.rows import RowMaker
from framescribe.task import ClipTask
from framescribe.types import CaptionSettings, Clip, GenerationSettings
from framescribe.video.source import open_source
from tests.dataset.test_damage import flip, outcome
from tests.dataset.test_row_file import ERROR, UNDECODABLE, row
from tests.reference import CLIPS

SHORT, ONE = CLIPS / "short-half-second.mp4", CLIPS / "one-frame.mp4"
SETTINGS = CaptionSettings(generation=GenerationSettings(max_new_tokens=4))


def asked(clip: Clip, *prompts: str) -> ClipTask:
    return ClipTask.of(clip, prompts or [SETTINGS.prompt])


@pytest.fixture
def folder(tmp_path):
    folder = RowFolder(tmp_path / "out")
    folder.prepare()
    return folder


def listed(folder, written: ClipList) -> list[list]:
    return [list(ClipList.read(folder, number)) for number in range(written.slices)]


def test_clips_are_listed_in_slices(folder):
    tasks = [asked(Clip("a.mp4")), asked(Clip("b.mp4"), "Who?", "Where?"), asked(Clip("a.mp4", 1.0))]
    written = ClipList.write(folder, ((task, None) for task in tasks), 3, 2)
    assert (written.clips, written.rows, written.slices) == (3, 4, 2)
    assert [[task for task, _ in part] for part in listed(folder, written)] == [tasks[:2], tasks[2:]]


def test_clips_arrive_as_they_were(folder, tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, path in (("same.mp4", SHORT), ("same.mp4", ONE)):
            tar.add(path, name)
    with pa.OSFile(str(tmp_path / "videos.parquet"), "wb") as file:
        videos = pa.table({"video": [{"bytes": SHORT.read_bytes(), "path": "a.mp4"}]})
        pq.write_table(videos, file)
    found = [
        *expand_sources([str(tmp_path / "a.tar"), str(tmp_path / "videos.parquet")]),
        Clip(UNDECODABLE, 0.1, 2.5, prompt="Why?\n"), Clip("x", problem="no\u2028such\x00line"),
        Clip("c.mp4", given_id="é"),
    ]  # fmt: skip
    assert len(found) >= 5
    written = ClipList.write(
        folder, [(asked(clip), f"{place}") for place, clip in enumerate(found)], len(found), 100
    )
    ((*entries,),) = listed(folder, written)
    assert [task for task, _ in entries] == list(map(asked, found))
    assert [sha256 for _, sha256 in entries] == [str(place) for place in range(len(found))]
    for (task, _), sent in zip(entries, found, strict=True):
        if sent.data is not None:
            with open_source(task.clip) as there, open_source(sent) as here:
                assert there.read() == here.read()


def test_a_damaged_list_is_refused_or_read_as_it_was(folder):
    """Every byte of its pages, whose checksums the format has."""
    names = [hashlib.sha512(bytes([number])).hexdigest() for number in range(3)]
    entries = [(asked(Clip(f"{name}.mp4")), None) for name in names]
    ClipList.write(folder, entries, 3, 3)
    refused = 0
    with open(folder.path("_todo.parquet"), "r+b") as file:
        content = file.read()
        pages = len(content) - int.from_bytes(content[-8:-4], "little") - 8
        for place in range(4, pages):
            file.seek(0)
            file.write(flip(content, 8 * place + place % 8))
            file.flush()
            found = outcome(lambda: ClipList.read(folder, 0))
            assert found == entries or "_todo.parquet is damaged" in found
            refused += found != entries
    assert refused > 100


def test_a_clip_in_memory_cannot_be_sent():
    for data in (b"video", io.BytesIO(b"video")):
        with pytest.raises(UsageError, match=r"a\.mp4: is in memory here"):
            task_text(asked(Clip("a.mp4", data=data)))


class Touch:
    """What a stranger who can write to the bucket would lay there."""

    def __init__(self, path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def listed_as(source: str, *more: str) -> bytes:
    return ("{" + ", ".join(['"questions": [[0, "?"]]', f'"source_video": {source}', *more]) + "}").encode()


@pytest.mark.parametrize(
    "content",
    [
        b"\x80", b"{}", b"[]", b"null", listed_as("5"), listed_as('"a"', '"shell": "x"'),
        listed_as('"a"', '"start_s": -1'),
        listed_as('"a"', '"member": ["os.system", "touch x"]'), listed_as('"a"', '"member": ["tar"]'),
        listed_as('"a"', '"member": ["tar", "a", 5, [["x"]]]'), b"[" * 99_999, b'{"source_video": "a"}',
        b'{"questions": 5, "source_video": "a"}', b'{"questions": [[0]], "source_video": "a"}',
    ],
)  # fmt: skip
def test_a_list_that_others_wrote_runs_nothing(folder, tmp_path, content):
    for payload in (content, pickle.dumps(Touch(tmp_path / "touched"))):
        table = pa.table(
            {"clip": pa.array([payload], pa.binary()), "source_sha256": pa.array([None], pa.string())}
        )
        pq.write_table(table, folder.path("_todo.parquet"))
        with pytest.raises(UsageError, match=r"_todo\.parquet is damaged"):
            list(ClipList.read(folder, 0))
    assert not (tmp_path / "touched").exists()


def test_no_part_unpickles():
    from framescribe.pipeline import ray

    for root, _, names in os.walk(os.path.dirname(os.path.dirname(ray.__file__))):
        for name in names:
            if name.endswith(".py"):
                with open(os.path.join(root, name), encoding="utf-8") as file:
                    assert "pickle" not in file.read(), name


def test_rows_arrive_as_they_were():
    for each in (row(0, flags=("opener",), repairs=("x",)), row(1, source_video=UNDECODABLE, **ERROR)):
        assert read_row(row_text(each)) == each


class Session:
    """Captions a clip with its own name, or raises what it is told to."""

    def __init__(self, rows: RowMaker, failure: Exception | None = None, wait_for: int = 1) -> None:
        self._rows, self._failure, self._wait_for = rows, failure, wait_for
        self._clips: list = []
        self.closed = False

    def __len__(self) -> int:
        return len(self._clips)

    def upload(self, prepared):
        return prepared

    def add(self, prepared) -> None:
        if prepared.task.clip.source_video.endswith("refused.mp4"):
            raise ValueError("not this one")
        self._clips.append(prepared.task)

    def step(self):
        if len(self._clips) < self._wait_for:
            return []
        if self._failure is not None:
            raise self._failure
        done = [self._rows.failed(task, SETTINGS, "generate", "as a stand-in") for task in self._clips]
        self._clips.clear()
        return [row for rows in done for row in rows]

    def close(self) -> None:
        self._clips.clear()
        self.closed = True


ROWS = RowMaker("m", "r", "fp32")


def ready(name: str):
    return types.SimpleNamespace(task=asked(Clip(name)))


def source(result) -> str:
    """Of the clip whose rows these are; an exception's message."""
    return result[0].source_video if isinstance(result, list) else str(result)


def test_the_feeder_gives_rows_in_the_order_that_was_asked_for():
    feeder = Feeder(Session(ROWS))
    results = feeder.caption([ready("a.mp4"), ready("refused.mp4"), ready("b.mp4")])
    assert list(map(source, results)) == ["a.mp4", "not this one", "b.mp4"]
    assert feeder.clips == 0


@pytest.mark.parametrize(
    ("failure", "clips", "is_of_one_clip"),
    [
        (RuntimeError("bad shape"), 1, True),
        (RuntimeError("bad shape"), 2, False),
        (DeviceError("the device is gone"), 1, False),
        (DeviceError("the device is gone"), 2, False),
    ],
)
def test_what_failed_is_blamed_on_a_clip_only_if_it_was_alone_and_the_device_lives(
    failure, clips, is_of_one_clip
):
    session = Session(ROWS, failure, wait_for=clips)
    feeder = Feeder(session)
    with pytest.raises(EngineFailure) as caught:
        feeder.caption([ready(f"{number}.mp4") for number in range(clips)])
    assert caught.value.is_of_one_clip is is_of_one_clip
    assert caught.value.reason is failure
    assert session.closed
    with pytest.raises(EngineFailure):  # nothing works any more
        feeder.caption([ready("later.mp4")])


def test_callers_in_several_threads_get_their_own_rows():
    feeder = Feeder(Session(ROWS))
    found: dict[int, list[str]] = {}

    def ask(number: int) -> None:
        names = [f"{number}-{place}.mp4" for place in range(20)]
        found[number] = list(map(source, feeder.caption([ready(name) for name in names])))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: [f"{number}-{place}.mp4" for place in range(20)] for number in range(4)}


@pytest.fixture
def without_ray(monkeypatch):
    """The one part of Ray that a worker calls by itself: its metrics."""

    class Metric:
        def __init__(self, *_):
            pass

        def set_default_tags(self, tags):
            pass

        def inc(self, **_):
            pass

        def set(self, value):
            pass

    metrics = types.ModuleType("ray.util.metrics")
    metrics.Counter = metrics.Gauge = Metric
    util = types.ModuleType("ray.util")
    util.metrics = metrics
    for name, module in {
        "ray": types.ModuleType("ray"),
        "ray.util": util,
        "ray.util.metrics": metrics,
    }.items():
        monkeypatch.setitem(sys.modules, name, module)


def job_of(folder, captioner, **changes) -> Job:
    job = Job(
        captioner=lambda: captioner, preparer=lambda: captioner.preparer, rows=ROWS, settings=SETTINGS,
        output=folder.root, fingerprint="test", shard=0, working_folder=os.getcwd(),
    )  # fmt: skip
    return dataclasses.replace(job, **changes)


def conductor():
    return types.SimpleNamespace(report=types.SimpleNamespace(remote=lambda report: None))


def test_clips_go_through_all_stages_with_all_their_questions(folder, captioner, without_ray):
    clips, prompts = [Clip(str(SHORT)), Clip("missing.mp4"), Clip(str(ONE))], ["Who?", "Where?"]
    entries = [(asked(clip, *prompts), f"hash {place}") for place, clip in enumerate(clips)]
    written = ClipList.write(folder, entries, 3, 3)
    job = job_of(folder, captioner)
    prepare, caption = PrepareStage(job, task_clips=2), CaptionStage(job, conductor())
    blocks = list(prepare(pa.table({"slice": list(range(written.slices))})))
    assert [len(block) for block in blocks] == [1, 1]  # Ray Data does not divide a row
    # What cannot be prepared goes on as its rows.
    assert [len(block["content"][0]) for block in blocks] == [3, 1]
    counts = write_shard(pa.concat_tables([caption(block) for block in blocks]), job, 0)
    assert sum(counts["rows"].to_pylist()) == written.rows == 6
    here = {
        (row.source_video, row.prompt_index): row
        for row in captioner.caption(clips, SETTINGS, prompts=prompts)
    }
    there = {(each["source_video"], each["prompt_index"]): each for each in folder.table.rows()}
    assert there.keys() == here.keys()
    columns = (
        "clip_id",
        "prompt",
        "caption",
        "caption_status",
        "frame_indices",
        "frame_timestamps_s",
        "covered_s",
    )
    for key, each in here.items():
        assert {name: there[key][name] for name in columns} == {
            name: each.to_dict()[name] for name in columns
        }
        assert there[key]["source_sha256"] == f"hash {[clip.source_video for clip in clips].index(key[0])}"


def test_blocks_bring_each_clip_its_pixels_without_a_copy(folder, captioner, without_ray, monkeypatch):
    """However Ray Data joins and cuts them."""
    met = {}

    class Meets(Session):
        def add(self, prepared) -> None:
            met[prepared.task.clip.source_video] = prepared.pixels_P3SS
            super().add(prepared)

    monkeypatch.setattr(captioner, "session", lambda settings, beside: Meets(ROWS))
    sources = ["missing.mp4", str(SHORT), str(ONE), str(CLIPS / "vfr-6s.mp4")]
    job = job_of(folder, captioner)
    ClipList.write(folder, [(asked(Clip(name)), None) for name in sources], 4, 4)
    joined = pa.concat_tables(list(PrepareStage(job, task_clips=3)(pa.table({"slice": [0]}))))
    assert [len(ids) for ids in joined["clip_id"]] == [3, 1]
    stage = CaptionStage(job, conductor())
    assert len(stage(joined)) == len(sources)
    whole = joined.combine_chunks()
    for blocks in ([whole], [whole.slice(1), whole.slice(0, 1)], [joined.slice(1), joined.slice(0, 1)]):
        met.clear()
        rows = [read_row(text) for block in blocks for text in stage(block)["row"].to_pylist()]
        assert sorted(row.source_video for row in rows) == sorted(sources)
        assert sorted(met) == sorted(sources[1:])
        for name, pixels in met.items():
            there = captioner.preparer.prepare(asked(Clip(name)), SETTINGS)
            assert torch.equal(pixels, there.pixels_P3SS)
    lies = [chunk.flatten().buffers()[2] for chunk in joined["pixels"].chunks]
    assert all(any(0 <= each.data_ptr() - at.address < at.size for at in lies) for each in met.values())


def test_the_next_pass_has_the_questions_that_have_no_row(folder, captioner):
    tasks = [asked(Clip(name), "Who?", "Where?") for name in ("a.mp4", "b.mp4", "c.mp4")]
    clips = ClipList.write(folder, [(task, "hash") for task in tasks], 3, 2)
    written = (ClipTask(tasks[0].clip, tasks[0].questions[:1]), tasks[1])
    rows = [
        row.to_dict() for task in written for row in ROWS.failed(task, SETTINGS, "generate", "as a stand-in")
    ]
    folder.table.append(rows, "test", 0)
    assert list(_without_row(job_of(folder, captioner), clips)) == [
        (ClipTask(tasks[0].clip, tasks[0].questions[1:]), "hash"), (tasks[2], "hash"),
    ]  # fmt: skip
    later = dataclasses.replace(job_of(folder, captioner), shard=1)  # earlier shards are of another session
    assert list(_without_row(later, clips)) == [(task, "hash") for task in tasks]


def with_features(*rows: CaptionRow) -> pa.Table:
    """Rows as they come to be written: each clip's features beside its first one."""
    beside = [
        FeatureRow(
            clip_id=each.clip_id, source_video=each.source_video, start_s=0.0, end_s=None, features_of="test",
            features=bytes([int(each.clip_id, 16), 255]), num_frames=1, engine_version="0",
        )
        for each in rows
    ]  # fmt: skip
    return pa.table({"row": list(map(row_text, rows)), "beside": [side_text([each]) for each in beside]})


def test_a_task_that_is_tried_again_writes_no_row_twice(folder, captioner):
    job = job_of(folder, captioner)
    first = with_features(row(1), row(0))
    again = with_features(row(0, created_at="later"), row(1, created_at="later"))
    other = with_features(row(2))
    for table in (first, first, again, other):
        write_shard(table, job, 3)
    assert folder.table.num_rows() == 3
    assert len(folder.table.shards()) == 2
    features = {each["clip_id"]: each["features"] for each in folder.features.rows()}
    assert features == {f"{number:016x}": bytes([number, 255]) for number in range(3)}
    assert folder.features.num_rows() == 3
    assert folder.scores.num_rows() == 0
    assert {each["clip_id"]: each["created_at"] for each in folder.table.rows()} == {
        f"{0:016x}": "later", f"{1:016x}": "later", f"{2:016x}": None,
    }  # fmt: skip


class Ended(BaseException):
    """In the place of the process's end."""


@pytest.mark.parametrize(
    ("failure", "is_the_end"), [(DeviceError("the device is gone"), True), (RuntimeError("bad shape"), False)]
)
def test_a_device_that_fails_ends_the_worker_and_is_no_clip_s_error(
    failure, is_the_end, folder, captioner, without_ray, monkeypatch
):
    def end(code) -> None:
        raise Ended(code)

    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(captioner, "session", lambda settings, beside: Session(ROWS, failure))
    ClipList.write(folder, [(asked(Clip(str(ONE))), None)], 1, 1)
    job = job_of(folder, captioner)
    (block,) = PrepareStage(job, 1)(pa.table({"slice": [0]}))
    stage = CaptionStage(job, conductor())
    if is_the_end:
        with pytest.raises(Ended, match="1"):
            stage(block)
        return
    found = read_row(stage(block)["row"][0].as_py())
    assert found.caption_status == "error"
    assert "bad shape" in (found.error_message or "")
    with pytest.raises(Ended):  # an engine that raised is not to be trusted with the next
        stage(block)
