"""Rows in files, read back by others' readers; and what is left after a stop."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from framescribe.caption_row import CaptionRow
from framescribe.dataset.dataset import Dataset
from framescribe.dataset.row_file import RowFile

# Not from tests.reference, which loads torch: some tests start processes that need this file.
ROOT = Path(__file__).parents[2]


def row(number: int = 0, **columns) -> CaptionRow:
    values = {
        "clip_id": f"{number:016x}", "source_video": f"clips/{number}.mp4", "start_s": 0.0, "end_s": None,
        "duration_s": 1.5, "width": 640, "height": 360, "fps": 29.97, "codec": "h264", "missing_s": 0.0,
        "caption": f"Caption {number}.", "caption_raw": f" Caption {number}.\n", "caption_status": "success",
        "frame_indices": (0, 30), "frame_timestamps_s": (0.0, 1.001), "covered_s": 1.5, "strategy": "chat",
        "num_frames": 24, "template": "chat", "prompt": "What?", "model": "m", "model_revision": None,
        "precision": "fp32", "max_new_tokens": 5, "temperature": 0.0, "top_p": 1.0, "repetition_penalty": 1.0,
        "seed": 0, "engine_version": "1", "prompt_tokens": 7, "output_tokens": 3,
    }  # fmt: skip
    return CaptionRow(**values | columns)


ERROR = {
    "caption": None, "caption_raw": None, "caption_status": "error", "error_stage": "open", "error_message": "gone",
    "duration_s": None, "width": None, "height": None, "fps": None, "codec": None, "missing_s": None,
    "frame_indices": (), "frame_timestamps_s": (), "covered_s": None, "prompt_tokens": None, "output_tokens": None,
}  # fmt: skip

AWKWARD_TEXTS = ["line\u2028separator", 'tab\tnewline\nquote"\\', "猫🐱", "\x00\x1b[31m", "\ufffd"]
UNDECODABLE = b"clips/\xff\xfe.mp4".decode("utf-8", "surrogateescape")


def read(path) -> list[dict]:
    """By nothing of ours."""
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    with path.open("rb") as file:
        return [json.loads(line) for line in file]


@pytest.fixture(params=[".jsonl", ".parquet"])
def path(request, tmp_path):
    return tmp_path / f"rows{request.param}"


def left(path) -> list[str]:
    return sorted(file.name for file in path.parent.iterdir())


def test_rows_come_back_whole(path):
    rows = [row(0), row(1, **ERROR), *(row(2, caption=text) for text in AWKWARD_TEXTS), row(3, end_s=2.5)]
    with RowFile(path) as file:
        for each in rows:
            file.write(each)
    expected = [each.to_dict() for each in rows]
    assert read(path) == expected
    assert [list(found) for found in read(path)] == [list(each) for each in expected]
    assert list(Dataset(path)) == expected
    assert left(path) == [path.name]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gone.jsonl", None, "gone.jsonl cannot be read: No such file"),
        ("gone.parquet", None, "gone.parquet cannot be read: No such file"),
        ("half.jsonl", '{"a": 1}\n{', "half.jsonl, line 2: is not JSON"),
        ("half.parquet", "PAR1", "half.parquet is damaged"),
        ("file", "", "rows are read from"),
    ],
)
def test_what_cannot_be_read_is_named(name, content, said, tmp_path):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=said):
        list(Dataset(tmp_path / name, required=()))


def test_parquet_columns_keep_their_types_when_all_rows_failed(tmp_path):
    with RowFile(tmp_path / "ok.parquet") as file:
        file.write(row())
    with RowFile(tmp_path / "failed.parquet") as file:
        file.write(row(**ERROR))
    with RowFile(tmp_path / "none.parquet"):
        pass
    schemas = [pq.read_schema(tmp_path / f"{name}.parquet") for name in ("ok", "failed", "none")]
    assert schemas[0] == schemas[1] == schemas[2]
    assert {str(kind) for kind in schemas[0].types} == {
        "string", "double", "int64", "bool", "list<element: int64>", "list<element: double>",
        "list<element: string>",
    }  # fmt: skip


def test_many_rows_keep_their_order(path):
    with RowFile(path) as file:
        for number in range(9000):
            file.write(row(number))
    assert [found["clip_id"] for found in read(path)] == [f"{number:016x}" for number in range(9000)]


def test_names_that_are_no_utf8(path):
    with RowFile(path) as file:
        file.write(row(source_video=UNDECODABLE, model=UNDECODABLE, **ERROR | {"error_message": UNDECODABLE}))
    (found,) = read(path)
    escaped = r"clips/\udcff\udcfe.mp4" if path.suffix == ".parquet" else UNDECODABLE
    assert [found["source_video"], found["model"], found["error_message"]] == [escaped] * 3
    path.read_bytes().decode("utf-8", "strict" if path.suffix == ".jsonl" else "replace")


def test_an_existing_file_is_refused_or_replaced(path):
    path.write_text("precious")
    with pytest.raises(ValueError, match=f"{path} exists.*`overwrite=True`"):
        RowFile(path)
    assert path.read_text() == "precious"
    with RowFile(path, overwrite=True) as file:
        file.write(row())
        assert path.read_text() == "precious"  # until the new one is whole
    assert read(path) == [row().to_dict()]


def test_what_a_killed_run_left_is_refused_or_replaced(path):
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text("rows of a killed run")
    with pytest.raises(ValueError, match=f"{partial} exists"):
        RowFile(path)
    with RowFile(path, overwrite=True):
        pass
    assert left(path) == [path.name]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("rows.csv", "must end in .jsonl or .parquet"),
        ("no/rows.jsonl", "there is no folder"),
        ("d.jsonl", "is a folder"),
    ],
)
def test_paths_that_cannot_be(name, said, tmp_path):
    (tmp_path / "d.jsonl").mkdir()
    with pytest.raises(ValueError, match=said):
        RowFile(tmp_path / name)


def test_a_table_that_cannot_be_finished_leaves_the_older_file_and_its_rows(tmp_path, monkeypatch):
    path = tmp_path / "rows.parquet"
    path.write_text("precious")

    def refused(old, new) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refused)
    with (
        pytest.raises(
            OSError, match=r"No space left on device; the rows so far are whole.*rows\.parquet\.partial"
        ),
        RowFile(path, overwrite=True) as file,
    ):
        file.write(row(0))
    assert path.read_text() == "precious"
    partial = path.with_name("rows.parquet.partial")
    assert left(path) == [path.name, partial.name]
    assert list(map(json.loads, partial.read_text().splitlines())) == [row(0).to_dict()]


@pytest.mark.parametrize("overwrite", [True, False])
def test_what_lies_where_the_rows_go_first_is_not_written_through(overwrite, path):
    victim = path.with_name("victim")
    victim.write_text("precious")
    path.with_name(f"{path.name}.partial").symlink_to(victim)
    with contextlib.suppress(ValueError), RowFile(path, overwrite=overwrite) as file:
        file.write(row(0))
    assert victim.read_text() == "precious"
    assert path.exists() is overwrite


def interrupted(path, rows: int, **options) -> None:
    with contextlib.suppress(KeyboardInterrupt), RowFile(path, **options) as file:
        for number in range(rows):
            file.write(row(number))
        raise KeyboardInterrupt


def test_a_stop_keeps_the_rows_so_far(path):
    interrupted(path, 3)
    assert read(path) == [row(number).to_dict() for number in range(3)]
    assert left(path) == [path.name]


def test_a_stop_before_the_first_row_leaves_the_older_file(path):
    path.write_text("precious")
    interrupted(path, 0, overwrite=True)
    assert path.read_text() == "precious"
    assert left(path) == [path.name]


KILLED = """
import os, sys
from pathlib import Path
from tests.dataset.test_row_file import row, RowFile

with RowFile(Path(sys.argv[1])) as file:
    for number in range(5):
        file.write(row(number))
    os.kill(os.getpid(), 9)
"""

FULL_DISK = """
import resource, sys
from pathlib import Path
from tests.dataset.test_row_file import row, RowFile

# No file may grow beyond this: what a full disk does, with another error number.
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
number = 0
try:
    with RowFile(Path(sys.argv[1])) as file:
        while True:
            file.write(row(number))
            number += 1
except OSError as error:
    print(number, error)
"""


def in_process(script: str, *arguments) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_a_kill_leaves_whole_lines(path):
    assert in_process(KILLED, path).returncode == -9
    partial = path.with_name(f"{path.name}.partial")
    assert left(path) == [partial.name]
    assert [json.loads(line) for line in partial.read_bytes().splitlines()] == [
        row(i).to_dict() for i in range(5)
    ]


@pytest.mark.parametrize("limit", [4000, 100_000])
def test_a_full_disk_keeps_the_rows_so_far(limit, path):
    said = in_process(FULL_DISK, path, limit).stdout
    number = int(said.split()[0])
    assert number >= 3
    # A Parquet file may not fit any more: then its rows stay where they are, and the message says so.
    kept = path if path.exists() else path.with_name(f"{path.name}.partial")
    assert left(path) == [kept.name]
    rows = read(kept) if kept == path else [json.loads(line) for line in kept.read_bytes().splitlines()]
    assert rows == [row(i).to_dict() for i in range(number)]
    assert kept == path or kept.name in said
