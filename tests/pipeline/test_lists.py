"""Lists and tars written by other libraries; what is wrong in them is told by file and line."""

import csv
import io
import json
import pickle
import tarfile

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


def tar(path, members: dict[str, bytes]):
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("link.mp4")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return path


MEMBERS = {
    "k1.mp4": b"one" * 999,
    "k1.txt": b"text",
    "../../up/k 2 猫.webm": b"two",
    "._x.mp4": b"",
    "n/k3.mp4": b"3",
}


@pytest.mark.parametrize("remote", [False, True])
def test_videos_in_a_tar_are_read_in_place(remote, tmp_path):
    name = str(tar(tmp_path / "shard-0.tar", MEMBERS))
    if remote:
        fsspec.filesystem("memory").pipe("/shard-0.tar", (tmp_path / "shard-0.tar").read_bytes())
        name = "memory://shard-0.tar"
    found = clips(name)
    videos = ["k1.mp4", "../../up/k 2 猫.webm", "n/k3.mp4"]
    assert [clip.source_video for clip in found] == [f"{name}::{video}" for video in videos]
    for clip, video in zip(found, videos, strict=True):
        for each in (clip, pickle.loads(pickle.dumps(clip)), Clip(clip.source_video)):
            with open_source(each) as file:
                assert file.read() == MEMBERS[video]
                file.seek(1)
                assert file.read(2) == MEMBERS[video][1:3]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shard-0.tar"]
    with pytest.raises(ClipError, match="there is no k9"), open_source(Clip(f"{name}::k9.mp4")):
        pass


@pytest.mark.parametrize("cut", [100, 512 + 1000, 512 + 3072 + 100, 512 + 3072 + 512 + 512 + 200])
def test_a_damaged_tar_says_so_after_what_can_be_read(cut, tmp_path):
    path = tar(tmp_path / "x.tar", MEMBERS)
    path.write_bytes(path.read_bytes()[:cut])
    found = clips(path)
    assert str(path) in (found[-1].problem or "")
    assert len(found) == (1 if cut < 512 else 2)


def test_tars_by_glob(tmp_path):
    for number in range(2):
        tar(tmp_path / f"{number}.tar", {"a.mp4": b"a"})
    assert [c.source_video for c in clips(tmp_path / "*.tar")] == [
        f"{tmp_path}/{n}.tar::a.mp4" for n in (0, 1)
    ]


def test_folders_behind_urls(tmp_path):
    memory = fsspec.filesystem("memory")
    memory.pipe(
        {f"/bucket/dir/{name}": b"x" for name in ("b.mp4", "sub/c.MKV", "a.txt", ".h/d.mp4", "a.mp4")}
    )
    expected = [f"memory:///bucket/dir/{name}" for name in ("a.mp4", "b.mp4", "sub/c.MKV")]
    for spelling in ("memory://bucket/dir/", "memory://bucket/dir"):
        found = [clip.source_video.replace("memory:///", "memory://") for clip in clips(spelling)]
        assert found == [name.replace("memory:///", "memory://") for name in expected]
    memory.rm("/bucket", recursive=True)
