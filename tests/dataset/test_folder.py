"""What is local, how files get into a folder and in which order, and what the system may refuse."""

import builtins
import errno
import fcntl
import os
import subprocess
import sys

import pandas
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from framescribe.dataset.dataset import Dataset
from framescribe.dataset.folder import Folder, local_path
from framescribe.dataset.lock import locked
from framescribe.dataset.row_file import RowFile, is_row_file
from framescribe.dataset.store import RowFolder
from framescribe.errors import UsageError
from tests.dataset.test_row_file import row
from tests.dataset.test_store import write


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("out", "out"), ("/tmp/out #1 ü::x%20", "/tmp/out #1 ü::x%20"), ("file:///tmp/a b%20c", "/tmp/a b%20c"),
        ("file:/tmp/x", "/tmp/x"), ("file://localhost/tmp/x", "/tmp/x"), ("FILE:///tmp/x", "/tmp/x"),
        ("local:///tmp/x", "/tmp/x"), ("local:/tmp/x", "/tmp/x"), ("files:/x", "files:/x"), ("a/file:/x", "a/file:/x"),
        ("s3://bucket/x", None), ("memory://x", None), ("simplecache::file:///x", None),
    ],
)  # fmt: skip
def test_one_place_says_what_is_local(target, path):
    assert local_path(target) == path


@pytest.mark.parametrize("target", ["file://tmp/x", "file://tmp", "local://host/x", "file://"])
def test_a_url_of_another_host_is_not_taken_for_a_path(target):
    if target == "file://":
        assert local_path(target) is None
        return
    with pytest.raises(UsageError, match=r"names the host (tmp|host): write (file|local):///"):
        local_path(target)


@pytest.mark.parametrize("scheme", ["file://", "file:", "local://", "FILE://localhost"])
def test_file_urls_are_folders_here(scheme, tmp_path):
    target = f"{scheme}{tmp_path}/out%20 #1"
    write(target, row(0))
    folder = RowFolder(target)
    assert folder.is_local
    assert folder.root == f"{tmp_path}/out%20 #1"
    assert list(Dataset(target)) == [row(0).to_dict()]
    with locked(RowFolder(folder.root)), pytest.raises(UsageError, match="is writing to"):
        write(target, row(1))


def test_file_urls_are_files_here(tmp_path):
    target = f"file://{tmp_path}/rows.jsonl"
    assert is_row_file(target)
    with RowFile(target) as file:
        file.write(row(0))
    assert os.listdir(tmp_path) == ["rows.jsonl"]
    assert list(Dataset(target)) == [row(0).to_dict()]


def test_pandas_and_arrow_read_a_folder_as_it_is(tmp_path):
    out = tmp_path / "out"
    with locked(RowFolder(out)):
        pass
    write(str(out), row(0), row(1), row(2))
    (out / "_todo.parquet").write_bytes(b"no Parquet")
    assert pyarrow.dataset.dataset(out).to_table()["clip_id"].to_pylist() == [f"{n:016x}" for n in range(3)]
    assert len(pq.read_table(out)) == 3
    assert len(pandas.read_parquet(out)) == 3


def test_a_folder_with_the_old_names_goes_on_under_the_new(tmp_path):
    folder = write(str(tmp_path), row(0))
    (tmp_path / "_run.json").rename(tmp_path / "run.json")
    (tmp_path / "_lock").rename(tmp_path / "lock")
    assert folder.exists()
    write(str(tmp_path), row(1))
    assert sorted(os.listdir(tmp_path)) == ["_lock", "_run.json", "rows"]
    assert folder.table.num_rows() == 2
    assert len(pq.read_table(tmp_path)) == 2


HOLD_OLD = """
import fcntl, sys
with open(sys.argv[1], "a+") as lock:
    fcntl.lockf(lock, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


def test_an_older_version_at_work_is_noticed(tmp_path):
    write(str(tmp_path), row(0))
    command = [sys.executable, "-c", HOLD_OLD, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match="is writing to"):
            write(str(tmp_path), row(1))
        holder.kill()
    write(str(tmp_path), row(1))


class Calls:
    """Records what is done to files, by name and in order."""

    def __init__(self, monkeypatch) -> None:
        self.seen: list[str] = []
        self._opened: dict[int, str] = {}
        real_open, real_fsync, real_replace = os.open, os.fsync, os.replace

        def opened(path, flags, *more, **named) -> int:
            number = real_open(path, flags, *more, **named)
            self._opened[number] = str(path)
            return number

        def synced(number) -> None:
            self.seen.append(f"sync {self._kind(self._opened.get(number, ''))}")
            real_fsync(number)

        def replaced(old, new) -> None:
            self.seen.append(f"{self._kind(str(old))} becomes {self._kind(str(new))}")
            real_replace(old, new)

        monkeypatch.setattr(os, "open", opened)
        monkeypatch.setattr(os, "fsync", synced)
        monkeypatch.setattr(os, "replace", replaced)

    def _kind(self, path: str) -> str:
        name = os.path.basename(path)
        return "new" if name.startswith(".framescribe-") else "shard" if name.startswith("part-") else name


def test_a_shard_is_on_the_disk_before_its_name_and_before_the_run_says_so(tmp_path, monkeypatch):
    calls = Calls(monkeypatch)
    write(str(tmp_path / "out"), row(0))
    assert calls.seen == [
        "sync new", "new becomes _run.json", "sync out",  # what the run is
        "sync new", "new becomes shard", "sync rows",  # its rows
        "sync new", "new becomes _run.json", "sync out",  # how long they took
    ]  # fmt: skip


def fails_with(number: int):
    def fail(*arguments, **named):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOLCK, "its file system has no locks: name a folder on another one"),
        (errno.ENOSYS, "another one"),
    ],
)
def test_a_file_system_without_locks_is_named(number, advice, tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "lockf", fails_with(number))
    with pytest.raises(UsageError, match=rf"{tmp_path} cannot be locked: _lock: .*{advice}"):
        write(str(tmp_path), row(0))


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "free some space"), (errno.EDQUOT, "free some space"), (errno.EROFS, "can be written"),
        (errno.EIO, "Input/output error"), (errno.EACCES, "that this user may write to"),
    ],
)  # fmt: skip
def test_what_the_disk_refuses_names_the_file_and_what_to_do(number, advice, tmp_path, monkeypatch):
    write(str(tmp_path), row(0))
    before = list(Dataset(tmp_path))
    monkeypatch.setattr(os, "fsync", fails_with(number))
    with pytest.raises(OSError, match=rf"{os.strerror(number)}.*{tmp_path}/_run\.json") as caught:
        write(str(tmp_path), row(1))
    assert advice in str(caught.value)
    monkeypatch.undo()
    assert list(Dataset(tmp_path)) == before
    assert sorted(os.listdir(tmp_path)) == ["_lock", "_run.json", "rows"]
    write(str(tmp_path), row(1))


def test_the_first_write_may_find_the_disk_full(tmp_path, monkeypatch):
    """The lock's own, which tells who holds it, and the first line of a file of rows."""
    real = builtins.open

    class Full:
        def __init__(self, file) -> None:
            self._file = file

        def __getattr__(self, name):
            return getattr(self._file, name)

        def __enter__(self):
            return self

        def __exit__(self, *error) -> None:
            self._file.close()

        def write(self, content) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(
        builtins, "open", lambda file, mode="r", *more, **named: Full(real(file, mode, *more, **named))
        if named.get("buffering") == 0 else real(file, mode, *more, **named)
    )  # fmt: skip
    with pytest.raises(OSError, match=rf"No space left on device; free some space.*{tmp_path}/_lock"):
        write(str(tmp_path), row(0))
    with (
        pytest.raises(
            OSError, match=r"No space left on device; the rows so far are whole; free.*rows\.jsonl\.partial"
        ),
        RowFile(tmp_path / "rows.jsonl") as file,
    ):
        file.write(row(0))


@pytest.mark.skipif(
    sys.platform != "linux" or os.getuid() != 0, reason="mounts a small disk, which only root may"
)
def test_a_disk_that_fills_up_keeps_the_shards_before(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("may not mount here")
    try:
        with pytest.raises(OSError, match=rf"{disk}/out/rows/part-") as caught:
            write(str(disk / "out"), *(row(number) for number in range(1200)), rows_per_shard=100)
        assert caught.value.errno == errno.ENOSPC
        assert "free some space" in str(caught.value)
        rows = list(Dataset(disk / "out"))
        assert rows
        assert len(rows) % 100 == 0
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="file/out cannot be written: Not a directory"):
        write(str(tmp_path / "file" / "out"), row(0))


@pytest.mark.parametrize("kind", ["symlink", "fifo", "folder"])
def test_a_lock_that_is_no_file_is_neither_followed_nor_waited_for(kind, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    out = tmp_path / "out"
    out.mkdir()
    if kind == "symlink":
        (out / "_lock").symlink_to(victim)
    elif kind == "fifo":
        os.mkfifo(out / "_lock")
    else:
        (out / "_lock").mkdir()
    with pytest.raises(UsageError, match=r"out cannot be written: _lock"):
        write(str(out), row(0))
    assert victim.read_text() == "precious"


def test_what_a_back_end_raises_becomes_an_oserror_with_the_name(monkeypatch):
    class Odd(Exception):
        pass

    def fail(*arguments, **named):
        raise Odd("the token has expired")

    folder = Folder("memory://odd")
    monkeypatch.setattr(type(folder._files), "pipe_file", fail)
    for put in (folder.put, folder.create):
        with pytest.raises(OSError, match=r"memory://odd/name cannot be written: the token has expired"):
            put("name", b"")
