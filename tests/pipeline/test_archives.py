"""Tars and tables that hold videos, and folders behind URLs, as they are named."""

import io
import pickle
import tarfile

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from framescribe.errors import ClipError
from framescribe.pipeline.sources import expand_sources
from framescribe.types import Clip
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
        {f"/bucket/dir/{name}": b"x" for name in ("b.mp4", "sub/c.MKV", "a.txt", ".h/d.mp4", "a.mp4")}
    )
    expected = [f"memory:///bucket/dir/{name}" for name in ("a.mp4", "b.mp4", "sub/c.MKV")]
    for spelling in ("memory://bucket/dir/", "memory://bucket/dir"):
        found = [clip.source_video.replace("memory:///", "memory://") for clip in clips(spelling)]
        assert found == [name.replace("memory:///", "memory://") for name in expected]
    memory.rm("/bucket", recursive=True)


def test_a_video_of_a_table_behind_a_signed_address(tmp_path):
    pq.write_table(pa.table({"video": [b"one"]}), tmp_path / "data.parquet")
    content = (tmp_path / "data.parquet").read_bytes()
    fsspec.filesystem("memory").pipe("/data.parquet?sig=a%2Fb", content)
    with open_source(Clip("memory://data.parquet?sig=a%2Fb::0")) as file:
        assert file.read() == b"one"
