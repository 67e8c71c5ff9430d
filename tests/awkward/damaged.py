"""Videos that lack a part, hold wrong bytes, or claim what they are not."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from framescribe.types import Clip
from tests.awkward.making import (
    awkward,
    clip,
    keep,
    overwrite,
    patch,
    video,
)


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


@awkward("success", is_damaged=True)
def truncated_after_few_frames(folder: Path) -> Clip:
    return keep(_noisy(folder / "few.mp4"), 0.4)


@awkward("success", is_damaged=True)
def truncated_by_one_byte(folder: Path) -> Clip:
    return keep(_noisy(folder / "byte.mp4"), 0.9999)


@awkward("success", is_damaged=True)
def truncated_flv(folder: Path) -> Clip:
    return keep(video(folder / "truncated.flv", "flv", pts=range(80)), 0.5)


@awkward("success")
def claims_no_duration(folder: Path) -> Clip:
    path = video(folder / "no-duration.mp4", options={"bf": "0"})
    patch(path, b"mvhd", 20, bytes(4))
    return patch(path, b"mdhd", 20, bytes(4))


@awkward("success")
def claims_8k(folder: Path) -> Clip:
    """The container's size is wrong; the codec's own header counts."""
    path = video(folder / "claims-8k.mp4")
    return patch(path, b"avc1\0\0\0\0", 28, struct.pack(">2H", 7680, 4320))


@awkward("success")
def rubbish_at_the_end(folder: Path) -> Clip:
    path = video(folder / "rubbish.mp4")
    path.write_bytes(path.read_bytes() + b"\xa5" * 3000)
    return clip(path)


@awkward("success")
def two_files_in_one(folder: Path) -> Clip:
    """As ``cat a.mp4 b.mp4`` makes them: the first one counts."""
    path = video(folder / "both.mp4")
    path.write_bytes(path.read_bytes() * 2)
    return clip(path)


@awkward("decode")
def boxes_without_an_end(folder: Path) -> Clip:
    """Each box of an MP4 holds another one, and all claim to be gigantic."""
    path = folder / "boxes.mp4"
    box = struct.pack(">I4sQ", 1, b"moov", 2**63 - 1)
    path.write_bytes(b"\0\0\0\x10ftypisom\0\0\0\0" + box * 5000)
    return clip(path)
