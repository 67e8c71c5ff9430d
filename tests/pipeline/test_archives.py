"""Tars and tables that hold videos, and folders behind URLs, as they are named."""

import io
import os
import pickle
import tarfile

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from framescribe.errors import ClipError
from framescribe.pipeline.sources import expand_sources
from framescribe.types import Clip
from framescribe.video import table
from framescribe.video.source import open_source


def clips(*sources: object) -> list[Clip]:
    return list(expand_sources(map(str, sources)))


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
        {f"/archives/dir/{name}": b"x" for name in ("b.mp4", "sub/c.MKV", "a.txt", ".h/d.mp4", "a.mp4")}
    )
    expected = [f"memory:///archives/dir/{name}" for name in ("a.mp4", "b.mp4", "sub/c.MKV")]
    for spelling in ("memory://archives/dir/", "memory://archives/dir"):
        found = [clip.source_video.replace("memory:///", "memory://") for clip in clips(spelling)]
        assert found == [name.replace("memory:///", "memory://") for name in expected]
    memory.rm("/archives", recursive=True)


def test_a_video_of_a_table_behind_a_signed_address(tmp_path):
    pq.write_table(pa.table({"video": [b"one"]}), tmp_path / "data.parquet")
    content = (tmp_path / "data.parquet").read_bytes()
    fsspec.filesystem("memory").pipe("/data.parquet?sig=a%2Fb", content)
    with open_source(Clip("memory://data.parquet?sig=a%2Fb::0")) as file:
        assert file.read() == b"one"


HELD = [
    {"video": {"bytes": b"video one" * 100_000, "path": "one.mp4"}, "caption": "x"},
    {"video": {"bytes": None, "path": "two.mp4"}, "caption": "y"},
    {"video": {"bytes": b"video three", "path": None}, "caption": "z"},
    {"video": {"bytes": b"video four", "path": "folder/one.mp4"}, "caption": "z"},
    {"video": {"bytes": None, "path": None}, "caption": "z"},
    {"video": None, "caption": "z"},
]


@pytest.mark.parametrize("rows", [slice(0, 6), slice(2, 4), slice(1, 2)], ids=["mixed", "bytes", "paths"])
@pytest.mark.parametrize("remote", [False, True])
def test_videos_that_a_table_holds(rows, remote, tmp_path):
    """As the ``datasets`` library writes a video column."""
    path = tmp_path / "data.parquet"
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    data = pa.table(
        {"video": pa.array([row["video"] for row in HELD], kind), "caption": [row["caption"] for row in HELD]}
    ).slice(rows.start, rows.stop - rows.start)
    pq.write_table(data, path, row_group_size=2)
    name = str(path)
    if remote:
        fsspec.filesystem("memory").pipe("/data.parquet", path.read_bytes())
        name = "memory://data.parquet"
    found = clips(name)
    assert len(found) == data.num_rows
    for number, (clip, row) in enumerate(zip(found, HELD[rows], strict=True)):
        video = row["video"] or {"bytes": None, "path": None}
        if video["bytes"] is None and video["path"] is None:
            assert "video is None; a path or URL is needed" in clip.problem
        elif video["bytes"] is None:
            assert clip == Clip("memory://two.mp4" if remote else f"{tmp_path}/two.mp4")
        else:
            base = (video["path"] or "").rpartition("/")[2]
            assert clip.source_video == f"{name}::{number}" + (f"/{base}" if base else "")
            for each in (clip, pickle.loads(pickle.dumps(clip)), Clip(clip.source_video)):
                with open_source(each) as file:
                    assert file.read() == video["bytes"]
    with (
        pytest.raises(ClipError, match=r"there is no video 99/x\.mp4"),
        open_source(Clip(f"{name}::99/x.mp4")),
    ):
        pass


def test_row_groups_too_large_to_read_are_said(tmp_path, monkeypatch):
    monkeypatch.setattr(table, "MAX_GROUP_BYTES", 10_000)
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table({"video": [b"small", os.urandom(20_000)]}), path, row_group_size=1)
    small, large = clips(path)
    with open_source(small) as file:
        assert file.read() == b"small"
    with (
        pytest.raises(ClipError, match=r"row group 1 has 20,\d+ bytes, more than 10,000"),
        open_source(large),
    ):
        pass


def test_a_column_of_bytes_alone(tmp_path):
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table({"video": [b"one", b"two"], "id": ["a", "b"]}), path)
    assert [(clip.source_video, clip.id) for clip in clips(path)] == [
        (f"{path}::0", "a"),
        (f"{path}::1", "b"),
    ]
    for clip, content in zip(clips(path), (b"one", b"two"), strict=True):
        with open_source(clip) as file:
            assert file.read() == content
