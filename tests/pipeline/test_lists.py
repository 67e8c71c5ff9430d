"""Lists written by other libraries; what is wrong in them is told by file and line."""

import csv
import json

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from framescribe.errors import ClipError, UsageError
from framescribe.pipeline.sources import expand_sources
from framescribe.types import Clip
from framescribe.video.source import open_source


def clips(*sources: object, **span) -> list[Clip]:
    return list(expand_sources(map(str, sources), **span))


def test_a_text_list(tmp_path):
    names = ["a.mp4", "  spaces in it .mp4", "猫/видео 🎬.mp4", "/abs/b.mp4", "s3://bucket/c.mp4", "a.mp4"]
    path = tmp_path / "list.txt"
    path.write_bytes(
        ("\ufeff" + "\r\n".join(names[:2]) + "\n\n" + "\n".join(names[2:])).encode() + b"\ncaf\xe9.mp4"
    )
    found = [clip.source_video for clip in clips(path)]
    expected = [f"{tmp_path}/{n}" for n in names[:3]] + names[3:5] + [f"{tmp_path}/a.mp4"]
    assert found[:-1] == expected
    assert found[-1].encode("utf-8", "surrogateescape") == f"{tmp_path}/caf".encode() + b"\xe9.mp4"


ENTRIES = [
    {"path": 'with, "quotes".mp4', "id": "one", "start_s": 1.5, "end_s": 3.0, "prompt": "What?\nAnd why?"},
    {"path": "b.mp4", "id": None, "start_s": None, "end_s": None, "prompt": None},
]


@pytest.fixture(params=["csv", "jsonl", "parquet"])
def listed(request, tmp_path):
    path = tmp_path / f"list.{request.param}"
    if request.param == "csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["path", "id", "start_s", "end_s", "prompt"])
            writer.writeheader()
            writer.writerows(ENTRIES)
    elif request.param == "jsonl":
        path.write_text("".join(json.dumps(entry) + "\n" for entry in ENTRIES))
    else:
        pq.write_table(pa.Table.from_pylist(ENTRIES), path)
    return path


def test_columns_of_a_list(listed):
    assert clips(listed, start_s=0.5, end_s=9.0) == [
        Clip(f'{listed.parent}/with, "quotes".mp4', 1.5, 3.0, prompt="What?\nAnd why?", given_id="one"),
        Clip(f"{listed.parent}/b.mp4", 0.5, 9.0),
    ]
    assert clips(listed)[0].id == "one"


def test_a_list_behind_a_url_names_its_neighbours():
    memory = fsspec.filesystem("memory")
    memory.pipe("/lists/list.csv", b"video\na.mp4\n")
    assert clips("memory://lists/list.csv") == [Clip("memory://lists/a.mp4")]
    memory.rm("/lists", recursive=True)


@pytest.mark.parametrize(
    ("name", "text", "bad"),
    [
        ("l.csv", 'path,start_s\na.mp4,1\nb.mp4,soon\n\nc.mp4\n,3\n"d\ne.mp4",2\nf.mp4,-1\n', {3, 5, 6, 9}),
        (
            "l.jsonl",
            '{"path": "a"}\n{"path"\n[1]\n{"x": 1}\n{"path": null}\n{"path": 3}\n\xff\n',
            {2, 3, 4, 5, 6, 7},
        ),
        ("l.jsonl", '{"path": "a", "end_s": 0}\n{"path": "a", "id": 1}\n{"path": "b", "id": "1"}\n', {1, 3}),
        ("l.jsonl", '{"path": "a", "id": 1}\n{"path": "a", "id": 1}\n' + "[" * 100_000 + "\n", {3}),
        ("l.csv", "path,id\na,\xe9\nb,\u00a0b\n", {2, 3}),
    ],
)
def test_each_bad_line_is_a_clip_that_says_file_and_line(name, text, bad, tmp_path):
    path = tmp_path / name
    path.write_bytes(text.encode("latin-1"))
    found = clips(path)
    problems = {clip.source_video: clip.problem for clip in found if clip.problem}
    assert set(problems) == {f"{path}:{line}" for line in bad}
    for line in bad:
        problem = problems[f"{path}:{line}"]
        assert problem.startswith(f"{path}, line {line}: ")
        with pytest.raises(ClipError) as caught, open_source(Clip("x", problem=problem)):
            pass
        assert (caught.value.stage, str(caught.value)) == ("open", problem)


def test_a_list_without_a_column_of_paths_is_refused(tmp_path):
    path = tmp_path / "l.csv"
    path.write_text("name,text\na,b\n")
    with pytest.raises(ValueError, match=r"l\.csv has no column of paths \(source_video.*it has: name, text"):
        clips(path)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_spans_without_their_unit_are_refused(suffix, tmp_path):
    """Passing over the columns would caption the whole video."""
    path = tmp_path / f"l.{suffix}"
    if suffix == "csv":
        path.write_text("video,start,end\na.mp4,1,2\n")
    else:
        pq.write_table(pa.table({"video": ["a.mp4"], "start": [1.0], "end": [2.0]}), path)
    with pytest.raises(UsageError, match="columns end, start: name them start_s and end_s, in seconds"):
        clips(path)


def test_a_video_named_like_a_list_is_a_video(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\x1aE\xdf\xa3\0\0")
    assert clips(tmp_path / "a.txt") == [Clip(f"{tmp_path}/a.txt")]


def test_what_a_glob_finds_beside_videos_is_no_list(tmp_path):
    (tmp_path / "a.txt").write_text("A caption.\n")
    with pytest.raises(UsageError, match=r"nothing matches this pattern \(passed over: 1 \.txt\)"):
        clips(tmp_path / "*")
    assert clips(tmp_path / "*.txt") == [Clip(f"{tmp_path}/A caption.")]


def test_order_of_a_long_list_is_kept_and_read_lazily(tmp_path):
    path = tmp_path / "l.txt"
    path.write_text("".join(f"{number}.mp4\n" for number in range(10_000)))
    entries = expand_sources([str(path)])
    assert next(entries).source_video.endswith("/0.mp4")
    assert sum(1 for _ in entries) == 9_999


CAPTION = "".join(f"some words, and more of line {number}\n" for number in range(9000))


def test_a_cell_of_any_length(tmp_path):
    """As ``pandas.read_csv`` (3.1.1) reads the same file: two rows, ``a.mp4`` and ``c d.mp4``."""
    path = tmp_path / "l.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["path", "caption"], ["a.mp4", CAPTION], ["c d.mp4", "short"]])
    assert path.stat().st_size > 2 * 131_072  # the module's own limit for a cell
    assert clips(path) == [Clip(f"{tmp_path}/a.mp4"), Clip(f"{tmp_path}/c d.mp4")]


@pytest.mark.parametrize(
    ("content", "good", "problems"),
    [
        # A quote that never ends: where the next entry begins cannot be known. One clean error, no bogus clips
        # (pandas 3.1.1: "EOF inside string starting at row 2").
        (b'path,caption\na.mp4,fine\nb.mp4,"never closed\n' + b"c.mp4,x\n" * 9000, ["a.mp4"], 1),
        (b'path,caption\na.mp4,"' + b"x" * (17 << 20) + b'\n"\nb.mp4,y\n', [], 1),
        (b"path,caption\ra.mp4,x\rb.mp4,y\r", ["a.mp4", "b.mp4"], 0),  # line ends of old Macs
        (b'path,caption\r\na.mp4,"two\r\nlines"\r\n\r\nb.mp4,y', ["a.mp4", "b.mp4"], 0),
        (b'path,caption\na.mp4,"say ""x"""\nb.mp4,y,z\nc.mp4,y\n', ["a.mp4", "c.mp4"], 1),
        (b"path,caption\na\0.mp4,x\nb.mp4,y\n", None, None),
    ],
)
def test_cells_of_every_sort(content, good, problems, tmp_path):
    path = tmp_path / "l.csv"
    path.write_bytes(content)
    if good is None:  # a null byte is no text
        assert clips(path) == [Clip(str(path))]
        return
    found = clips(path)
    assert [clip.source_video for clip in found if not clip.problem] == [
        f"{tmp_path}/{name}" for name in good
    ]
    assert len([clip for clip in found if clip.problem]) == problems
    assert all(len(clip.problem or "") < 1500 for clip in found)


def test_values_of_any_size_are_short_in_messages(tmp_path):
    path = tmp_path / "l.jsonl"
    values = [
        '["' + "x" * 10**6 + '"]', "1" * 4000, '"a.mp4", "id": "' + "\\u0007" * 10**5 + '"',
        '"a.mp4", "start_s": "' + "y" * 10**6 + '"',
    ]  # fmt: skip
    path.write_text("".join(f'{{"path": {value}}}\n' for value in values))
    found = clips(path)
    assert len(found) == len(values)
    assert all(clip.problem and len(clip.problem) < 1500 for clip in found)


def test_the_file_that_synthesize_writes_is_a_list(tmp_path):
    line = {"file": "000.mp4", "caption": "A red square.", "facts": {"color": "red"}, "held_out": False}
    (tmp_path / "captions.jsonl").write_text(json.dumps(line) + "\n")
    assert clips(tmp_path / "captions.jsonl") == [Clip(f"{tmp_path}/000.mp4")]


def test_one_id_for_two_clips_of_two_lists(tmp_path):
    for number, name in enumerate(("a.mp4", "b.mp4")):
        (tmp_path / f"{number}.jsonl").write_text(json.dumps({"path": name, "id": "mine"}) + "\n")
    found = clips(tmp_path / "0.jsonl", tmp_path / "1.jsonl", tmp_path / "0.jsonl")
    assert [clip.source_video for clip in found] == [
        f"{tmp_path}/a.mp4", f"{tmp_path}/1.jsonl:1", f"{tmp_path}/a.mp4"
    ]  # fmt: skip
    assert found[1].problem == f"{tmp_path}/1.jsonl, line 1: another clip has the id 'mine'"
    assert len({clip.id for clip in found}) == 2


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize("suffix", ["txt", "csv", "jsonl"])
def test_other_encodings_are_said(encoding, suffix, tmp_path):
    path = tmp_path / f"l.{suffix}"
    path.write_text('path\n{"path": "a.mp4"}\n', encoding=encoding)
    with pytest.raises(UsageError, match=f"is {encoding.upper()}; save it as UTF-8"):
        clips(path)


@pytest.mark.parametrize("value", ["NaN", "null", '""', '" "'])
def test_what_is_missing_is_missing_however_it_is_spelled(value, tmp_path):
    path = tmp_path / "l.jsonl"
    path.write_text(
        f'{{"path": "a.mp4", "start_s": {value}, "end_s": {value}, "id": {value}, "prompt": {value}}}\n'
    )
    assert clips(path, start_s=1.0, end_s=2.0) == [Clip(f"{tmp_path}/a.mp4", 1.0, 2.0)]
    data = pa.table(
        {"path": ["a.mp4"], "start_s": [float("nan")], "end_s": [float("nan")], "id": [float("nan")]}
    )
    pq.write_table(data, tmp_path / "l.parquet")
    assert clips(tmp_path / "l.parquet", start_s=1.0, end_s=2.0) == [Clip(f"{tmp_path}/a.mp4", 1.0, 2.0)]


def test_a_damaged_table(tmp_path):
    path = tmp_path / "l.parquet"
    pq.write_table(pa.table({"path": [f"{number}.mp4" for number in range(1000)]}), path)
    content = bytearray(path.read_bytes())
    content[100:400] = b"\xff" * 300
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"l\.parquet cannot be read"):
        clips(path)
    path.write_bytes(b"PAR1" + b"\xff\xff\xff\x7f" * 10 + b"PAR1")
    with pytest.raises(UsageError, match=r"l\.parquet cannot be read"):
        clips(path)
