"""Media that a client may not name: nothing remote by default, and nothing but what was allowed by any trick."""

from __future__ import annotations

import http.server
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from framescribe.captioner import Captioner
from framescribe.errors import UsageError
from framescribe.serving.guard import ForeignUrl, UrlRules, check_domain, file_in, is_public
from framescribe.serving.settings import ServerSettings
from framescribe.video.web import WebError, requested
from tests.serving.served import Served, serving, video

ALLOWED = ("media.example", "*.cdn.example", "ported.example:8443")

URLS = [
    # Hosts that are not on the list, or only look as if they were.
    "http://evil.example/a.mp4", "https://media.example.evil.example/a", "https://xmedia.example/a",
    "https://cdn.example/",
    "https://evilcdn.example/a", "https://media.example:8443/a", "https://ported.example/a",
    "http://ported.example/a",
    "https://media.example./a", "https://media.example:65536/a", "https://media.example:/a", "https://.cdn.example/a",
    # User names, and what parsers read in two ways.
    "https://media.example@evil.example/a", "https://media.example:80@evil.example/a",
    "https://evil.example\\@media.example/",
    "https://media.example\\@evil.example/", "https://media.example\\.evil.example/",
    "https://media.example#@evil.example/",
    "https://evil.example#media.example", "https://user@media.example/a", "https://user:pw@media.example/a",
    "https:/media.example/a", "https:media.example/a", "https:///media.example/a",
    "https://media.example%2eevil.example/",
    "https://media.example%00.evil.example/", "https://media.example\x00.evil.example/", "https://media.example\t/a",
    "https://media.example\r\nHost: evil.example/", "https://media.example/a b", " https://media.example/a",
    "https://media.example/é", "https://mediа.example/a", "https://media。example/a", "https://ｍedia.example/a",
    "https://media.example/" + "a" * 9000, "//media.example/a", "media.example/a",
    # This machine and its networks, in all spellings.
    "http://127.0.0.1/a", "http://localhost/a", "http://127.1/a", "http://2130706433/a", "http://0x7f000001/a",
    "http://0x7f.0.0.1/a", "http://0177.0.0.1/a", "http://017700000001/a", "http://0/a", "http://0.0.0.0/a",
    "http://[::1]/a", "http://[::]/a", "http://[::ffff:127.0.0.1]/a", "http://[::ffff:7f00:1]/a",
    "http://[fe80::1%25lo]/a",
    "http://10.0.0.1/a", "http://192.168.0.1/a", "http://172.16.0.1/a", "http://169.254.169.254/latest/meta-data/",
    "http://100.100.100.200/a", "http://[fd00:ec2::254]/a", "http://metadata.google.internal/a",
    # Other protocols, and protocols within protocols.
    "file:///etc/passwd", "file://localhost/etc/passwd", "FILE:///etc/passwd", "ftp://media.example/a",
    "gopher://media.example/",
    "s3://media.example/a", "hf://datasets/a/b", "memory://a", "concat:http://media.example/a|file:///etc/passwd",
    "subfile,,start,0,end,9,,:/etc/passwd", "crypto:file:///etc/passwd", "data:text/plain;base64,AAAA",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/", "jar:https://media.example!/a", "simplecache::https://media.example/a",
    "reference://x::https://media.example/a", "https://media.example/a.tar::file:///etc/passwd::x", "pipe:0", "fd:0",
    "/etc/passwd", "../../etc/passwd", "~/.ssh/id_rsa", "\\\\media.example\\share\\a", "",
]  # fmt: skip
PATHS_LEFT_TO_THE_HOST = {
    "https://media.example/a.tar::file:///etc/passwd::x"
}  # one address on the allowed host


@pytest.mark.parametrize("url", [url for url in URLS if url not in PATHS_LEFT_TO_THE_HOST])
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(WebError):
        UrlRules(ALLOWED).check(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://media.example/a.mp4", "http://media.example", "HTTPS://Media.Example/a?b=c%2F&d=e@f",
        "https://a.cdn.example/x",
        "https://a.b.cdn.example:443/x", "https://ported.example:8443/a", "https://media.example/a#t=1",
    ],
)  # fmt: skip
def test_urls_that_are_allowed(url: str) -> None:
    UrlRules(ALLOWED).check(url)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "10.0.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "0.0.0.0",
        "0.1.2.3", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1",
        "192.0.0.1",
        "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "2001:0:0:0:0:0:80ff:fffe", "2001:db8::1", "fec0::1", "not an address", "",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "domain", ["", "*", "https://a.example", "a.example/", "A.example", "a b", "u@a.example", "a:b", "*.*.a"]
)
def test_domains_that_are_none(domain: str) -> None:
    with pytest.raises(UsageError):
        check_domain(domain)
    with pytest.raises(UsageError):
        ServerSettings(allowed_domains=(domain,))


class Network(UrlRules):
    """Rules over a network of the test's own: what names resolve to is the test's to say, and so where it leads."""

    def __init__(self, domains: tuple[str, ...], *answers: list[str]) -> None:
        super().__init__(domains)
        self.answers = list(answers)

    def resolve(self, host: str, port: int) -> list[Any]:
        addresses = self.answers.pop(0)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["93.184.216.34", "10.0.0.1"], ["::ffff:169.254.169.254"], ["169.254.169.254"], []],
)
def test_names_that_lead_to_private_addresses_are_not_asked(addresses: list[str]) -> None:
    with pytest.raises(WebError), requested("http://media.example/a", guard=Network(ALLOWED, addresses)):
        pass


def test_a_name_is_looked_up_once_and_what_was_checked_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def connect(address: Any, *rest: Any) -> socket.socket:
        asked.append(address)
        raise OSError("no way there")

    monkeypatch.setattr(socket, "create_connection", connect)
    network = Network(ALLOWED, ["93.184.216.34"], ["127.0.0.1"])  # a second look would rebind it
    with pytest.raises(WebError), requested("http://media.example/a", guard=network):
        pass
    assert asked == [("93.184.216.34", 80)]
    assert network.answers == [["127.0.0.1"]]


def test_an_address_that_is_allowed_by_itself_may_be_private_but_never_one_with_credentials() -> None:
    rules = UrlRules(("169.254.169.254", "127.0.0.1:1"))
    with pytest.raises(WebError, match="not public"):
        rules.connect(("169.254.169.254", 80), 1)
    with pytest.raises(OSError, match="refused"):
        rules.connect(("127.0.0.1", 1), 1)
    with pytest.raises(WebError, match="not public"):
        UrlRules(("localhost:1",)).connect(("localhost", 1), 1)


class Handler(http.server.BaseHTTPRequestHandler):
    """``/clip`` is a video; ``/to?URL`` redirects; ``/endless`` does not stop; ``/slow`` trickles its head."""

    content = b""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        self.server.seen.append(self.path)  # type: ignore[attr-defined]
        if path == "/to":
            self.send_response(302)
            self.send_header("Location", query)
            self.end_headers()
        elif path == "/endless":
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"x" * 65536)
            except OSError:
                pass
        else:
            self.send_response(200 if path == "/clip" else 404)
            self.send_header("Content-Length", str(len(self.content)))
            self.end_headers()
            self.wfile.write(self.content)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture(scope="module")
def web(clip: Path) -> Iterator[http.server.ThreadingHTTPServer]:
    handler = type("WithClip", (Handler,), {"content": clip.read_bytes()})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.seen = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_redirects_pass_the_same_checks(web: Any) -> None:
    here = f"127.0.0.1:{web.server_port}"
    rules = UrlRules((here,))
    with requested(f"http://{here}/to?/clip", guard=rules) as response:
        assert response.status == 200
    for place in (
        "http://localhost/clip", f"http://localhost:{web.server_port}/clip", "http://10.0.0.1/", "file:///etc/passwd",
        f"http://user@{here}/clip", "http://169.254.169.254/", f"http://127.1:{web.server_port}/clip",
        "ftp://media.example/",
        f"//localhost:{web.server_port}/clip", f"http://[::1]:{web.server_port}/clip", f"http://{here}@evil.example/",
        f"http://evil.example\\@{here}/clip", "gopher://x/",
        f"/to?/to?/to?/to?http://2130706433:{web.server_port}/clip",
    ):  # fmt: skip
        seen = len(web.seen)
        with pytest.raises((WebError, OSError)), requested(f"http://{here}/to?{place}", guard=rules):
            pass
        assert all(each.startswith("/to") for each in web.seen[seen:])


def test_redirects_lead_to_no_host_that_is_not_allowed(web: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.create_connection
    monkeypatch.setattr(socket, "create_connection", lambda *_: connect(("127.0.0.1", web.server_port)))
    for place, is_allowed in (("http://media.example/clip", True), ("http://evil.example/clip", False)):
        network = Network(ALLOWED, ["93.184.216.34"], ["93.184.216.34"])
        seen = len(web.seen)
        if is_allowed:
            with requested(f"http://media.example/to?{place}", guard=network) as response:
                assert response.status == 200
        else:
            with pytest.raises(WebError), requested(f"http://media.example/to?{place}", guard=network):
                pass
            assert web.seen[seen:] == [f"/to?{place}"]


def test_a_file_is_fetched_within_its_limit(web: Any, clip: Path) -> None:
    here = f"127.0.0.1:{web.server_port}"
    with ForeignUrl(f"http://{here}/clip", (here,), 10**6).open() as file:
        assert file.read() == clip.read_bytes()
    for path, most in (("clip", 1000), ("endless", 200_000)):
        with pytest.raises(WebError, match="more than"):
            ForeignUrl(f"http://{here}/{path}", (here,), most).open()


def test_a_server_fetches_from_the_hosts_that_are_allowed(web: Any, tiny: Captioner, clip: Path) -> None:
    here = f"127.0.0.1:{web.server_port}"
    with serving(tiny, ServerSettings(allowed_domains=(here,))) as served:
        wanted = served.text(video(clip))
        part = {"type": "video_url", "video_url": {"url": f"http://{here}/clip"}}
        assert served.text([part]) == wanted
        for path in ("none", "to?http://localhost/", "to?file:///etc/passwd"):
            part = {"type": "video_url", "video_url": {"url": f"http://{here}/{path}"}}
            response = served.chat([part])
            assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_video")


@pytest.mark.parametrize("url", URLS)
def test_by_default_nothing_is_fetched_or_opened(served: Served, url: str) -> None:
    for part in (
        {"type": "video_url", "video_url": {"url": url}},
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "video", "video": [url]},
    ):
        response = served.chat([part])
        assert response.status_code == 400, response.text


def test_files_of_the_allowed_folder_and_no_others(tmp_path: Path, clip: Path, tiny: Captioner) -> None:
    folder, outside = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    outside.mkdir()
    for place in (folder / "a b.mp4", outside / "secret.mp4", tmp_path / "in-other.mp4"):
        place.write_bytes(clip.read_bytes())
    (folder / "link.mp4").symlink_to(outside / "secret.mp4")
    (folder / "linked").symlink_to(outside)
    (folder / "good.mp4").symlink_to(folder / "a b.mp4")
    os.mkfifo(folder / "pipe.mp4")
    allowed = [f"file://{folder}/a%20b.mp4", f"file://{folder}/good.mp4", f"file://{folder}/../in/a%20b.mp4"]
    refused = [
        f"file://{outside}/secret.mp4", f"file://{folder}/../out/secret.mp4",
        f"file://{folder}/%2e%2e/out/secret.mp4",
        f"file://{folder}/link.mp4", f"file://{folder}/linked/secret.mp4", f"file://{folder}/pipe.mp4",
        f"file://{folder}",
        f"file://{folder}-other.mp4", f"file://{folder}/none.mp4", "file:///etc/passwd", "file:///dev/zero",
        "file://",
        f"file://{folder}/a%20b.mp4%00.txt", f"file://localhost{folder}/a%20b.mp4", "file:///proc/self/environ",
        f"file://{folder}/a%20b.mp4::x",
    ]  # fmt: skip
    for url in allowed:
        assert file_in(folder, url) is not None
    for url in refused:
        assert file_in(folder, url) is None
    with serving(tiny, ServerSettings(allowed_folder=folder)) as served:
        for url, status in [*((url, 200) for url in allowed), *((url, 400) for url in refused)]:
            response = served.chat([{"type": "video_url", "video_url": {"url": url}}], max_tokens=2)
            assert response.status_code == status, (url, response.text)


def test_odd_containers_and_codecs_of_strangers_are_not_opened(
    served: Served, tmp_path: Path, tiny: Captioner
) -> None:
    from tests.awkward.making import video as make

    for name, codec, pix_fmt in (
        ("a.avi", "ffv1", "yuv420p"),
        ("b.avi", "huffyuv", "yuv422p"),
        ("c.nut", "mpeg4", "yuv420p"),
    ):
        path = make(tmp_path / name, codec, pix_fmt=pix_fmt)
        assert next(tiny.caption(path)).caption_status != "error"
        response = served.chat(video(path), max_tokens=2)
        assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_video"), name
