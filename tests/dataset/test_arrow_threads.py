"""Arrow's own threads meet no Python memory: one that frees some as the interpreter ends aborts the process."""

import io
import threading
from typing import ClassVar

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFile

from framescribe.pipeline.lists import read_list
from tests.dataset.test_row_file import row
from tests.dataset.test_store import write


class Read(bytes):
    """What a file gave; it notes the thread that lets go of it."""

    threads: ClassVar[set[threading.Thread]] = set()

    def __del__(self) -> None:
        Read.threads.add(threading.current_thread())


@pytest.fixture
def threads(monkeypatch) -> set[threading.Thread]:
    """The threads that read from files, or free what was read."""
    Read.threads.clear()

    def read(file, *args):
        Read.threads.add(threading.current_thread())
        return Read(io.BytesIO.read(file, *args))

    monkeypatch.setattr(MemoryFile, "read", read, raising=False)
    return Read.threads


def test_rows_are_read_by_threads_that_python_waits_for(threads):
    folder = write("memory://arrow-threads/rows", *map(row, range(600)), rows_per_shard=300)
    threads.clear()
    assert len(list(folder.table.rows())) == len(folder.keys(0)) == 600
    # A thread that Python has not started is a dummy to it.
    assert threads
    assert not [thread.name for thread in threads if thread.name.startswith("Dummy")]


def test_lists_are_read_by_this_thread_alone(threads):
    videos = pa.table({"file": [f"https://videos/{number}.mp4" for number in range(9000)]})
    buffer = io.BytesIO()
    pq.write_table(videos, buffer)
    fsspec.filesystem("memory").pipe_file("/arrow-threads/list.parquet", buffer.getvalue())
    assert len(list(read_list("memory://arrow-threads/list.parquet"))) == 9000
    assert threads == {threading.current_thread()}
