import os

import fsspec
import pytest

from framescribe.pipeline.sources import expand_sources
from framescribe.types import Clip


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A folder with videos and what lies beside them; the working folder."""
    for name in (
        "b.mp4",
        "a.MOV",
        "notes.txt",
        ".hidden.mp4",
        "sub/deep/c.webm",
        ".git/d.mp4",
        "ünï cødé 猫.mkv",
        "x[1].mp4",
    ):
        path = tmp_path / "videos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "videos" / "folder.mp4").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*sources: str) -> list[str]:
    return [clip.source_video for clip in expand_sources(sources)]


IN_FOLDER = ["a.MOV", "b.mp4", "sub/deep/c.webm", "x[1].mp4", "ünï cødé 猫.mkv"]


@pytest.mark.parametrize("spelling", ["videos", "videos/", "./videos", "../{here}/videos"])
def test_a_folder_is_searched_for_videos(spelling, tree):
    folder = spelling.format(here=tree.name)
    assert names(folder) == [os.path.join(folder, name) for name in IN_FOLDER]
    assert names(str(tree / "videos")) == [str(tree / "videos" / name) for name in IN_FOLDER]


def test_the_hidden_part_of_the_way_to_a_folder_does_not_matter(tree):
    (tree / "videos").rename(tree / ".videos")
    assert len(names(".videos")) == len(IN_FOLDER)


def test_a_folder_without_videos_is_said_and_becomes_a_clip_that_fails(tree, caplog):
    assert names("empty") == ["empty"]
    assert "empty: no video files in this folder" in caplog.text


def test_files_are_taken_whatever_their_ending(tree):
    assert names("videos/notes.txt", "videos/.hidden.mp4", "missing.mp4") == [
        "videos/notes.txt", "videos/.hidden.mp4", "missing.mp4",
    ]  # fmt: skip


def test_globs(tree):
    assert names("videos/*.mp4") == ["videos/b.mp4", "videos/x[1].mp4"]
    assert names("videos/**/*.webm") == ["videos/sub/deep/c.webm"]
    assert names("videos/?.mp4") == ["videos/b.mp4"]
    assert names("videos/*.avi") == ["videos/*.avi"]
    # A file whose name looks like a glob is that file.
    assert names("videos/x[1].mp4") == ["videos/x[1].mp4"]


def test_order_is_that_of_the_names(tree):
    assert names("videos/b.mp4", "videos/sub", "videos/a.MOV") == [
        "videos/b.mp4", "videos/sub/deep/c.webm", "videos/a.MOV",
    ]  # fmt: skip


@pytest.fixture
def memory():
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe({"/bucket/a.mp4": b"a", "/bucket/b.mp4": b"b", "/bucket/dir.mp4/c.mp4": b"c"})
    yield
    filesystem.rm("/bucket", recursive=True)


def test_url_globs(memory):
    found = names("memory://bucket/*.mp4")
    assert [fsspec.open(name).open().read() for name in found] == [b"a", b"b"]  # and not the folder
    assert names("memory://bucket/a.mp4") == ["memory://bucket/a.mp4"]
    assert names("memory://bucket/z*.mp4") == ["memory://bucket/z*.mp4"]


@pytest.mark.parametrize(
    "url", ["https://host/a.mp4?x=[1]*", "nosuch://bucket/*.mp4", "s3://no-such-bucket/?.mp4"]
)
def test_urls_that_cannot_be_listed_are_clips_as_they_stand(url):
    assert names(url) == [url]


def test_the_span_goes_to_every_clip(tree):
    assert list(expand_sources(["videos/*.mp4"], 1.5, 4)) == [
        Clip("videos/b.mp4", 1.5, 4), Clip("videos/x[1].mp4", 1.5, 4),
    ]  # fmt: skip


def test_expansion_is_lazy(tree):
    def endless():
        while True:
            yield "videos/b.mp4"

    assert next(expand_sources(endless())).source_video == "videos/b.mp4"
