"""Folders of rows, local and in memory, read back by pyarrow and as others may have left them."""

import json
import os
import re
import socket
import subprocess
import sys

import duckdb
import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from framescribe.dataset.dataset import Dataset
from framescribe.dataset.lock import locked
from framescribe.dataset.runs import RunLog, run_identity
from framescribe.dataset.store import RowFolder
from framescribe.dataset.writer import RowWriter
from framescribe.errors import UsageError
from framescribe.files import temporary_beside
from framescribe.types import CaptionSettings
from tests.dataset.test_row_file import AWKWARD_TEXTS, ERROR, row
from tests.reference import ROOT

IDENTITY = run_identity(CaptionSettings(), ["?"], "m", "r1", "fp32")
MEMORY = "memory://store/out"


@pytest.fixture(params=["local", "memory"])
def target(request, tmp_path):
    if request.param == "local":
        yield str(tmp_path / "out ü #1")
        return
    yield MEMORY
    memory = fsspec.filesystem("memory")
    if memory.exists("/store"):
        memory.rm("/store", recursive=True)


def write(target: str, *rows, identity=IDENTITY, rows_per_shard: int = 2, beside: bool = True) -> RowFolder:
    folder = RowFolder(target)
    with locked(folder):
        log = RunLog(folder)
        run = log.begin(identity, beside=beside)
        with RowWriter(folder, log, run, "cpu", rows_per_shard) as writer:
            for each in rows:
                writer.write(each)
    return folder


def test_rows_come_back_whole_and_in_order(target):
    rows = [row(0), row(1, **ERROR), *(row(2 + n, caption=text) for n, text in enumerate(AWKWARD_TEXTS))]
    folder = write(target, *rows)
    assert list(Dataset(target)) == [each.to_dict() for each in rows]
    assert len(folder.table.shards()) == 4
    assert folder.table.num_rows() == len(rows)


def test_the_last_row_for_a_clip_counts(target):
    write(target, row(0, caption="old"), row(1), row(2), row(0, caption="newer"))
    write(target, row(2, caption="new"), row(0, caption="newest"), row(3))
    assert [(each["clip_id"][-1], each["caption"]) for each in Dataset(target)] == [
        ("1", "Caption 1."), ("2", "new"), ("0", "newest"), ("3", "Caption 3."),
    ]  # fmt: skip


def test_only_the_runs_own_rows_are_done(target):
    folder = write(target, row(0), row(1, **ERROR), row(2, source_sha256="ab"))
    other = run_identity(CaptionSettings(), ["Why?"], "m", "r1", "fp32")
    write(target, row(3), identity=other)
    log = RunLog(folder)
    assert folder.done(log.find(IDENTITY).fingerprint) == {
        f"{0:016x}": None,
        f"{1:016x}": "",
        f"{2:016x}": "ab",
    }
    assert list(folder.done(log.find(other).fingerprint)) == [f"{3:016x}"]
    assert log.find(other | {"model_revision": None}).identity == other
    assert log.find(other | {"seed": 1}) is None
    assert log.differences(IDENTITY) == {"prompt": ("Why?", IDENTITY["prompt"])}
    with pytest.raises(ValueError, match=r"prompt was 'Why\?', now.*`new_run=True`"):
        log.begin(IDENTITY, beside=False)


def test_what_another_run_has_replaced_is_not_done(target):
    other = run_identity(CaptionSettings(), ["Why?"], "m", "r1", "fp32")
    write(target, row(0), row(1))
    write(target, row(1), row(2), identity=other)
    folder = write(target, row(3))
    log = RunLog(folder)
    ours, theirs = log.find(IDENTITY), log.find(other)
    assert [name[-1] for name in folder.done(ours.fingerprint, log.others(ours))] == ["0", "3"]
    assert [name[-1] for name in folder.done(theirs.fingerprint, log.others(theirs))] == ["1", "2"]


def test_what_another_run_has_mended_is_done(target):
    mending = run_identity(CaptionSettings(), ["Why?"], "m", "r1", "fp32")
    folder = write(target, row(0), row(1))
    log = RunLog(folder)
    run = log.begin(mending, beside=True, redo=True)
    folder.table.append([row(1, source_sha256="ab").to_dict()], run.fingerprint, folder.table.next_number())
    log = RunLog(folder)
    assert log.differences(IDENTITY) == {}
    ours = log.find(IDENTITY)
    assert folder.done(ours.fingerprint, log.others(ours)) == {f"{0:016x}": None, f"{1:016x}": "ab"}
    # Once it captions in its own right, what it mended is its own.
    log.begin(mending, beside=True)
    assert list(folder.done(ours.fingerprint, log.others(ours))) == [f"{0:016x}"]
    assert log.differences(IDENTITY)


def test_what_is_to_be_redone(target):
    folder = write(target, row(0), row(1, **ERROR), row(2, flags=("looping",)), row(3, flags=("opener",)))
    write(target, row(2))
    ids = {redo: {name[-1] for name in folder.chosen(redo)} for redo in ("failed", "flagged")}
    assert ids == {"failed": {"1"}, "flagged": {"3"}}


def test_shards_of_an_older_version_lack_columns(tmp_path):
    write(str(tmp_path / "out"), row(1))
    old = pa.table({"clip_id": ["x"], "caption": ["old"], "caption_status": ["success"], "extra": [1]})
    pq.write_table(old, tmp_path / "out" / "rows" / "part-000000-00000000.parquet")
    first, second = sorted(Dataset(tmp_path / "out", required=()), key=lambda each: each["caption"])[::-1]
    assert (first["caption"], first["flags"], first["extra"]) == ("old", None, 1)
    assert second["caption"] == "Caption 1."


def test_leftovers_of_a_kill_are_not_read_and_go(tmp_path):
    folder = write(str(tmp_path), row(0))
    left = temporary_beside(tmp_path / "rows" / "part-000001-00000000.parquet")
    left.write_bytes(b"PAR1 half")
    assert len(list(Dataset(tmp_path))) == 1
    assert len(pq.read_table(tmp_path / "rows")) == 1
    with pytest.raises(UsageError, match="other settings"):
        write(str(tmp_path), row(1), identity=IDENTITY | {"seed": 1}, beside=False)
    assert left.exists()  # who is refused removes nothing
    write(str(tmp_path), row(1))
    assert not left.exists()
    assert folder.table.num_rows() == 2


def test_a_kill_before_the_first_row_is_no_obstacle(tmp_path):
    (tmp_path / "rows").mkdir()
    (tmp_path / "lock").touch()
    temporary_beside(tmp_path / "_run.json").write_text("{")
    write(str(tmp_path), row(0))
    assert sorted(os.listdir(tmp_path)) == ["_lock", "_run.json", "rows"]


def test_a_damaged_shard_is_named(tmp_path):
    folder = write(str(tmp_path), row(0))
    (shard,) = folder.table.shards()
    with open(shard, "r+b") as file:
        file.truncate(100)
    with pytest.raises(ValueError, match=rf"{os.path.basename(shard)} is damaged.*move it away"):
        list(Dataset(tmp_path))


def test_a_folder_without_rows_is_no_rows(tmp_path):
    with pytest.raises(ValueError, match="rows are read from"):
        list(Dataset(tmp_path))


HOLD = """
import sys
from framescribe.errors import UsageError
from framescribe.files import temporary_beside
from framescribe.dataset.lock import locked
from framescribe.dataset.store import RowFolder
with locked(RowFolder(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_is_refused_while_its_process_lives_and_taken_over_after(tmp_path):
    folder = RowFolder(tmp_path)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    with (
        pytest.raises(ValueError, match=f"process {holder.pid} on {socket.gethostname()} is writing"),
        locked(folder),
    ):
        pass
    holder.kill()
    holder.communicate()
    with locked(folder):
        pass


def test_a_lock_behind_a_url():
    memory = fsspec.filesystem("memory")
    folder = RowFolder(MEMORY)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    here = socket.gethostname()
    for pid, host, is_refused in (
        (dead.pid, here, False),
        (os.getppid(), here, True),
        (dead.pid, "other", True),
    ):
        memory.pipe("/store/out/_lock", json.dumps({"pid": pid, "host": host}).encode())
        if is_refused:
            with (
                pytest.raises(ValueError, match=f"process {pid} on {host} is writing.*delete {MEMORY}/_lock"),
                locked(folder),
            ):
                pass
        else:
            with locked(folder):
                assert json.loads(memory.cat("/store/out/_lock"))["pid"] == os.getpid()
            assert not memory.exists("/store/out/_lock")
    memory.rm("/store", recursive=True)


def test_the_rate_of_a_run_is_kept(target):
    folder = write(target, row(0), row(1), row(2))
    write(target, row(3))
    (run,) = json.loads(folder.read("_run.json"))["runs"]
    assert run["rates"]["cpu"]["clips"] == 4
    assert run["identity"] == IDENTITY
    assert RunLog(folder).find(IDENTITY).clips_per_s("cpu") == pytest.approx(
        4 / run["rates"]["cpu"]["seconds"]
    )
    assert RunLog(folder).find(IDENTITY).clips_per_s("H100") is None


def test_a_damaged_run_file_is_named(tmp_path):
    folder = write(str(tmp_path), row(0))
    (tmp_path / "_run.json").write_text('{"runs": [{}]}')
    with pytest.raises(ValueError, match=r"run\.json is damaged"):
        RunLog(folder)


def test_a_clock_that_jumps_back_changes_nothing(tmp_path):
    """By the rule that the line for DuckDB in docs/rows.md states, and by the store: the same row of each clip."""
    days = ["2030-01-02", "2030-01-01", "1970-01-01"]
    for day, numbers in zip(days, [(0, 1, 2), (1, 2), (2, 2, 3)], strict=True):
        write(
            str(tmp_path),
            *(row(n, caption=f"{day} {n}", created_at=f"{day}T00:00:00+00:00") for n in numbers),
        )
    by_rule = {}
    for path in sorted((tmp_path / "rows").glob("*.parquet")):
        by_rule |= {each["clip_id"]: each["caption"] for each in pq.read_table(path).to_pylist()}
    assert sorted(by_rule.values()) == sorted(
        [f"{days[0]} 0", f"{days[1]} 1", f"{days[2]} 2", f"{days[2]} 3"]
    )
    assert {each["clip_id"]: each["caption"] for each in Dataset(tmp_path)} == by_rule
    page = (ROOT / "docs" / "rows.md").read_text(encoding="utf-8")
    ((query,),) = (re.findall(r'duckdb -c "(.+?)"', page, re.DOTALL),)
    assert "order by filename desc, file_row_number desc" in query
    found = duckdb.sql(query.replace("captions/", f"{tmp_path}/")).to_arrow_table().to_pylist()
    assert {each["clip_id"]: each["caption"] for each in found} == by_rule
