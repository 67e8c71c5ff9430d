"""Playlists and containers that name other files: decoding opens none of them, and asks no server."""

from __future__ import annotations

import contextlib
import io
import struct
import tarfile
from pathlib import Path

import av
import pytest

from framescribe.errors import ClipError
from framescribe.pipeline.sources import expand_sources
from framescribe.types import Clip, FrameSampling
from framescribe.video.decode import decode_frames
from framescribe.video.segment import SegmentRule, finding_spans
from tests.reference import CLIPS
from tests.video.steps import finished

SHORT = CLIPS / "short-half-second.mp4"
UNIFORM = FrameSampling("uniform", 1)

# URL stands for a server's address, or for the path or file:// URL of a video that is there.
PLAYLISTS = {
    "hls.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nURL\n#EXT-X-ENDLIST\n",
    "hls-master.m3u8": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nURL\n",
    "hls-key.mp4": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="URL"\n#EXTINF:1,\nURL\n#EXT-X-ENDLIST\n',
    "hls-map.m3u8": '#EXTM3U\n#EXT-X-MAP:URI="URL"\n#EXTINF:1,\nURL\n#EXT-X-ENDLIST\n',
    "hls-concat.avi": "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1.0,\nconcat:URL|file:///etc/passwd\n#EXT-X-ENDLIST\n",
    "concat.ffconcat": "ffconcat version 1.0\nfile 'URL'\n",
    "concat.mp4": "ffconcat version 1.0\nfile 'URL'\noption safe 0\n",
    "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\na=control:URL\n",
    "dash.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT1S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1" '
    'bandwidth="1"><BaseURL>URL</BaseURL><SegmentBase/></Representation></AdaptationSet></Period></MPD>',
    "imf-cpl.xml": '<?xml version="1.0"?><CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2013">'
    "<Id>urn:uuid:00000000-0000-0000-0000-000000000000</Id><EditRate>24 1</EditRate><SegmentList>URL</SegmentList>"
    "</CompositionPlaylist>",
    "smooth.ism": '<?xml version="1.0"?><SmoothStreamingMedia><StreamIndex Url="URL"/></SmoothStreamingMedia>',
    "list.pls": "[playlist]\nFile1=URL\nNumberOfEntries=1\n",
    "redirect.asx": '<asx version="3.0"><entry><ref href="URL"/></entry></asx>',
    "ram.rm": "URL\n",
    "webm-dash.webm": '<MPD><BaseURL>URL</BaseURL></MPD>',
    "lavfi.mp4": "movie=URL\n",
    "image2-%d.png": "URL",
    "rtsp.mp4": "RTSPtextURL\r\n",
}  # fmt: skip


def box(kind: bytes, *contents: bytes) -> bytes:
    content = b"".join(contents)
    return struct.pack(">I", 8 + len(content)) + kind + content


def with_reference(video: bytes, kind: bytes, target: str) -> bytes:
    """An mp4 whose data reference (``dref``) says that its samples lie in another file."""
    reference = box(kind, b"\0\0\0\0", target.encode() + b"\0")
    if kind == b"alis":  # a classic Mac OS alias record, with its path in the tag that FFmpeg follows
        path = target.encode()
        record = (
            bytes(150) + struct.pack(">HH", 18, len(path)) + path + b"\0" * (len(path) % 2) + b"\xff\xff\0\0"
        )
        reference = box(kind, b"\0\0\0\0", record)
    table = box(b"dref", b"\0\0\0\0\0\0\0\1", reference)
    at = video.index(b"dref") - 4
    old = struct.unpack(">I", video[at : at + 4])[0]
    grown = len(table) - old
    changed = bytearray(video[:at] + table + video[at + old :])
    for parent in (b"dinf", b"minf", b"mdia", b"trak", b"moov"):
        place = changed.rindex(parent, 0, at + 8) - 4
        changed[place : place + 4] = struct.pack(
            ">I", struct.unpack(">I", changed[place : place + 4])[0] + grown
        )
    return bytes(changed)


def assert_nothing_else_is_read(path: Path, server) -> None:
    for read in (
        lambda clip: decode_frames(clip, UNIFORM),
        lambda clip: finished(finding_spans(clip, SegmentRule.parse("window:1", 0, None))),
    ):
        with pytest.raises(ClipError):
            read(Clip(str(path)))
    with path.open("rb") as file, pytest.raises(ClipError):
        decode_frames(Clip("label", data=file), UNIFORM)
    assert server.requests == []


@pytest.mark.parametrize("form", PLAYLISTS)
def test_playlists(form, server, tmp_path):
    server.pages["/a.mp4"] = SHORT.read_bytes()
    for target in (f"{server.url}/a.mp4", str(SHORT), f"file://{SHORT}", f"file:{SHORT}"):
        path = tmp_path / form
        path.write_text(PLAYLISTS[form].replace("URL", target))
        assert_nothing_else_is_read(path, server)


@pytest.mark.parametrize("kind", [b"url ", b"alis"])
def test_movies_whose_pictures_lie_elsewhere(kind, server, tmp_path):
    """The movie's own samples are what is read, or nothing: never the file that it refers to."""
    server.pages["/a.mp4"] = SHORT.read_bytes()
    video = moov_last()
    for target in (f"{server.url}/a.mp4", str(SHORT), f"file://{SHORT}"):
        path = tmp_path / "x.mov"
        path.write_bytes(with_reference(video, kind, target))
        with contextlib.suppress(ClipError):
            decode_frames(Clip(str(path)), UNIFORM)
        assert server.requests == []


def moov_last() -> bytes:
    """A movie with its index behind the pictures, so that a changed index moves none of them."""
    buffer = io.BytesIO()
    with av.open(str(SHORT)) as source, av.open(buffer, "w", "mp4") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)
    return buffer.getvalue()


def test_subtitles_and_attachments_are_not_opened(server, tmp_path):
    """VobSub's index names the file beside it; Matroska may link segments: neither is followed."""
    (tmp_path / "x.idx").write_text("# VobSub index file, v7 (do not modify this line!)\nid: en, index: 0\n")
    (tmp_path / "x.sub").write_bytes(SHORT.read_bytes())
    assert_nothing_else_is_read(tmp_path / "x.idx", server)


NAMES = [
    "../../etc/cron.d/a.mp4", "/etc/passwd.mp4", "a\nb.mp4", "\x1b[2J.mp4", "a" * 10_000 + ".mp4", "b\\..\\a.mp4",
    "C:\\a.mp4", "a::b.mp4", "http://host/a.mp4", "x.tar::a.mp4", "%2e%2e/a.mp4", "caf\udce9.mp4", "-rf.mp4",
    "$(id).mp4", "a'; drop.mp4", "con.mp4",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_in_tars_are_names_only(name, server, tmp_path, monkeypatch):
    inside = tmp_path / "in"
    inside.mkdir()
    monkeypatch.chdir(inside)
    with tarfile.open(inside / "x.tar", "w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as archive:
        info = tarfile.TarInfo(name)
        info.size = SHORT.stat().st_size
        with SHORT.open("rb") as file:
            archive.addfile(info, file)
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    (clip,) = expand_sources(["x.tar"])
    assert clip.source_video == f"x.tar::{name}"
    for each in (clip, Clip(clip.source_video)):
        assert decode_frames(each, UNIFORM).facts.num_frames == 15
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before
    assert server.requests == []


def test_a_null_byte_in_a_member_s_name(tmp_path):
    """tarfile ends the name there, in old headers; in PAX headers it stays: both are names only."""
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        info = tarfile.TarInfo("x")
        info.pax_headers = {"path": "a\0/etc/passwd.mp4"}
        info.size = 1
        archive.addfile(info, io.BytesIO(b"1"))
    for clip in expand_sources([str(tmp_path / "x.tar")]):
        assert "passwd" not in (clip.problem or "")
        with pytest.raises(ClipError):
            decode_frames(clip, UNIFORM)
