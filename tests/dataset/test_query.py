"""Conditions and queries: right by SQLite, at home in the table, and wrong ones told in one line."""

import json
import os
import sqlite3

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framescribe import Dataset, UsageError
from framescribe.dataset.query import QueryEngine
from framescribe.dataset.row_file import RowFile
from framescribe.dataset.store import RowFolder, row_key
from tests.dataset.test_row_file import AWKWARD_TEXTS, ERROR, row
from tests.dataset.test_store import write

ROWS = [
    row(0, caption="A kite.", duration_s=1.0, output_tokens=3),
    row(1, **ERROR),
    row(2, caption="A cat, a kite.", duration_s=9.5, flags=("opener", "long"), output_tokens=5),
    row(3, caption="Ünïcode \U0001f431", duration_s=4.0, flags=("opener",), output_tokens=5),
]


@pytest.fixture(params=["folder", "memory", "jsonl", "parquet"])
def dataset(request, tmp_path):
    if request.param in ("folder", "memory"):
        name = str(tmp_path / "out") if request.param == "folder" else f"memory://{tmp_path.name}/out"
        write(name, row(2, caption="replaced"), *ROWS)
        return Dataset(name)
    with RowFile(tmp_path / f"rows.{request.param}") as file:
        for each in ROWS:
            file.write(each)
    return Dataset(tmp_path / f"rows.{request.param}")


def ids(found) -> str:
    return "".join(each["clip_id"][-1] for each in found)


def test_conditions_sorting_and_paging(dataset):
    assert ids(dataset) == ids(dataset.rows("true")) == "0123"
    assert ids(dataset.rows("caption LIKE '%kite%'")) == "02"
    assert ids(dataset.rows(["duration_s > 2", "list_contains(flags, 'long')"])) == "2"
    assert (
        ids(dataset.rows(["duration_s > 2 OR true", "caption IS NULL OR seed > 0 -- each by itself"])) == "1"
    )
    assert ids(dataset.rows(order_by="output_tokens DESC NULLS LAST, duration_s")) == "3201"
    assert ids(dataset.rows(order_by="clip_id DESC", limit=2, offset=1)) == "21"
    assert ids(dataset.rows(limit=2, offset=1)) == ids(dataset.rows("1 = 1", limit=2, offset=1)) == "12"
    assert ids(dataset.rows("duration_s > (SELECT avg(duration_s) FROM rows)")) == "2"
    assert list(dataset.rows("seed = 0")) == list(dataset) == [each.to_dict() for each in ROWS]
    assert list(dataset.rows(columns=["prompt_index", "caption"], limit=1)) == [
        {"prompt_index": 0, "caption": "A kite."}
    ]
    assert dataset.count() == 4
    assert dataset.count("caption IS NULL") == 1
    assert dataset.count("duration_s > 100") == 0


def test_queries(dataset):
    counted = dataset.query("SELECT caption_status AS s, count(*) AS n FROM rows GROUP BY ALL ORDER BY n")
    assert list(counted) == [{"s": "error", "n": 1}, {"s": "success", "n": 3}]
    flags = "SELECT flag, count(*) AS n FROM rows, unnest(flags) AS f(flag) GROUP BY flag ORDER BY n"
    assert list(dataset.query(flags)) == [{"flag": "long", "n": 1}, {"flag": "opener", "n": 2}]
    both = "WITH good AS (FROM rows WHERE caption IS NOT NULL) SELECT count(*) AS n FROM good JOIN rows USING (clip_id)"
    assert list(dataset.query(both)) == [{"n": 3}]
    (whole,) = dataset.query("SELECT r FROM rows r WHERE r.CLIP_ID LIKE '%2'")
    assert whole["r"]["caption"] == "A cat, a kite."
    assert {each["caption_status"]: each["rows"] for each in dataset.count_by(["caption_status"])} == {
        "error": 1, "success": 3,
    }  # fmt: skip


def test_many_rows_keep_their_order(tmp_path):
    write(str(tmp_path), *(row(number, caption="even" if number % 2 else "odd") for number in range(6000)),
          rows_per_shard=700)  # fmt: skip
    found = [each["clip_id"] for each in Dataset(tmp_path).rows("caption = 'odd'", columns=["clip_id"])]
    assert found == [f"{number:016x}" for number in range(0, 6000, 2)]


NUMBERS = st.one_of(st.none(), st.integers(-3, 3).map(float))
CONDITIONS = st.recursive(
    st.sampled_from(["duration_s > 1", "fps <= 0", "duration_s = fps", "caption LIKE '%a%'", "caption IS NULL",
                     "caption IN ('a', 'b')", "length(caption) = 2", "NOT fps BETWEEN -1 AND 1"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(lambda parts: f"({' '.join(parts)})"),
        inner.map(lambda each: f"NOT ({each})"),
    ),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=60)
@given(
    st.lists(st.tuples(NUMBERS, NUMBERS, st.one_of(st.none(), st.text("ab", max_size=3))), max_size=8),
    CONDITIONS,
)
def test_conditions_hold_as_sqlite_has_it(values, condition):
    """Of the columns only those are read that the condition names: were one forgotten, this would not be."""
    table = pa.table(
        {
            "number": pa.array(range(len(values)), pa.int64()),
            "duration_s": pa.array([each[0] for each in values], pa.float64()),
            "fps": pa.array([each[1] for each in values], pa.float64()),
            "caption": pa.array([each[2] for each in values], pa.string()),
        }
    )
    engine = QueryEngine(
        table.schema, lambda columns: iter(table.select(columns).to_batches(max_chunksize=3))
    )
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE rows (number INTEGER, duration_s REAL, fps REAL, caption TEXT)")
    database.executemany(
        "INSERT INTO rows VALUES (?, ?, ?, ?)", [(n, *each) for n, each in enumerate(values)]
    )
    expected = [number for (number,) in database.execute(f"SELECT number FROM rows WHERE {condition}")]
    found = [each for batch in engine.select(["number"], [condition]) for each in batch["number"].to_pylist()]
    assert found == expected


OUTSIDE = [
    "(SELECT content FROM read_text('{file}')) LIKE 'r%'",
    "EXISTS (FROM '{file}')",
    "EXISTS (FROM read_csv('{file}'))",
    "EXISTS (FROM read_parquet('{file}'))",
    "EXISTS (FROM read_blob('{file}'))",
    "EXISTS (FROM sniff_csv('{file}'))",
    "EXISTS (FROM glob('/*'))",
    "EXISTS (FROM query('SELECT 1'))",
    "EXISTS (FROM query_table('rows'))",
    "EXISTS (FROM duckdb_settings())",
    "EXISTS (FROM duckdb_secrets())",
    "EXISTS (FROM pragma_version())",
    "EXISTS (FROM information_schema.tables)",
    "EXISTS (FROM secret)",  # a variable here
    "EXISTS (FROM rows, LATERAL (FROM read_text('{file}')))",
    "EXISTS (WITH x AS (FROM read_text('{file}')) FROM x)",
    "EXISTS (FROM json_execute_serialized_sql('x'))",
    "EXISTS (FROM arrow_scan(1, 2, 3))",
    "EXISTS (SUMMARIZE rows)",
    "getenv('HOME') = 'x'",
    "true; COPY rows TO '{file}'",
    "true) UNION SELECT 1 WHERE (true",
    "1) OR (1 = 1",
    "true GROUP BY clip_id",
    "true LIMIT 1",
    "",
]


@pytest.mark.parametrize("condition", OUTSIDE)
def test_a_condition_does_not_leave_the_table(condition, tmp_path):
    secret = pa.table({"a": [1]})  # noqa: F841 - DuckDB finds such, unless it is told not to
    file = tmp_path / "secret.txt"
    file.write_text("root")
    write(str(tmp_path / "out"), row(0))
    with pytest.raises(UsageError, match=r"^`where` "):
        Dataset(tmp_path / "out").rows(condition.format(file=file))
    assert file.read_text() == "root"


@pytest.mark.parametrize(
    "order_by", ["clip_id LIMIT 1", "clip_id; DROP TABLE rows", "", "(FROM read_text('/x'))"]
)
def test_sorting_is_by_expressions_alone(order_by, tmp_path):
    write(str(tmp_path), row(0))
    with pytest.raises(UsageError, match=r"^`order_by` "):
        Dataset(tmp_path).rows(order_by=order_by)


@pytest.mark.parametrize(
    "sql",
    ["COPY rows TO '{file}'", "ATTACH '{file}'", "INSTALL httpfs", "LOAD httpfs", "PRAGMA version", "SET threads = 1",
     "CREATE TABLE t (a INTEGER)", "DROP VIEW rows", "INSERT INTO rows VALUES (1)", "EXPORT DATABASE '{file}'",
     "CALL pragma_version()", "SELECT 1; SELECT 2", "SELECT 1 FROM '{file}'", "SHOW TABLES", "RESET lock_configuration",
     "CHECKPOINT", "SELECT * FROM rows, read_text('{file}')", ""],
)  # fmt: skip
def test_only_select_from_the_table_is_answered(sql, tmp_path):
    write(str(tmp_path / "out"), row(0))
    with pytest.raises(UsageError, match=r"^`sql` "):
        Dataset(tmp_path / "out").query(sql.format(file=tmp_path / "file"))
    assert os.listdir(tmp_path) == ["out"]


def test_the_database_itself_reaches_nothing(tmp_path):
    """Were the parser fooled, DuckDB would still refuse."""
    import duckdb

    write(str(tmp_path), row(0))
    secret = pa.table({"a": [1]})  # noqa: F841
    with Dataset(tmp_path).database() as connection:
        for sql in (
            "FROM read_text('/etc/hostname')", "FROM glob('/*')", f"COPY rows TO '{tmp_path}/x.csv'", "FROM secret",
            f"ATTACH '{tmp_path}/x.db'", "INSTALL httpfs", "SET enable_external_access = true", "LOAD httpfs",
            "SET lock_configuration = false", "SET temp_directory = '/'",
        ):  # fmt: skip
            with pytest.raises(duckdb.Error):
                connection.execute(sql)
        settings = dict(connection.execute("SELECT name, value FROM duckdb_settings()").fetchall())
    assert settings["autoinstall_known_extensions"] == settings["autoload_known_extensions"] == "false"
    assert settings["allow_community_extensions"] == "false"
    assert settings["memory_limit"] == "381.4 MiB"
    assert sorted(os.listdir(tmp_path)) == ["_lock", "_run.json", "rows"]


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        (
            "hight > 100",
            r"`where` hight > 100: at character 1: there is no column hight .*; there are clip_id, so",
        ),
        ("caption LIKE '%ü%' AND colour = 1", "at character 24: there is no column colour"),
        (
            "caption = kite",
            r"at character 11: there is no column kite \(text is written between single quotes\)",
        ),
        ("caption LIKE", "at character (9|13): syntax error"),  # the last word, or in DuckDB 1.5 the end
        ("duration_s >> ' 2", "at character 15: unterminated"),
        ("foo(caption)", "at character 1: Scalar Function with name foo does not exist"),
        ("sum(duration_s) > 1", "WHERE clause cannot contain aggregates"),
        ("\x1b[2J", r"`where` \\x1b\[2J: .*syntax error"),
        ("(" * 20_000 + "1" + ")" * 20_000, r"^`where` "),
    ],
)
def test_wrong_conditions_are_told_at_once_in_one_line(condition, said, tmp_path):
    write(str(tmp_path), row(0))
    with pytest.raises(UsageError, match=said) as error:
        Dataset(tmp_path).rows(condition)
    assert "\n" not in str(error.value)


def test_what_fails_for_a_row_is_told(tmp_path):
    write(str(tmp_path), row(0, caption="seven"))
    for condition in ("CAST(caption AS INTEGER) > 1", "caption", "error(caption)"):
        with pytest.raises(UsageError, match=r"^`where` .*seven"):
            list(Dataset(tmp_path).rows(condition))


def test_damage_is_told_by_name_whatever_is_asked(tmp_path):
    folder = write(str(tmp_path), *map(row, range(4)))
    shard = folder.table.shards()[1]
    with open(shard, "r+b") as file:
        file.seek(300)
        file.write(b"\xff\x00\xff")
    dataset = Dataset(tmp_path)
    for read in (
        lambda: list(dataset),
        lambda: list(dataset.rows("true")),
        lambda: list(dataset.rows("true", columns=["clip_id"], limit=1)),
        dataset.count,
        lambda: list(dataset.query("SELECT 1 AS one FROM rows LIMIT 1")),
        lambda: list(dataset.count_by(["caption_status"])),
    ):
        with pytest.raises(UsageError, match=rf"^\S*{os.path.basename(shard)} is damaged"):
            read()


def test_a_change_within_a_process_is_seen(tmp_path):
    """What was compared once is remembered, for a file that is as it was."""
    folder = write(str(tmp_path), *map(row, range(4)))
    shards = folder.table.shards()
    for shard in shards:
        os.utime(shard, (1, 1))
    dataset = Dataset(tmp_path)
    assert dataset.count("true") == dataset.count("true") == 4
    with open(shards[0], "r+b") as file:
        file.seek(300)
        byte = file.read(1)[0]
        file.seek(300)
        file.write(bytes([byte ^ 1]))
    os.utime(shards[0], (1, 1))
    with pytest.raises(UsageError, match="is damaged"):
        dataset.count("true")
    os.remove(shards[0])
    assert dataset.count("true") == 2
    write(str(tmp_path), row(2, caption="new"))
    assert dataset.count("true") == 2
    assert [each["caption"] for each in dataset] == ["Caption 3.", "new"]


def test_prompts_of_a_clip_lie_side_by_side(tmp_path):
    write(
        str(tmp_path), row(0, caption="old"), row(0, prompt_index=1, caption="other"), row(0, caption="new")
    )
    assert [(each["prompt_index"], each["caption"]) for each in Dataset(tmp_path)] == [
        (1, "other"),
        (0, "new"),
    ]
    folder = RowFolder(str(tmp_path))
    (shard, _) = folder.table.shards()
    made_by = pq.read_metadata(shard).metadata[b"framescribe.run"].decode()
    assert sorted(folder.done(made_by)) == [row_key(f"{0:016x}", 0), row_key(f"{0:016x}", 1)]


def test_foreign_columns_of_lines(tmp_path):
    known = {"clip_id": "a", "source_video": "a", "caption_status": "success"}
    lines = [
        known | {"score": 1, "tags": {"a": [1]}, "big": 2**70},
        known | {"clip_id": "b", "score": 2.5, "is_new": True, "lone": "\ud83d"},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    dataset = Dataset(path)
    assert list(dataset) == lines
    assert ids(dataset.rows("score > 1.5 AND is_new")) == "b"
    assert ids(dataset.rows("tags LIKE '%[1]%' AND big > '1' AND prompt_index = 0")) == "a"
    assert dataset.columns == [
        "clip_id",
        "source_video",
        "caption_status",
        "score",
        "tags",
        "big",
        "is_new",
        "lone",
    ]
    assert next(dataset.rows("is_new"))["lone"] == "\\ud83d"


def test_bad_lines_are_passed_over_once(tmp_path):
    path = tmp_path / "rows.jsonl"
    good = json.dumps({"clip_id": "a", "source_video": "a", "caption_status": "success"})
    path.write_text(f"{good}\n{{\n{good}\n")
    told: list[int] = []
    dataset = Dataset(path, on_bad=lambda number, reason: told.append(number))
    assert ids(dataset.rows("clip_id = 'a'")) == "aa"
    assert told == [2]
    with pytest.raises(UsageError, match="line 2: is not JSON"):
        Dataset(path).rows("clip_id = 'a'")


@pytest.mark.parametrize("text", AWKWARD_TEXTS)
def test_awkward_texts(text, tmp_path):
    write(str(tmp_path), row(0, caption=text), row(1))
    quoted = text.replace("'", "''")
    if "\x00" in text:
        quoted = quoted.replace("\x00", "' || chr(0) || '")
    assert [each["caption"] for each in Dataset(tmp_path).rows(f"caption = '{quoted}'")] == [text]


def test_unknown_names_and_numbers(tmp_path):
    write(str(tmp_path), row(0))
    with pytest.raises(UsageError, match="there is no column size; there are clip_id"):
        Dataset(tmp_path).rows(columns=["size"])
    for wrong in ({"limit": -1}, {"offset": -1}):
        with pytest.raises(UsageError, match="must be 0 or more, not -1"):
            Dataset(tmp_path).rows(**wrong)
    assert repr(Dataset(tmp_path)) == f"Dataset({str(tmp_path)!r})"
