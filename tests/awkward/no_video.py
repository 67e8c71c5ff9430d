"""What is no video, cannot be read, or is not there."""

from __future__ import annotations

import os
import struct
import zipfile
from pathlib import Path

import av
import numpy as np

from framescribe.types import Clip
from tests.awkward.making import (
    add_sound,
    awkward,
    clip,
    video,
)


@awkward("decode")
def audio_only(folder: Path) -> Clip:
    path = folder / "sound.mp4"
    with av.open(str(path), "w") as container:
        add_sound(container, 1.0)
    return clip(path)


@awkward("decode")
def cover_art_only(folder: Path) -> Clip:
    """An MP3 with a cover in its ID3 tag."""
    jpeg = video(
        folder / "cover.jpg", "mjpeg", pts=[0], pix_fmt="yuvj420p", container_format="mjpeg"
    ).read_bytes()
    sound = folder / "sound.mp3"
    with av.open(str(sound), "w") as container:
        add_sound(container, 1.0, "libmp3lame")
    apic = b"\0image/jpeg\0\x03\0" + jpeg
    frame = b"APIC" + struct.pack(">IH", len(apic), 0) + apic
    size = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
    path = folder / "cover.mp3"
    path.write_bytes(b"ID3\x03\0\0" + size + frame + sound.read_bytes())
    return clip(path)


@awkward("decode")
def text_named_mp4(folder: Path) -> Clip:
    (folder / "text.mp4").write_text("This is not a video.\n" * 100)
    return clip(folder / "text.mp4")


@awkward("decode")
def text_file(folder: Path) -> Clip:
    (folder / "notes.txt").write_text("This is not a video.\n" * 100)
    return clip(folder / "notes.txt")


@awkward("decode")
def playlist(folder: Path) -> Clip:
    video(folder / "part.ts")
    text = "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\npart.ts\n#EXT-X-ENDLIST\n"
    (folder / "list.m3u8").write_text(text)
    return clip(folder / "list.m3u8")


@awkward("decode")
def subtitles(folder: Path) -> Clip:
    (folder / "words.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n\n")
    return clip(folder / "words.srt")


@awkward("decode")
def random_bytes(folder: Path) -> Clip:
    (folder / "random.mp4").write_bytes(np.random.default_rng(0).bytes(20_000))
    return clip(folder / "random.mp4")


@awkward("decode")
def one_byte(folder: Path) -> Clip:
    return Clip("one byte", data=b"\0")


@awkward("open")
def zero_bytes(folder: Path) -> Clip:
    (folder / "zero.mp4").touch()
    return clip(folder / "zero.mp4")


@awkward("open")
def zero_bytes_in_memory(folder: Path) -> Clip:
    return Clip("memory", data=b"")


@awkward("open")
def a_folder(folder: Path) -> Clip:
    (folder / "folder.mp4").mkdir()
    return clip(folder / "folder.mp4")


@awkward("open")
def missing(folder: Path) -> Clip:
    return clip(folder / "missing.mp4")


@awkward("open")
def dangling_symlink(folder: Path) -> Clip:
    (folder / "dangling.mp4").symlink_to(folder / "nowhere.mp4")
    return clip(folder / "dangling.mp4")


@awkward("open")
def null_byte_in_name(folder: Path) -> Clip:
    return Clip(f"{folder}/a\0b.mp4")


@awkward("open")
def name_too_long(folder: Path) -> Clip:
    return clip(folder / ("a" * 5000))


@awkward("open")
def fifo(folder: Path) -> Clip:
    os.mkfifo(folder / "pipe.mp4")
    return clip(folder / "pipe.mp4")


@awkward("open")
def device(folder: Path) -> Clip:
    return Clip("/dev/null")


@awkward("open")
def refused_url(folder: Path) -> Clip:
    return Clip("http://127.0.0.1:9/video.mp4")


@awkward("open")
def unknown_protocol(folder: Path) -> Clip:
    return Clip("nosuchprotocol://bucket/video.mp4")


@awkward("open")
def missing_memory_url(folder: Path) -> Clip:
    return Clip("memory://nowhere/video.mp4")


@awkward("open")
def missing_file_url(folder: Path) -> Clip:
    return Clip((folder / "missing.mp4").as_uri())


if os.geteuid() != 0:  # root may read everything

    @awkward("open")
    def no_permission(folder: Path) -> Clip:
        path = video(folder / "secret.mp4")
        path.chmod(0)
        return clip(path)


@awkward("decode")
def zip_named_mp4(folder: Path) -> Clip:
    with zipfile.ZipFile(folder / "archive.mp4", "w") as archive:
        archive.writestr("video.mp4", video(folder / "inner.mp4").read_bytes())
    return clip(folder / "archive.mp4")


@awkward("decode")
def page_named_mp4(folder: Path) -> Clip:
    """As a download leaves it that needed a login."""
    (folder / "page.mp4").write_text("<!DOCTYPE html>\n<html><body>Sign in</body></html>\n")
    return clip(folder / "page.mp4")


@awkward("decode")
def zeros(folder: Path) -> Clip:
    """As a download leaves it that reserved its space and broke off."""
    (folder / "zeros.mp4").write_bytes(bytes(100_000))
    return clip(folder / "zeros.mp4")
