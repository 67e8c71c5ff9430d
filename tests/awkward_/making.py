"""Awkward and broken inputs, each made in a moment by a small named function, with what is expected of it.

``AWKWARD[name].make(folder)`` makes the file in ``folder`` and gives the clip; ``outcome`` is ``success`` or the stage
of the error. Frame number i of a made video is grey of level ``grey(i)`` with a red top left quarter, so that a
test can tell which frame it got, and which way up.
"""

from __future__ import annotations

import os
import shutil
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np

from framescribe.types import Clip

Outcome = Literal["success", "open", "decode", "sample"]
Maker = Callable[[Path], Clip]

NUM_FRAMES = 24
FPS = 8


@dataclass(frozen=True)
class Awkward:
    """An input, what is expected of it, and whether a part of it must be reported as missing."""

    make: Maker
    outcome: Outcome
    is_damaged: bool


AWKWARD: dict[str, Awkward] = {}


def awkward(outcome: Outcome, *, is_damaged: bool = False) -> Callable[[Maker], Maker]:
    def register(make: Maker) -> Maker:
        AWKWARD[make.__name__] = Awkward(make, outcome, is_damaged)
        return make

    return register


def grey(number: int) -> int:
    """The grey level of frame ``number``: neighbours differ by 16 of 255."""
    return 40 + 16 * (number % 12)


def picture(number: int, width: int, height: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """uint8 [H, W, 3]."""
    rgb = np.full((height, width, 3), grey(number), np.uint8)
    rgb[: height // 2, : width // 2] = (200, 30, 30)
    return rgb


def video(
    path: Path,
    codec: str = "libx264",
    *,
    size: tuple[int, int] = (64, 48),
    pts: Sequence[int] = range(NUM_FRAMES),
    ticks_per_s: int = FPS,
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    container_format: str | None = None,
    container_options: dict[str, str] | None = None,
    sound_s: float = 0.0,
) -> Path:
    """Encode one frame for each of ``pts`` (in ticks)."""
    with av.open(str(path), "w", format=container_format, options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=FPS, options=options or {})
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        stream.time_base = stream.codec_context.time_base = Fraction(1, ticks_per_s)
        if sound_s:
            add_sound(container, sound_s)
        for number, stamp in enumerate(pts):
            frame = av.VideoFrame.from_ndarray(picture(number, *size), "rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, ticks_per_s)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def add_sound(container: Any, seconds: float, codec: str = "aac") -> None:
    stream = container.add_stream(codec, rate=16000)
    stream.codec_context.layout = "mono"
    samples = np.zeros((1, 1024), np.float32)
    for start in range(0, int(seconds * 16000), 1024):
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 16000, start, Fraction(1, 16000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def clip(path: Path) -> Clip:
    return Clip(str(path))


def keep(path: Path, fraction: float) -> Clip:
    """Cut a file off after a part of it."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])
    return clip(path)


def overwrite(path: Path, start: float, end: float, byte: int = 0xFF) -> Clip:
    """Overwrite a part of a file."""
    content = bytearray(path.read_bytes())
    first, stop = int(len(content) * start), int(len(content) * end)
    content[first:stop] = bytes([byte]) * (stop - first)
    path.write_bytes(content)
    return clip(path)


def patch(path: Path, box: bytes, offset: int, value: bytes) -> Clip:
    """Overwrite bytes at ``offset`` from the name of a box of an MP4."""
    content = bytearray(path.read_bytes())
    at = content.index(box) + offset
    content[at : at + len(value)] = value
    path.write_bytes(content)
    return clip(path)


def turn(path: Path, quarter_turns: int) -> Clip:
    """Have an MP4 displayed turned clockwise, by the matrix in its track header, as phones do."""
    a, b, c, d = {1: (0, 1, -1, 0), 2: (-1, 0, 0, -1), 3: (0, -1, 1, 0)}[quarter_turns]
    matrix = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    return patch(path, b"tkhd", 44, matrix)


# Names


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


# Sizes and lengths


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


# How frames depend on each other


@awkward("success")
def b_frames(folder: Path) -> Clip:
    return clip(video(folder / "b.mp4", options={"bf": "3", "b_strategy": "0"}))


@awkward("success")
def no_b_frames(folder: Path) -> Clip:
    return clip(video(folder / "no-b.mp4", options={"bf": "0"}))


@awkward("success")
def open_gop(folder: Path) -> Clip:
    options = {"x264-params": "open-gop=1:keyint=8:min-keyint=8:bframes=2:b-adapt=0:scenecut=0"}
    return clip(video(folder / "open-gop.mp4", options=options))


@awkward("success")
def starts_within_open_gop(folder: Path) -> Clip:
    """As a recording that was cut: the first frames shown refer to what came before."""
    options = {"x264-params": "open-gop=1:keyint=8:min-keyint=8:bframes=2:b-adapt=0:scenecut=0"}
    source = video(folder / "whole.mkv", options=options)
    path = folder / "cut.mkv"
    with av.open(str(source)) as whole, av.open(str(path), "w") as part:
        stream = part.add_stream_from_template(whole.streams.video[0])
        keyframes = 0
        for packet in whole.demux(whole.streams.video[0]):
            keyframes += packet.is_keyframe
            if packet.size and keyframes > 1:
                packet.stream = stream
                part.mux(packet)
    return clip(path)


@awkward("success")
def long_gop(folder: Path) -> Clip:
    return clip(video(folder / "long-gop.mp4", pts=range(240), options={"g": "10000"}))


@awkward("success")
def short_gop(folder: Path) -> Clip:
    return clip(video(folder / "short-gop.mp4", pts=range(240), options={"g": "4", "bf": "2"}))


@awkward("success")
def all_intra(folder: Path) -> Clip:
    return clip(video(folder / "intra.mp4", pts=range(240), options={"g": "1"}))


@awkward("success")
def intra_refresh(folder: Path) -> Clip:
    options = {"x264-params": "intra-refresh=1:keyint=16:bframes=0"}
    return clip(video(folder / "refresh.mp4", pts=range(120), options=options))


# Containers and codecs


@awkward("success")
def fragmented_mp4(folder: Path) -> Clip:
    flags = {"movflags": "frag_keyframe+empty_moov"}
    return clip(video(folder / "fragments.mp4", pts=range(240), options={"g": "8"}, container_options=flags))


@awkward("success")
def faststart_mp4(folder: Path) -> Clip:
    return clip(video(folder / "fast.mp4", container_options={"movflags": "faststart"}))


@awkward("success")
def mkv(folder: Path) -> Clip:
    return clip(video(folder / "video.mkv", pts=range(240), options={"g": "8", "bf": "2"}))


@awkward("success")
def mov_prores(folder: Path) -> Clip:
    return clip(video(folder / "prores.mov", "prores_ks", pix_fmt="yuv422p10le"))


@awkward("success")
def mov_mjpeg(folder: Path) -> Clip:
    return clip(video(folder / "mjpeg.mov", "mjpeg", pix_fmt="yuvj420p"))


@awkward("success")
def avi_mpeg4(folder: Path) -> Clip:
    return clip(video(folder / "video.avi", "mpeg4"))


@awkward("success")
def avi_mpeg4_b_frames(folder: Path) -> Clip:
    return clip(video(folder / "b.avi", "mpeg4", options={"bf": "2"}))


@awkward("success")
def mpeg_ts(folder: Path) -> Clip:
    return clip(video(folder / "video.ts", pts=range(240), options={"g": "8"}))


@awkward("success")
def mpeg_ts_late_start(folder: Path) -> Clip:
    return clip(video(folder / "late.ts", pts=range(80_000, 80_000 + NUM_FRAMES)))


@awkward("success")
def mpeg_ps(folder: Path) -> Clip:
    # MPEG-2 has no 8 frames per second.
    return clip(video(folder / "video.mpg", "mpeg2video", ticks_per_s=24))


@awkward("success")
def flv(folder: Path) -> Clip:
    return clip(video(folder / "video.flv", "flv"))


@awkward("success")
def wmv(folder: Path) -> Clip:
    return clip(video(folder / "video.wmv", "wmv2"))


@awkward("success")
def gif(folder: Path) -> Clip:
    return clip(video(folder / "video.gif", "gif", pix_fmt="rgb8"))


@awkward("success")
def animated_png(folder: Path) -> Clip:
    return clip(video(folder / "video.apng", "apng", pix_fmt="rgb24"))


@awkward("success")
def raw_h264(folder: Path) -> Clip:
    return clip(video(folder / "video.h264"))


@awkward("success")
def still_png(folder: Path) -> Clip:
    return clip(video(folder / "still.png", "png", pts=[0], pix_fmt="rgb24", container_format="image2pipe"))


@awkward("success")
def still_jpeg(folder: Path) -> Clip:
    return clip(video(folder / "still.jpg", "mjpeg", pts=[0], pix_fmt="yuvj420p", container_format="mjpeg"))


@awkward("success")
def hevc(folder: Path) -> Clip:
    return clip(video(folder / "hevc.mp4", "libx265", options={"x265-params": "log-level=none"}))


@awkward("success")
def hevc_10_bit(folder: Path) -> Clip:
    quiet = {"x265-params": "log-level=none"}
    return clip(video(folder / "hevc10.mp4", "libx265", pix_fmt="yuv420p10le", options=quiet))


@awkward("success")
def h264_10_bit(folder: Path) -> Clip:
    return clip(video(folder / "h264-10.mp4", pix_fmt="yuv420p10le"))


@awkward("success")
def h264_444(folder: Path) -> Clip:
    return clip(video(folder / "444.mp4", pix_fmt="yuv444p"))


@awkward("success")
def vp8(folder: Path) -> Clip:
    """With hidden reference frames, which are packets of their own."""
    options = {"auto-alt-ref": "1", "lag-in-frames": "16", "deadline": "good", "cpu-used": "4"}
    return clip(video(folder / "vp8.webm", "libvpx", pts=range(60), options=options))


@awkward("success")
def vp9(folder: Path) -> Clip:
    """With hidden reference frames, which share a packet with the next frame."""
    options = {"auto-alt-ref": "1", "lag-in-frames": "16", "deadline": "realtime", "cpu-used": "8"}
    return clip(video(folder / "vp9.webm", "libvpx-vp9", pts=range(60), options=options))


@awkward("success")
def av1(folder: Path) -> Clip:
    os.environ["SVT_LOG"] = "1"  # errors only: the encoder writes to stderr by itself
    return clip(video(folder / "av1.mp4", "libsvtav1", options={"preset": "13"}))


@awkward("success")
def two_video_streams(folder: Path) -> Clip:
    path = folder / "two-streams.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("mpeg4", rate=FPS) for _ in range(2)]
        for stream, size in zip(streams, [(64, 48), (32, 32)], strict=True):
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(NUM_FRAMES):
            for stream in streams:
                frame = av.VideoFrame.from_ndarray(picture(number, stream.width, stream.height), "rgb24")
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return clip(path)


@awkward("success")
def sound_longer_than_video(folder: Path) -> Clip:
    return clip(video(folder / "sound.mp4", sound_s=8.0))


@awkward("success")
def sound_longer_than_video_mkv(folder: Path) -> Clip:
    return clip(video(folder / "sound.mkv", sound_s=8.0))


@awkward("success")
def size_changes_midway(folder: Path) -> Clip:
    first = video(folder / "first.ts")
    second = video(folder / "second.ts", size=(96, 64), pts=range(NUM_FRAMES, 2 * NUM_FRAMES))
    path = folder / "sizes.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    return clip(path)


# Display and time


@awkward("success")
def turned_90(folder: Path) -> Clip:
    return turn(video(folder / "turned-90.mp4"), 1)


@awkward("success")
def turned_180(folder: Path) -> Clip:
    return turn(video(folder / "turned-180.mp4"), 2)


@awkward("success")
def turned_270(folder: Path) -> Clip:
    return turn(video(folder / "turned-270.mp4"), 3)


@awkward("success")
def variable_frame_rate(folder: Path) -> Clip:
    pts = [0, 30, 60, 90, 1000, 1010, 1020, 2500, 2600, 4000]
    return clip(video(folder / "vfr.mp4", pts=pts, ticks_per_s=1000))


@awkward("success")
def hour_long_pause(folder: Path) -> Clip:
    return clip(video(folder / "pause.mkv", pts=[0, 1, 2, 3, 3600 * FPS], options={"bf": "0"}))


@awkward("success")
def late_start(folder: Path) -> Clip:
    return clip(video(folder / "late.mkv", pts=range(100 * FPS, 100 * FPS + NUM_FRAMES)))


@awkward("success")
def negative_start(folder: Path) -> Clip:
    return clip(video(folder / "negative.mp4", pts=range(-FPS, NUM_FRAMES - FPS)))


@awkward("success")
def edit_list(folder: Path) -> Clip:
    """An MP4 of which the first second is stored and not to be shown."""
    path = video(folder / "edit.mp4", options={"bf": "0", "g": "24"})
    content = path.read_bytes()
    movie_scale, media_scale = (
        struct.unpack_from(">I", content, content.index(box) + 16)[0] for box in (b"mvhd", b"mdhd")
    )
    seconds_shown = NUM_FRAMES // FPS - 1
    return patch(path, b"elst", 12, struct.pack(">2i", seconds_shown * movie_scale, media_scale))


@awkward("success")
def span(folder: Path) -> Clip:
    return Clip(str(video(folder / "span.mp4")), 1.0, 2.0)


@awkward("sample")
def span_beyond_the_end(folder: Path) -> Clip:
    return Clip(str(video(folder / "short.mp4")), 100.0, 110.0)


@awkward("sample")
def span_between_frames(folder: Path) -> Clip:
    return Clip(str(video(folder / "between.mp4")), 0.01, 0.02)


# Damage


def _noisy(path: Path) -> Path:
    """A faststart MP4 of which most is picture data, so that a cut hits frames."""
    return video(
        path,
        pts=range(80),
        options={"g": "8", "qp": "1", "bf": "0"},
        container_options={"movflags": "faststart"},
    )


@awkward("success", is_damaged=True)
def truncated_mp4(folder: Path) -> Clip:
    return keep(_noisy(folder / "truncated.mp4"), 0.7)


@awkward("success", is_damaged=True)
def truncated_mkv(folder: Path) -> Clip:
    return keep(video(folder / "truncated.mkv", pts=range(80), options={"qp": "1"}), 0.6)


@awkward("success")
def truncated_ts(folder: Path) -> Clip:
    """MPEG-TS promises no length: nothing says that a part is missing."""
    return keep(video(folder / "truncated.ts", pts=range(80)), 0.6)


@awkward("success", is_damaged=True)
def truncated_avi(folder: Path) -> Clip:
    return keep(video(folder / "truncated.avi", "mpeg4", pts=range(80)), 0.5)


@awkward("success", is_damaged=True)
def corrupt_middle(folder: Path) -> Clip:
    return overwrite(_noisy(folder / "corrupt.mp4"), 0.5, 0.7)


@awkward("success", is_damaged=True)
def corrupt_middle_mkv(folder: Path) -> Clip:
    return overwrite(video(folder / "corrupt.mkv", pts=range(80), options={"qp": "1", "g": "8"}), 0.4, 0.6)


@awkward("success", is_damaged=True)
def corrupt_middle_ts(folder: Path) -> Clip:
    return overwrite(video(folder / "corrupt.ts", pts=range(80), options={"g": "8"}), 0.4, 0.5)


@awkward("success")
def claims_billions_of_frames(folder: Path) -> Clip:
    path = video(folder / "billions.mp4", options={"bf": "0"})
    return patch(path, b"stts", 12, struct.pack(">I", 0x7FFFFFFF))


@awkward("success")
def claims_a_year(folder: Path) -> Clip:
    """All frames are there; only the header's duration is off."""
    path = video(folder / "year.mp4", options={"bf": "0"})
    return patch(path, b"mdhd", 20, struct.pack(">I", 0x7FFFFFFF))


@awkward("decode")
def all_pictures_corrupt(folder: Path) -> Clip:
    path = _noisy(folder / "pictures.mp4")
    content = path.read_bytes()
    return overwrite(path, (content.index(b"mdat") + 8) / len(content), 1.0)


@awkward("decode")
def corrupt_codec_header(folder: Path) -> Clip:
    return patch(video(folder / "header.mp4"), b"avcC", 4, bytes(30))


@awkward("decode")
def encrypted(folder: Path) -> Clip:
    """As encrypted MP4s name their codec."""
    return patch(video(folder / "encrypted.mp4"), b"avc1\0\0\0\0", 0, b"encv")


@awkward("decode")
def no_moov(folder: Path) -> Clip:
    path = video(folder / "no-moov.mp4")
    content = path.read_bytes()
    return keep(path, (content.index(b"moov") - 4) / len(content))


@awkward("decode")
def truncated_moov(folder: Path) -> Clip:
    path = video(folder / "moov.mp4")
    content = path.read_bytes()
    return keep(path, (content.index(b"moov") + 60) / len(content))


@awkward("decode")
def huge_picture(folder: Path) -> Clip:
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    path = folder / "huge.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks
        )
    )
    return clip(path)


# Not video


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


def make(name: str, folder: Path) -> Clip:
    """Make one in a new folder of its own."""
    own = folder / name
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir(parents=True)
    return AWKWARD[name].make(own)


if os.geteuid() != 0:  # root may read everything

    @awkward("open")
    def no_permission(folder: Path) -> Clip:
        path = video(folder / "secret.mp4")
        path.chmod(0)
        return clip(path)
