"""Files whose names, extensions or whereabouts are unusual, and videos of unusual sizes and lengths."""

from __future__ import annotations

import os
from pathlib import Path

from framescribe.types import Clip
from tests.awkward.making import (
    awkward,
    clip,
    video,
)


@awkward("success")
def plain(folder: Path) -> Clip:
    return clip(video(folder / "plain.mp4"))


@awkward("success")
def wrong_extension(folder: Path) -> Clip:
    return clip(video(folder / "holiday.jpg", container_format="mp4"))


@awkward("success")
def text_extension(folder: Path) -> Clip:
    return clip(video(folder / "holiday.txt", container_format="matroska"))


@awkward("success")
def no_extension(folder: Path) -> Clip:
    return clip(video(folder / "holiday", container_format="mp4"))


@awkward("success")
def unicode_name(folder: Path) -> Clip:
    return clip(video(folder / "видео 猫 🎬.mp4"))


@awkward("success")
def undecodable_name(folder: Path) -> Clip:
    path = folder / os.fsdecode(b"caf\xe9.mp4")
    video(folder / "cafe.mp4").rename(path)
    return clip(path)


@awkward("success")
def spaces_in_name(folder: Path) -> Clip:
    return clip(video(folder / " my  video .mp4"))


@awkward("success")
def name_starting_with_dash(folder: Path) -> Clip:
    return clip(video(folder / "-i.mp4"))


@awkward("success")
def number_pattern_in_name(folder: Path) -> Clip:
    path = folder / "frame%03d.mp4"
    video(folder / "frame.mp4").rename(path)
    return clip(path)


@awkward("success")
def protocol_like_name(folder: Path) -> Clip:
    path = folder / "concat:a|b.mp4"
    video(folder / "ab.mp4").rename(path)
    return clip(path)


@awkward("success")
def symlink(folder: Path) -> Clip:
    (folder / "link.mp4").symlink_to(video(folder / "target.mp4"))
    return clip(folder / "link.mp4")


@awkward("success")
def file_url(folder: Path) -> Clip:
    return Clip(video(folder / "url.mp4").as_uri())


@awkward("success")
def data_in_memory(folder: Path) -> Clip:
    return Clip("memory", data=video(folder / "memory.mp4").read_bytes())


@awkward("success")
def tiny_16x16(folder: Path) -> Clip:
    return clip(video(folder / "tiny.mp4", size=(16, 16)))


@awkward("success")
def two_by_two(folder: Path) -> Clip:
    return clip(video(folder / "two.mkv", "ffv1", size=(2, 2), pix_fmt="yuv444p"))


@awkward("success")
def odd_101x67(folder: Path) -> Clip:
    return clip(video(folder / "odd.mp4", "mpeg4", size=(101, 67)))


@awkward("success")
def tall_16x1000(folder: Path) -> Clip:
    return clip(video(folder / "tall.mp4", size=(16, 1000)))


@awkward("success")
def wide_1000x16(folder: Path) -> Clip:
    return clip(video(folder / "wide.mp4", size=(1000, 16)))


@awkward("success")
def one_frame(folder: Path) -> Clip:
    return clip(video(folder / "one.mp4", pts=[0]))


@awkward("success")
def two_frames(folder: Path) -> Clip:
    return clip(video(folder / "two.mp4", pts=[0, 1]))
