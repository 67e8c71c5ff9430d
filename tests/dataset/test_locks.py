"""Of several that want a folder at the same moment one gets it, whatever lies beneath."""

import json
import os
import socket
import subprocess
import sys
import threading
from typing import ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from framescribe.dataset import lock as lock_module
from framescribe.dataset.lock import locked
from framescribe.dataset.store import RowFolder
from framescribe.errors import UsageError
from tests.reference import ROOT

HERE = socket.gethostname()


class Bucket(MemoryFileSystem):
    """An object store: puts on a condition, as S3, GCS and Azure have them. Everybody sees the same objects."""

    protocol = "bucket"
    store: ClassVar = {}
    pseudo_dirs: ClassVar = [""]
    guard = threading.Lock()
    gate: threading.Barrier | None = None

    def pipe_file(self, path, value, mode="overwrite", **named):
        if self.gate is not None and path.endswith("_lock"):
            self.gate.wait(200)  # all have looked, and found nothing
        with self.guard:
            return super().pipe_file(path, value, mode=mode, **named)


class PlainBucket(Bucket):
    """One that takes the last put, whoever asked first."""

    protocol = "plainbucket"
    store: ClassVar = {}

    def pipe_file(self, path, value, **named):
        return super().pipe_file(path, value)


class OtherBucket(Bucket):
    """One that spells the condition as Azure's does."""

    protocol = "otherbucket"
    store: ClassVar = {}

    def pipe_file(self, path, value, overwrite=True, **named):
        return super().pipe_file(path, value, mode="overwrite" if overwrite else "create")


fsspec.register_implementation("otherbucket", OtherBucket, clobber=True)
fsspec.register_implementation("bucket", Bucket, clobber=True)
fsspec.register_implementation("plainbucket", PlainBucket, clobber=True)


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    monkeypatch.setattr(lock_module, "_SETTLE_S", 1.0)
    yield
    for kind in (Bucket, OtherBucket, PlainBucket):
        kind.store.clear()
        kind.gate = None


def race(target: str, others: int, monkeypatch) -> tuple[int, list[str]]:
    """How many got the lock, and what was said to the rest. Each is a process of its own as far as the lock can see."""
    monkeypatch.setattr(lock_module, "_only_here", lambda folder: lock_module.ExitStack())
    holding, said = [], []
    end = threading.Event()

    def take() -> None:
        try:
            with locked(RowFolder(target)):
                holding.append(1)
                end.wait(200)
        except UsageError as error:
            said.append(str(error))
        finally:
            if len(said) == others - 1:
                end.set()

    threads = [threading.Thread(target=take) for _ in range(others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(250)
    return len(holding), said


@pytest.mark.parametrize("kind", [Bucket, OtherBucket, PlainBucket])
def test_of_two_that_looked_at_the_same_moment_one_gets_it(kind, monkeypatch):
    kind.gate = threading.Barrier(2)
    holding, said = race(f"{kind.protocol}://race/out", 2, monkeypatch)
    assert (holding, len(said)) == (1, 1)
    assert f"process {os.getpid()} on {HERE} is writing to {kind.protocol}://race/out" in said[0]
    assert not [path for path in kind.store if "_lock" in path]


def test_what_has_no_conditional_writes_is_said(caplog):
    assert RowFolder("bucket://race/out").creates_exclusively
    assert RowFolder("otherbucket://race/out").creates_exclusively
    assert not RowFolder("plainbucket://race/out").creates_exclusively
    with locked(RowFolder("bucket://race/out")):
        pass
    assert not caplog.messages
    with locked(RowFolder("plainbucket://race/out")):
        pass
    assert "plainbucket://race/out has no conditional writes" in caplog.text


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_of_several_that_find_a_dead_one_s_lock_one_takes_it_over(monkeypatch):
    dead = json.dumps({"pid": dead_process(), "host": HERE}).encode()
    for _ in range(5):
        Bucket.store.clear()
        RowFolder("bucket://race/out").put("_lock", dead)
        holding, said = race("bucket://race/out", 4, monkeypatch)
        assert (holding, len(said)) == (1, 3)
        assert not [path for path in Bucket.store if "_lock" in path]


def test_while_one_takes_over_no_other_may(monkeypatch):
    """At the worst moment: the one has made sure that the lock is the dead one's, and is about to remove it."""
    monkeypatch.setattr(lock_module, "_only_here", lambda folder: lock_module.ExitStack())
    RowFolder("bucket://race/out").put("_lock", json.dumps({"pid": dead_process(), "host": HERE}).encode())
    remove, said = RowFolder.remove, []

    def remove_late(folder, name) -> None:
        if name == "_lock" and not said:
            said.append("tried")
            with pytest.raises(UsageError, match="is writing to"), locked(RowFolder("bucket://race/out")):
                pass
        remove(folder, name)

    monkeypatch.setattr(RowFolder, "remove", remove_late)
    with locked(RowFolder("bucket://race/out")):
        assert said
    assert not [path for path in Bucket.store if "_lock" in path]


def test_threads_of_one_process_keep_each_other_out(tmp_path):
    for target in (str(tmp_path / "out"), "memory://race/out", f"file://{tmp_path}/out"):
        with (
            locked(RowFolder(target)),
            pytest.raises(UsageError, match=f"process {os.getpid()}"),
            locked(RowFolder(target)),
        ):
            pass
        with locked(RowFolder(target)):
            pass
    fsspec.filesystem("memory").rm("/race", recursive=True)


TAKE = """
import sys
from framescribe.errors import UsageError
from framescribe.dataset.lock import locked
from framescribe.dataset.store import RowFolder
sys.stdin.readline()
try:
    with locked(RowFolder(sys.argv[1])):
        print("held", flush=True)
        sys.stdin.readline()
except UsageError as error:
    print(error, flush=True)
"""


def test_of_several_processes_one_gets_a_local_folder(tmp_path):
    command = [sys.executable, "-c", TAKE, str(tmp_path / "out")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1, "cwd": ROOT}
    processes = [subprocess.Popen(command, **pipes) for _ in range(3)]
    for process in processes:
        process.stdin.write("go\n")
    said = [process.stdout.readline().strip() for process in processes]
    for process in processes:
        process.communicate("end\n")
    assert said.count("held") == 1
    assert sum("is writing to" in line for line in said) == 2


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"pid": "1", "host": 2}', b'{"pid": -1, "host": "x"}', b"\xff" * 9, b"[" * 99_999],
)
def test_a_lock_that_says_nothing_of_use_is_a_living_one(content):
    RowFolder("bucket://race/out").put("_lock", content)
    with (
        pytest.raises(UsageError, match=r"another process is writing to .*delete bucket://race/out/_lock"),
        locked(RowFolder("bucket://race/out")),
    ):
        pass
