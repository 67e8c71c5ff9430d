import os

import fsspec
import pytest

from framescribe.errors import UsageError
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
IN_VIDEOS = ["videos/x[1].mp4", "videos/ünï cødé 猫.mkv"]


@pytest.mark.parametrize("spelling", ["videos", "videos/", "./videos", "../{here}/videos"])
def test_a_folder_is_searched_for_videos(spelling, tree):
    folder = spelling.format(here=tree.name)
    assert names(folder) == [os.path.join(folder, name) for name in IN_FOLDER]
    assert names(str(tree / "videos")) == [str(tree / "videos" / name) for name in IN_FOLDER]


def test_the_hidden_part_of_the_way_to_a_folder_does_not_matter(tree):
    (tree / "videos").rename(tree / ".videos")
    assert len(names(".videos")) == len(IN_FOLDER)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("missing.mp4", "missing.mp4: there is no such file or folder"),
        ("missing/", "missing/: there is no such file or folder"),
        ("missing.tar", "there is no such file"),
        ("missing.tar::a.mp4", "there is no such file"),
        ("missing.csv", "there is no such file"),
        ("file:///missing.mp4", "there is no such file"),
        ("no\0name.mp4", "there is no such file"),
        ("empty", "empty: there are no video files in this folder"),
        ("videos/*.avi", r"videos/\*.avi: nothing matches this pattern"),
        ("nowhere/*.mp4", "nowhere: cannot be listed: No such file"),
        ("videos/.git", r"passed over: 1 no video|there are no video files|d.mp4"),
        ("empty.txt", "empty.txt: the list is empty"),
        ("blank.csv", "blank.csv: the list is empty"),
        ("only-header.csv", "only-header.csv: the list is empty"),
        ("clips.tar.gz", "compressed archives are not read in place"),
        ("clips.tgz", "compressed archives are not read in place"),
        ("clips.ZIP", "compressed archives are not read in place"),
        ("nosuch://bucket/*.mp4", "nothing is read by nosuch://"),
        ("memory://nowhere/*.mp4", "cannot be listed|nothing matches"),
    ],
)
def test_what_leads_to_no_clip_is_wrong_usage(source, said, tree):
    for name in ("clips.tar.gz", "clips.tgz", "clips.ZIP", "empty.txt"):
        (tree / name).touch()
    (tree / "blank.csv").write_text("\n\n")
    (tree / "only-header.csv").write_text("path,id\n")
    (tree / "videos/.git/d.mp4").rename(tree / "videos/.git/d.dat")
    with pytest.raises(UsageError, match=said):
        names("videos/b.mp4", source)


def test_files_are_taken_whatever_their_ending(tree):
    (tree / "videos/clip.dat").touch()
    (tree / "videos/caption.txt").write_bytes(b"\0")
    assert names("videos/caption.txt", "videos/.hidden.mp4", "videos/clip.dat") == [
        "videos/caption.txt", "videos/.hidden.mp4", "videos/clip.dat",
    ]  # fmt: skip


def test_globs(tree):
    assert names("videos/*.mp4") == ["videos/b.mp4", "videos/x[1].mp4"]
    assert names("videos/**/*.webm") == ["videos/sub/deep/c.webm"]
    assert names("videos/?.mp4") == ["videos/b.mp4"]
    assert names("videos/*") == names("videos/[!s]*") == ["videos/a.MOV", "videos/b.mp4", *IN_VIDEOS]
    assert names("videos/*/*/*.webm", "**/c.*") == ["videos/sub/deep/c.webm"] * 2
    assert names(f"{tree}/*/b.*") == [f"{tree}/videos/b.mp4"]
    (tree / "videos/notes.txt").write_bytes(b"no text: \0")
    assert names("videos/*.txt") == ["videos/notes.txt"]
    assert names("videos/**") == names("videos/**/*") == names("videos/**/**/*") == names("videos")
    # A file whose name looks like a glob is that file.
    assert names("videos/x[1].mp4") == ["videos/x[1].mp4"]


def test_order_is_that_of_the_names(tree):
    assert names("videos/b.mp4", "videos/sub", "videos/a.MOV") == [
        "videos/b.mp4", "videos/sub/deep/c.webm", "videos/a.MOV",
    ]  # fmt: skip


@pytest.fixture
def memory():
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe({"/globs/a.mp4": b"a", "/globs/b.mp4": b"b", "/globs/dir.mp4/c.mp4": b"c"})
    yield
    filesystem.rm("/globs", recursive=True)


def test_url_globs(memory):
    found = names("memory://globs/*.mp4")
    assert [fsspec.open(name).open().read() for name in found] == [b"a", b"b"]  # and not the folder
    assert names("memory://globs/a.mp4") == ["memory://globs/a.mp4"]
    assert names("memory://globs/**/*.mp4") == [
        "memory://globs/a.mp4", "memory://globs/b.mp4", "memory://globs/dir.mp4/c.mp4"
    ]  # fmt: skip
    with pytest.raises(UsageError, match="nothing matches this pattern"):
        names("memory://globs/z*.mp4")
    fsspec.filesystem("memory").pipe("/globs/odd [1]?.mp4", b"odd")
    assert names("memory://globs/odd [1]?.mp4") == ["memory://globs/odd [1]?.mp4"]


@pytest.mark.parametrize("url", ["https://host/a.mp4?x=[1]*", "https://host/folder/", "https://host/*.mp4"])
def test_what_a_web_server_holds_is_not_listed(url):
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
