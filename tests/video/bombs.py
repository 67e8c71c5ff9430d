"""Small files that ask for much, each made by a function in ``BOMBS``."""

import struct
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from framescribe.video.packets import MAX_PACKETS
from tests.awkward.making import patch, video

BOMBS: dict[str, Callable[[Path], Path]] = {}


def bomb(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
    BOMBS[make.__name__] = make
    return make


def flat(
    path: Path, width: int, height: int, codec: str = "libx264", count: int = 24, **options: str
) -> Path:
    """Black pictures, encoded as one and copied: large, and quick to make."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=1, options={"preset": "ultrafast", "g": "1", **options})
        stream.width, stream.height = width, height
        stream.pix_fmt = {"png": "gray", "apng": "gray", "gif": "gray"}.get(codec, "yuv420p")
        frame = av.VideoFrame(width, height, stream.pix_fmt)
        for plane, byte in zip(frame.planes, (0, 128, 128), strict=False):
            plane.update(bytes([byte]) * plane.buffer_size)
        frame.pts = 0
        packets = [*stream.encode(frame), *stream.encode(None)]
        first = bytes(packets[0])
        for number in range(count):
            packet = av.Packet(first)
            packet.stream, packet.is_keyframe = stream, True
            packet.pts = packet.dts = number
            packet.time_base = Fraction(1)
            packet.duration = 1
            container.mux(packet)
    return path


def small(folder: Path, name: str = "small.mp4") -> Path:
    return video(folder / name, options={"bf": "0"})


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def png(path: Path, width: int, height: int, *, frames: int = 0) -> Path:
    rows = zlib.compress(bytes((width + 7) // 8 + 1) * height, 9)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", header)]
    if frames:
        chunks.append((b"acTL", struct.pack(">II", frames, 0)))
        for number in range(frames):
            control = struct.pack(">IIIIIHHBB", 2 * number, width, height, 0, 0, 1, 1, 0, 0)
            chunks.append((b"fcTL", control))
            chunks.append((b"fdAT", struct.pack(">I", 2 * number + 1) + rows) if number else (b"IDAT", rows))
    else:
        chunks.append((b"IDAT", rows))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
            for name, content in [*chunks, (b"IEND", b"")]
        )
    )
    return path


@bomb
def many_large_pictures(folder: Path) -> Path:
    return flat(folder / "large.mp4", 4096, 4096)


@bomb
def many_wide_pictures(folder: Path) -> Path:
    return flat(folder / "wide.mkv", 16384, 1024)


@bomb
def large_mpeg4(folder: Path) -> Path:
    return flat(folder / "large.avi", 4096, 4096, "mpeg4", count=8)


@bomb
def large_png_pictures(folder: Path) -> Path:
    return png(folder / "large.png", 6000, 6000)


@bomb
def png_beyond_all_sizes(folder: Path) -> Path:
    return png(folder / "huge.png", 60_000, 20_000)


@bomb
def animated_png(folder: Path) -> Path:
    return png(folder / "large.apng", 4000, 4000, frames=30)


@bomb
def large_gif(folder: Path) -> Path:
    frame = b"\x21\xf9\x04\x04\x64\0\0\0" + b"\x2c\0\0\0\0\1\0\1\0\0" + b"\x02\x02\x44\x01\0"
    content = (
        b"GIF89a" + struct.pack("<HH", 12_000, 12_000) + b"\x80\0\0\0\0\0\xff\xff\xff" + frame * 30 + b";"
    )
    path = folder / "large.gif"
    path.write_bytes(content)
    return path


@bomb
def gif_of_8k(folder: Path) -> Path:
    frame = b"\x21\xf9\x04\x04\x64\0\0\0" + b"\x2c\0\0\0\0\1\0\1\0\0" + b"\x02\x02\x44\x01\0"
    path = folder / "8k.gif"
    path.write_bytes(
        b"GIF89a" + struct.pack("<HH", 8000, 6000) + b"\x80\0\0\0\0\0\xff\xff\xff" + frame * 30 + b";"
    )
    return path


@bomb
def many_samples(folder: Path) -> Path:
    """A table of samples that says how many there are, all of one size, and one time for all."""
    path = small(folder)
    count = struct.pack(">I", 85_000_000)
    patch(path, b"stsz", 8, struct.pack(">I", 1) + count)
    return Path(patch(path, b"stts", 12, count).source_video)


@bomb
def more_samples_than_are_read(folder: Path) -> Path:
    path = small(folder)
    count = struct.pack(">I", MAX_PACKETS + 1)
    patch(path, b"stsz", 8, struct.pack(">I", 1) + count)
    return Path(patch(path, b"stts", 12, count).source_video)


@bomb
def one_sample_of_2_gb(folder: Path) -> Path:
    path = small(folder)
    return Path(patch(path, b"stsz", 8, struct.pack(">I", 0x7FFFFFF0)).source_video)


@bomb
def many_streams(folder: Path) -> Path:
    path = small(folder)
    content = path.read_bytes()
    moov = content.index(b"moov") - 4
    size = struct.unpack_from(">I", content, moov)[0]
    trak = content.index(b"trak") - 4
    track = content[trak : trak + struct.unpack_from(">I", content, trak)[0]]
    path.write_bytes(content[:moov] + box(b"moov", content[moov + 8 : moov + size] + track * 5000))
    return path


@bomb
def boxes_in_boxes(folder: Path) -> Path:
    content = b""
    for _ in range(20_000):
        content = box(b"moov", content)
    path = folder / "deep.mp4"
    path.write_bytes(box(b"ftyp", b"isom\0\0\0\0isom") + content)
    return path


@bomb
def huge_codec_header(folder: Path) -> Path:
    path = small(folder)
    return Path(patch(path, b"avcC", -4, struct.pack(">I", 0x7FFFFF00)).source_video)


@bomb
def a_billion_frames_a_second(folder: Path) -> Path:
    return video(folder / "fast.mkv", pts=range(24), ticks_per_s=1000, options={"bf": "0"})


@bomb
def a_clock_of_four_billion_ticks(folder: Path) -> Path:
    path = small(folder)
    return Path(patch(path, b"mdhd", 16, b"\xff\xff\xff\xff").source_video)


@bomb
def a_clock_without_ticks(folder: Path) -> Path:
    path = small(folder)
    return Path(patch(path, b"mdhd", 16, bytes(4)).source_video)


@bomb
def a_picture_held_for_a_century(folder: Path) -> Path:
    path = small(folder)
    patch(path, b"mdhd", 16, struct.pack(">I", 1))
    at = path.read_bytes().index(b"stts") + 8
    content = bytearray(path.read_bytes())
    content[at : at + 8] = struct.pack(">II", 23, 0x7FFFFFFF)
    path.write_bytes(content)
    return path


@bomb
def many_tiny_frames(folder: Path) -> Path:
    with av.open(str(folder / "many.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=1000, options={"bf": "0", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24")
        frame.pts = 0
        first = bytes([*stream.encode(frame), *stream.encode(None)][0])
        for number in range(50_000):
            packet = av.Packet(first)
            packet.stream, packet.is_keyframe = stream, True
            packet.pts = packet.dts = number
            packet.time_base = Fraction(1, 1000)
            container.mux(packet)
    return folder / "many.mkv"


@bomb
def sizes_that_grow(folder: Path) -> Path:
    first = flat(folder / "first.ts", 64, 64, count=2)
    second = flat(folder / "second.ts", 4096, 4096, count=4)
    path = folder / "grows.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    return path


@bomb
def matroska_block_of_any_size(folder: Path) -> Path:
    path = video(folder / "block.mkv", options={"bf": "0"})
    content = path.read_bytes()
    at = content.index(b"\xa3", content.index(b"\x1f\x43\xb6\x75"))
    path.write_bytes(content[:at] + b"\xa3\x01\x00\x00\x00\x7f\xff\xff\xff" + content[at + 2 :])
    return path
