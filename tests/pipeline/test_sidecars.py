"""Captions beside videos: whole, never over a video or through a link, and one that fails stops no other."""

import os

import pytest

from framescribe.errors import ClipError, UsageError
from framescribe.pipeline.sidecars import Sidecars, sidecar_path
from framescribe.types import Clip
from tests.dataset.test_row_file import ERROR, left, row


def write(video, caption="A clip.") -> None:
    Sidecars().write(row(source_video=str(video), caption=caption))


def test_they_stand_beside_their_videos(tmp_path):
    video = tmp_path / "a.b.mp4"
    write(video, "Ein Kätzchen.")
    assert (tmp_path / "a.b.txt").read_text(encoding="utf-8") == "Ein Kätzchen.\n"
    Sidecars().write(row(source_video=str(video), **ERROR))
    Sidecars().write(row(source_video=str(video), caption="", caption_status="empty"))
    assert (tmp_path / "a.b.txt").read_text(encoding="utf-8") == "Ein Kätzchen.\n"
    assert left(video) == ["a.b.txt"]


@pytest.mark.parametrize(
    ("status", "flags", "refused"),
    [
        ("repetitive", ("looping",), "repetitive"),
        ("repetitive", ("exclamation",), "repetitive"),
        ("truncated", ("cut_off",), "truncated"),
        ("success", ("cut_off", "opener"), "cut_off"),
        ("success", ("non_text",), "non_text"),
        ("success", ("opener", "over_budget"), None),
        ("success", (), None),
    ],
)
def test_what_came_out_badly_is_no_text_file_and_counted(status, flags, refused, tmp_path):
    sidecars = Sidecars()
    sidecars.write(row(source_video=str(tmp_path / "a.mp4"), caption="!", caption_status=status, flags=flags))
    assert (tmp_path / "a.txt").exists() is (refused is None)
    assert dict(sidecars.refused) == ({refused: 1} if refused else {})


def test_a_url_has_no_side():
    with pytest.raises(UsageError, match=r"s3://bucket/a.mp4: `txt`"):
        sidecar_path("s3://bucket/a.mp4")


def check(*videos) -> None:
    sidecars = Sidecars()
    for video in videos:
        sidecars.add(Clip(str(video)))
    sidecars.check()


def test_one_that_is_a_video_is_refused_before_any_work(tmp_path):
    for name in ("movie.txt", "movie.mp4", "other.mp4", "upper.TXT"):
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to(tmp_path)
    check(tmp_path / "movie.mp4", tmp_path / "other.mp4", tmp_path / "upper.TXT")
    for videos in (
        ["movie.txt"],
        ["movie.mp4", "link/movie.txt"],
        ["link/movie.txt", "other.mp4", "link/movie.mp4"],
    ):
        with pytest.raises(UsageError, match=r"would (replace the video|both write).*movie\.txt"):
            check(*(tmp_path / video for video in videos))


def test_two_clips_do_not_share_one(tmp_path):
    with pytest.raises(UsageError, match=r"a\.mp4 and .*a\.webm would both write .*a\.txt"):
        check(tmp_path / "a.mp4", tmp_path / "a.webm")


def test_what_is_no_plain_file_of_its_own_is_left_alone(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "soft.txt").symlink_to(victim)
    (tmp_path / "dangling.txt").symlink_to(tmp_path / "nowhere")
    (tmp_path / "hard.txt").hardlink_to(victim)
    (tmp_path / "folder.txt").mkdir()
    os.mkfifo(tmp_path / "pipe.txt")
    before = left(victim)
    for name in ("soft", "dangling", "hard", "folder", "pipe"):
        with pytest.raises(ClipError, match=rf"{name}\.txt is a link, a folder or a device"):
            write(tmp_path / f"{name}.mp4")
    assert left(victim) == before
    assert victim.read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()


def test_the_video_itself_is_never_replaced(tmp_path):
    video = tmp_path / "movie.txt"
    video.write_bytes(b"a video")
    with pytest.raises(ClipError, match="is the video itself"):
        write(video)
    assert video.read_bytes() == b"a video"


@pytest.mark.parametrize("name", ["字" * 72, "字" * 83, "x" * 251, "é" * 125])
def test_the_longest_names_are_written(tmp_path, name):
    write(tmp_path / f"{name}.mp4")
    assert (tmp_path / f"{name}.txt").read_text() == "A clip.\n"


def test_what_concerns_one_clip_is_its_error_and_a_full_disk_is_not(tmp_path, monkeypatch):
    with pytest.raises(ClipError, match=r"x\.txt cannot be written: File name too long"):
        write(tmp_path / ("x" * 252 + ".ts"))
    with pytest.raises(ClipError, match=r"absent/a\.txt cannot be written: No such file"):
        write(tmp_path / "absent" / "a.mp4")
    (tmp_path / "file").touch()
    with pytest.raises(ClipError, match=r"file/a\.txt cannot be written: Not a directory"):
        write(tmp_path / "file" / "a.mp4")

    def full(descriptor, flags) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "a.txt").write_text("by hand")
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match=r"No space left on device: .*a\.txt"):
        write(tmp_path / "a.mp4")
    assert left(tmp_path / "a.mp4") == ["a.txt", "file"]
    assert (tmp_path / "a.txt").read_text() == "by hand"
