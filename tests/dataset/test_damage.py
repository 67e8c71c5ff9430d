"""Rows that were damaged or that strangers wrote: refused by name, or read as they were written; never as others."""

import hashlib
import json
import os
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from framescribe.dataset.dataset import Dataset
from framescribe.dataset.lock import locked
from framescribe.dataset.row_file import RowFile
from framescribe.dataset.runs import RunLog
from framescribe.dataset.store import RowFolder
from framescribe.errors import UsageError
from framescribe.types import SCHEMA_VERSION
from tests.dataset.test_row_file import ERROR, row
from tests.dataset.test_store import write


@pytest.fixture
def shard(tmp_path):
    folder = write(
        str(tmp_path / "out"),
        row(0, flags=("opener",)),
        row(1, **ERROR),
        row(2, caption="猫"),
        rows_per_shard=3,
    )
    (shard,) = folder.table.shards()
    return tmp_path / "out" / "rows" / shard.rsplit("/", 1)[-1]


def test_anyone_can_verify_a_shard_as_documented(shard):
    """``docs/rows.md``: the SHA-256 of the whole file, with 64 zeros in the digest's place."""
    digest = pq.read_metadata(shard).metadata[b"framescribe.sha256"]
    content = shard.read_bytes()
    assert content.count(digest) == 1
    assert hashlib.sha256(content.replace(digest, b"0" * 64)).hexdigest().encode() == digest


def flip(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def outcome(read) -> list | str:
    """What was read, or what was said instead."""
    try:
        return list(read())
    except UsageError as error:
        return str(error)


def test_a_flipped_bit_is_told_or_without_effect(shard):
    """Of the whole file, its footer among them; benchmarks/flipped_bits.py tries more of them."""
    content = shard.read_bytes()
    folder = RowFolder(shard.parent.parent)
    rows = list(folder.table.rows())
    bits = random.Random(0).sample(range(8 * len(content)), 120)
    last_bytes = range(
        8 * len(content) - 64, 8 * len(content), 2
    )  # the footer's length and the format's mark
    refused = 0
    for bit in (*bits, *last_bytes):
        shard.write_bytes(flip(content, bit))
        found = outcome(folder.table.rows)
        assert found == rows or (shard.name in found and "move it away" in found), bit
        assert outcome(lambda: folder.done("x")) == (found if isinstance(found, str) else []), bit
        refused += isinstance(found, str)
    assert refused >= 145  # what is without effect lies in the key that says where the checksum is


def test_one_file_of_rows_is_checked_as_a_shard_is(tmp_path):
    path = tmp_path / "rows.parquet"
    with RowFile(path) as file:
        for number in range(3):
            file.write(row(number))
    content, rows = path.read_bytes(), list(Dataset(path, required=()))
    for bit in random.Random(1).sample(range(8 * len(content)), 40):
        path.write_bytes(flip(content, bit))
        found = outcome(lambda: Dataset(path, required=()))
        assert found == rows or "rows.parquet is damaged" in found, bit


def test_pages_have_the_checksums_of_the_format(shard):
    """Which other readers verify, who do not know of the one of the whole file."""
    content = shard.read_bytes()
    column = pq.ParquetFile(shard).metadata.row_group(0).column(0)
    start = column.dictionary_page_offset or column.data_page_offset
    shard.write_bytes(flip(content, 8 * (start + column.total_compressed_size - 3)))
    with pytest.raises(OSError, match="CRC"):
        pq.read_table(shard, page_checksum_verification=True)


@pytest.mark.parametrize("keep", [0, 1, 4, 100, -1, -8])
def test_what_was_cut_off_is_told_whatever_is_asked(shard, keep):
    shard.write_bytes(shard.read_bytes()[:keep])
    folder = RowFolder(shard.parent.parent)
    for read in (
        lambda: list(folder.table.rows()),
        folder.table.num_rows,
        lambda: folder.chosen("failed"),
        lambda: folder.done("x"),
        lambda: folder.keys(since=0),
    ):
        with pytest.raises(UsageError, match=rf"{shard.name} is damaged.*move it away"):
            read()


def test_shards_of_other_writers_are_read(shard):
    """As pandas, DuckDB and others write them: no checksums, other spellings of the types, columns that lack."""
    rows = list(RowFolder(shard.parent.parent).table.rows())
    table = pq.read_table(shard)
    for name, kind in {
        "width": pa.int32(),
        "caption": pa.large_string(),
        "flags": pa.large_list(pa.string()),
    }.items():
        table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(kind))
    place = table.schema.get_field_index("model")
    pq.write_table(
        table.set_column(place, "model", table["model"].dictionary_encode()), shard, compression="snappy"
    )
    assert list(RowFolder(shard.parent.parent).table.rows()) == rows


@pytest.mark.parametrize("column", ["source_sha256", "repairs", "schema_version", "caption_status"])
def test_a_folder_from_before_a_column_goes_on(shard, column):
    table = pq.read_table(shard)
    pq.write_table(table.drop_columns([column]), shard)
    folder = RowFolder(shard.parent.parent)
    assert [each[column] for each in folder.table.rows()] == [None] * 3
    run = table.schema.metadata
    assert run is None
    write(folder.name, row(3))
    assert len(list(folder.table.rows())) == 4
    assert folder.done("x") == {}
    assert folder.chosen("flagged") == {f"{0:016x}"}


def test_rows_of_a_newer_version_are_refused_and_nothing_is_touched(shard):
    out = shard.parent.parent
    newer = SCHEMA_VERSION + 1
    with RowFile(out.parent / "rows.jsonl") as file:
        file.write(row(0, schema_version=newer))
    with RowFile(out.parent / "rows.parquet") as file:
        file.write(row(0, schema_version=newer))
    for name in ("rows.jsonl", "rows.parquet"):
        with pytest.raises(
            UsageError, match=rf"{name}.* newer framescribe wrote it: its schema version is {newer}"
        ):
            list(Dataset(out.parent / name))
    table = pq.read_table(shard)
    place = table.schema.get_field_index("schema_version")
    pq.write_table(table.set_column(place, "schema_version", pa.array([1, newer, 1])), shard)
    is_refused(out, shard.name)
    runs = json.loads((out / "_run.json").read_text())
    shard.unlink()
    (out / "_run.json").write_text(json.dumps(runs | {"schema_version": newer}))
    is_refused(out, "_run.json")


def begin(folder: RowFolder) -> None:
    """What a run does first."""
    with locked(folder):
        RunLog(folder)
        folder.done("")


def is_refused(out, name: str) -> None:
    def held() -> dict[str, bytes]:
        files = {str(path): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        return {path: content for path, content in files.items() if not path.endswith("_lock")}

    before = held()
    with pytest.raises(UsageError, match=rf"{name}: a newer framescribe wrote it.*update framescribe"):
        begin(RowFolder(str(out)))
    assert held() == before


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "is not JSON"),
        ("[1]", r"is no JSON object but \[1\]"),
        ("null", "is no JSON object but None"),
        (f'{{"caption": {DEEP}}}', "is nested too deeply"),
        ('{"caption": "\xff"}', "is not JSON.*utf-8"),
        (f'{{"seed": {"9" * 5000}}}', "is not JSON"),
        ('{"caption": ["a"]}', r"caption is \['a'\], not str"),
        ('{"caption": {"a": 1}}', "caption is {'a': 1}, not str"),
        ('{"start_s": "soon"}', "start_s is 'soon', not float"),
        ('{"end_s": true}', "end_s is True, not float"),
        ('{"width": 1.5}', "width is 1.5, not int"),
        ('{"seed": 99999999999999999999}', "seed is 99999999999999999999, not int"),
        ('{"flags": "opener"}', "flags is 'opener', not a list of str"),
        ('{"flags": [1]}', r"flags is \[1\], not a list of str"),
        ('{"frame_indices": [[0]]}', "frame_indices is .*not a list of int"),
        ('{"caption_status": 5, "clip_id": "\\u001b[2J"}', "caption_status is 5, not str"),
    ],
)  # fmt: skip
def test_lines_of_strangers_are_named(line, said, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"clip_id": "a"}\n\n' + line.encode("latin-1") + b"\n")
    with pytest.raises(UsageError, match=rf"rows\.jsonl, line 3: {said}") as caught:
        list(Dataset(path, required=()))
    assert len(str(caught.value)) < 1000
    assert "\x1b" not in str(caught.value)


def test_bad_lines_may_be_passed_over_and_are_told(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"caption": NaN}\n{"caption": 1}\n \n{"caption": "a", "more": [1]}\n{\n')
    told = []
    rows = list(Dataset(path, required=(), on_bad=lambda number, reason: told.append((number, reason[:12]))))
    assert rows == [{"caption": None}, {"caption": "a", "more": [1]}]
    assert told == [(2, "caption is 1"), (5, "is not JSON:")]


def test_a_huge_line_is_passed_over_without_being_held(tmp_path):
    path = tmp_path / "rows.jsonl"
    with path.open("wb") as file:
        file.seek(64 << 20)
        file.write(b'\n{"caption": "a"}\n')
    told = []
    assert list(Dataset(path, required=(), on_bad=lambda *bad: told.append(bad))) == [{"caption": "a"}]
    assert told == [(1, "is longer than 16 MiB")]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_what_is_no_row_of_caption_says_so(suffix, tmp_path):
    path = tmp_path / f"rows.{suffix}"
    if suffix == "jsonl":
        path.write_text('{"clip_id": "a", "source_video": "a.mp4"}\n')
    else:
        pq.write_table(pa.table({"clip_id": ["a"], "source_video": ["a.mp4"]}), path)
    assert list(Dataset(path, required=())) == [{"clip_id": "a", "source_video": "a.mp4"}]
    with pytest.raises(UsageError, match=rf"rows\.{suffix}, line 1: has no caption_status"):
        list(Dataset(path))


def test_a_column_of_another_type_is_named(tmp_path):
    path = tmp_path / "rows.parquet"
    for column, values in {"caption": [["a"]], "start_s": ["0"], "flags": ["opener"], "seed": [1.5]}.items():
        pq.write_table(pa.table({column: values}), path)
        with pytest.raises(UsageError, match=rf"rows\.parquet.*column {column} holds"):
            list(Dataset(path, required=()))


def test_rows_of_no_clip_are_told(shard):
    table = pq.read_table(shard)
    ids = pa.array([None, *table["clip_id"].to_pylist()[1:]], pa.string())
    pq.write_table(table.set_column(table.schema.get_field_index("clip_id"), "clip_id", ids), shard)
    folder = RowFolder(str(shard.parent.parent))
    for read in (lambda: list(folder.table.rows()), lambda: folder.done("x"), lambda: folder.keys(since=0)):
        with pytest.raises(UsageError, match=rf"{shard.name} holds rows without a clip_id.*move it away"):
            read()


def test_no_shard_is_waited_for(tmp_path):
    folder = write(str(tmp_path), row(0))
    os.mkfifo(tmp_path / "rows" / "part-000009-00000000.parquet")
    with pytest.raises(
        UsageError, match=r"part-000009-00000000\.parquet cannot be read: is not a regular file"
    ):
        list(folder.table.rows())
