"""Downloads, lists and archives without end or of absurd sizes: they cost a bounded time, memory and disk."""

from __future__ import annotations

import gzip
import io
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import zlib

import pytest

from framescribe import reading
from framescribe.errors import ClipError, UsageError
from framescribe.pipeline.hashes import source_sha256
from framescribe.pipeline.sources import expand_sources
from framescribe.types import Clip
from framescribe.video import remote, tar
from framescribe.video.source import open_source
from tests.attacks.server import endless, send

LIMIT_GB = "0.002"
QUICK_S = 100.0


@pytest.fixture(autouse=True)
def bounded(monkeypatch, tmp_path):
    """Two megabytes a file; temporary files in a folder of the test's own."""
    monkeypatch.setenv("FRAMESCRIBE_MAX_DOWNLOAD_GB", LIMIT_GB)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.monotonic() - started < QUICK_S
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 300e6
    assert os.listdir(tmp_path / "tmp") == []


def error_of(name: str) -> str:
    with pytest.raises(ClipError) as caught, open_source(Clip(name)):
        pass
    return str(caught.value)


def problems(*names: object) -> list[str]:
    return [clip.problem for clip in expand_sources(map(str, names)) if clip.problem]


GZIP_BOMB = gzip.compress(bytes(100_000_000))


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (endless(bytes(1 << 16)), "more than the 2,000,000 bytes that FRAMESCRIBE_MAX_DOWNLOAD_GB allows"),
        (endless(bytes(1 << 16), {"Content-Length": str(10**15)}), "it has 1,000,000,000,000,000 bytes, more than"),
        (lambda handler: send(handler, 200, GZIP_BOMB, {"Content-Encoding": "gzip"}), "more than the 2,000,000 bytes"),
        (lambda handler: send(handler, 200, b"\x1f\x8b\x08\0garbage", {"Content-Encoding": "gzip"}), "be fetched"),
        (lambda handler: send(handler, 200, zlib.compress(b"x"), {"Content-Encoding": "deflate"}), "not asked for"),
        (lambda handler: send(handler, 200, b"x", {"Content-Encoding": "gzip, gzip, gzip"}), "not asked for"),
        (endless((b"400\r\n" + bytes(1024) + b"\r\n") * 100, {"Transfer-Encoding": "chunked"}), "more than the 2,000"),
        (endless(b"X-Header: " + b"y" * 60_000 + b"\r\n"), "more than"),
        (lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000 + b"\r\n"), "Exception"),
        (lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK" + b"x" * 10**6), "cannot be fetched"),
    ],
)  # fmt: skip
def test_downloads_without_end(page, said, server):
    server.pages["/a.mp4"] = page
    assert re.search(said, error_of(f"{server.url}/a.mp4"))


def test_a_server_that_trickles(server, monkeypatch):
    monkeypatch.setattr(remote, "_PATIENCE_S", 0.2)
    monkeypatch.setattr(remote, "_SLOWEST_BYTES_PER_S", 1e9)
    server.pages["/a.mp4"] = endless(b"x")
    assert "bytes came in" in error_of(f"{server.url}/a.mp4")


@pytest.mark.parametrize("suffix", ["txt", "csv", "jsonl"])
def test_lists_without_end(suffix, server):
    server.pages[f"/l.{suffix}?sig=a%2Fb"] = endless(b"path\n" * 10_000)
    with pytest.raises(UsageError, match="more than the 2,000,000 bytes"):
        list(expand_sources([f"{server.url}/l.{suffix}?sig=a%2Fb"]))


@pytest.mark.parametrize("suffix", ["txt", "csv", "jsonl"])
def test_one_line_without_end(suffix, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "MAX_LINE_BYTES", 1000)
    path = tmp_path / f"l.{suffix}"
    good = {"txt": "a.mp4", "csv": "path\na.mp4", "jsonl": '{"path": "a.mp4"}'}[suffix].encode()
    path.write_bytes(good + b"\n" + b"x" * 10_000_000 + b"\n" + good + b"\n")
    clips = list(expand_sources([str(path)]))
    names = [clip.source_video for clip in clips if clip.problem is None]
    # What follows a line of CSV could be the inside of a cell; lines of the others stand for themselves.
    assert names == [f"{tmp_path}/a.mp4"] * (1 if suffix == "csv" else 2)
    (problem,) = [clip.problem for clip in clips if clip.problem]
    assert "line 2: is longer than" in problem
    assert len(problem) < 500


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


GOOD = header("a.mp4", 3) + b"abc".ljust(512, b"\0")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (GOOD + header("p", 8 << 30, tarfile.XHDTYPE), "header of no possible size"),
        (GOOD + header("g", 8 << 30, tarfile.XGLTYPE), "header of no possible size"),
        (GOOD + header("l", 8 << 30, tarfile.GNUTYPE_LONGNAME), "header of no possible size"),
        (GOOD + header("l", 8 << 30, tarfile.GNUTYPE_LONGLINK), "header of no possible size"),
        (GOOD + header("b.mp4", 8 << 30), "unexpected end of data|no part of a tar"),
        (GOOD + header("p", 1 << 21, tarfile.XHDTYPE) + b"9 a=" * (1 << 19), "header of no possible size"),
        (GOOD * 50, "more than 40 members"),
        (GOOD + b"x" * 512 * 3, "no part of a tar|damaged"),
    ],
)  # fmt: skip
def test_tars_that_claim_anything(content, said, tmp_path, monkeypatch):
    monkeypatch.setattr(tar, "MAX_FILES", 40)
    path = tmp_path / "x.tar"
    with path.open("wb") as file:
        file.write(content)
        file.truncate(len(content) + (9 << 30) if "no possible size" in said else len(content))
    (problem,) = problems(path)
    assert re.search(said, problem)
    assert next(clip.source_video for clip in expand_sources([str(path)])) == f"{path}::a.mp4"


@pytest.mark.parametrize("size", [-512, -1024, -1536])
def test_a_tar_whose_sizes_lead_backwards(size, tmp_path, monkeypatch):
    """As in CVE-2025-8194: a negative size made some versions of the library read one header for ever."""
    monkeypatch.setattr(tar, "MAX_FILES", 40)
    block = bytearray(header("b.mp4", 0))
    block[124:136] = b"\xff" * 10 + struct.pack(">h", size)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    (tmp_path / "x.tar").write_bytes(GOOD + bytes(block) + GOOD)
    clips = list(expand_sources([str(tmp_path / "x.tar")]))
    assert clips[0].source_video.endswith("::a.mp4")
    assert re.search("leads back to|no part of a tar|invalid", clips[-1].problem or "")


def test_a_sparse_member_of_terabytes(tmp_path, caplog):
    """GNU's old sparse format: 3 bytes of data, 8 TB of zeros; hashing it would take hours."""
    block = bytearray(header("b.mp4", 512, tarfile.GNUTYPE_SPARSE))
    block[386:398], block[398:410] = b"%011o\0" % 0, b"%011o\0" % 512
    block[483:495] = b"\x80" + (8 << 40).to_bytes(11, "big")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    (tmp_path / "x.tar").write_bytes(GOOD + bytes(block) + bytes(512) + bytes(1024))
    with caplog.at_level("INFO", "framescribe"):
        assert [clip.source_video for clip in expand_sources([str(tmp_path / "x.tar")])] == [
            f"{tmp_path}/x.tar::a.mp4"
        ]
    assert "passed over 1 sparse files of more than 2,000,000 bytes" in caplog.text


def test_a_tar_behind_a_url_that_never_ends(server):
    server.pages["/x.tar"] = endless(GOOD)
    assert "more than the 2,000,000 bytes" in problems(f"{server.url}/x.tar")[0]
    server.pages["/y.tar"] = lambda handler: send(
        handler, 206, b"x", {"Content-Range": f"bytes 0-0/{10**18}"}
    )
    assert problems(f"{server.url}/y.tar")
    member = f"{server.url}/x.tar::a.mp4"
    assert "more than the 2,000,000 bytes" in error_of(member)


@pytest.mark.parametrize("name", ["p.mp4", "p.tar", "p.txt", "p.csv", "p.jsonl", "p.parquet", "p.ts", "p"])
@pytest.mark.parametrize("kind", ["pipe", "socket", "zeros"])
def test_pipes_sockets_and_devices_are_no_sources(name, kind, tmp_path):
    path = tmp_path / name
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
    else:
        path.symlink_to("/dev/zero")
    for spelling in (str(path), f"file://{path}"):
        with pytest.raises(UsageError, match="is not a regular file"):
            list(expand_sources([spelling]))
        assert "is not a regular file" in error_of(spelling)
    assert source_sha256(Clip(str(path))) is None
    (tmp_path / "l.txt").write_text(f"{name}\n")
    (clip,) = expand_sources([str(tmp_path / "l.txt")])
    assert "is not a regular file" in error_of(clip.source_video)
    if name.endswith((".tar", ".parquet")):
        assert "is not a regular file" in error_of(f"{path}::a.mp4")


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_process_that_is_killed_while_it_fetches_leaves_nothing(end, server, tmp_path):
    server.pages["/a.mp4"] = endless(bytes(1 << 16))
    program = (
        "from framescribe.types import Clip\nfrom framescribe.video.source import open_source\n"
        f"with open_source(Clip({server.url + '/a.mp4'!r})): pass"
    )
    folder = tmp_path / "tmp"
    environment = os.environ | {"TMPDIR": str(folder), "FRAMESCRIBE_MAX_DOWNLOAD_GB": "1000"}
    process = subprocess.Popen([sys.executable, "-c", program], env=environment)
    try:
        while server.sent_endlessly < 50e6:  # more than the system holds back: a part is in the file
            time.sleep(0.01)
    finally:
        process.send_signal(end)
        process.wait()
    assert os.listdir(folder) == []


def test_the_limit_is_a_setting(monkeypatch, server):
    server.pages["/a.mp4"] = bytes(3_000_000)
    assert "3,000,000 bytes, more than the 2,000,000" in error_of(f"{server.url}/a.mp4")
    monkeypatch.setenv("FRAMESCRIBE_MAX_DOWNLOAD_GB", "0.003")
    with open_source(Clip(f"{server.url}/a.mp4")) as file:
        assert file.seek(0, io.SEEK_END) == 3_000_000
    monkeypatch.setenv("FRAMESCRIBE_MAX_DOWNLOAD_GB", "lots")
    assert "is 'lots'; a number of gigabytes is needed" in error_of(f"{server.url}/a.mp4")
    monkeypatch.delenv("FRAMESCRIBE_MAX_DOWNLOAD_GB")
    assert remote.max_download_bytes() == 16_000_000_000
