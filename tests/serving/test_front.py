"""Several servers behind one address: the least busy one answers, and one that dies costs its own requests."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from framescribe.caption_row import CaptionRow
from framescribe.captioner import Captioner
from framescribe.errors import UsageError
from framescribe.model_spec import ModelSpec
from framescribe.serving import bodies
from framescribe.serving.front import Front, summed
from framescribe.serving.listening import Server, config_of
from framescribe.serving.run import listen, serve
from framescribe.serving.settings import ServerSettings
from framescribe.task import DecodeLimits
from tests.serving.served import Served, serving, video
from tests.serving.test_errors import wait_until


@dataclass
class Backend:
    """A server that is there already."""

    url: str | None
    in_work: int = 0
    failure: Exception | None = None

    def close(self) -> None: ...


@contextmanager
def fronted(*backends: Backend, read_timeout_s: float = 60.0) -> Iterator[tuple[Front, httpx.Client]]:
    front = Front(backends, read_timeout_s)
    with listen("127.0.0.1", 0) as listening:
        server = Server(config_of(front), front, drain_timeout_s=20)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        root = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with httpx.Client(base_url=root, timeout=240) as client:
            try:
                yield front, client
            finally:
                server.should_exit = True
                thread.join()


@contextmanager
def two(tiny: Captioner, settings: ServerSettings, keys: tuple[str, ...] = ()) -> Iterator[list[Served]]:
    other = Captioner(tiny.engine.model, tiny.checkpoint, tiny.precision, batch_size=2)
    with serving(tiny, settings, keys) as first, serving(other, settings, keys) as second:
        yield [first, second]


def backend(served: Served) -> Backend:
    return Backend(served.url.removesuffix("/v1"))


def ask(client: httpx.Client, content: object, **fields: object) -> httpx.Response:
    body = {"model": "tiny", "messages": [{"role": "user", "content": content}], **fields}
    return client.post("/v1/chat/completions", json=body)


def test_answers_are_the_servers_own(served: Served, clip: Path, row: CaptionRow) -> None:
    with fronted(backend(served), Backend(None)) as (_, client):
        answer = ask(client, video(clip)).json()
        assert answer["choices"][0]["message"]["content"] == row.caption
        streamed = ask(client, video(clip), stream=True)
        assert streamed.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(line[6:]) for line in streamed.text.splitlines() if line.startswith("data: {")]
        assert "".join(each["choices"][0]["delta"].get("content", "") for each in events) == row.caption
        assert client.get("/v1/models").json() == served.client.get("/v1/models").json()
        assert client.get("/v1/models/x%2Fy?z=1").status_code == 404
        assert ask(client, "hello", n=2).status_code == 400
        host = {"host": "evil.example"}
        assert client.get("/v1/models", headers=host).status_code == 403
        assert client.get("/health/ready").status_code == 200


def test_keys_and_limits_hold_behind_it(tiny: Captioner) -> None:
    key = "a-key-0123456789abc"
    with (
        serving(tiny, ServerSettings(max_body_mb=0.2), (key,)) as behind,
        fronted(backend(behind)) as (_, client),
    ):
        assert ask(client, "hello").status_code == 401
        assert client.get("/metrics").status_code == 401
        client.headers["authorization"] = f"Bearer {key}"
        assert ask(client, "hello", max_tokens=1).status_code == 200
        assert ask(client, "x" * 400_000).status_code == 413
        chunks = (b"x" * 10_000 for _ in range(100))
        headers = {"content-type": "application/json"}
        assert client.post("/v1/chat/completions", content=chunks, headers=headers).status_code == 413
        assert client.get("/metrics").status_code == 200
        assert "framescribe_" in client.request("GET", "/metrics", content=b"a body").text


@contextmanager
def silent_host() -> Iterator[tuple[socket.socket, str, ServerSettings]]:
    """A host that never answers: whoever asks about its video keeps a server busy."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(240)
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        rules = ServerSettings(allowed_domains=(host,), limits=DecodeLimits(1, 300.0))
        yield silent, f"http://{host}/a.mp4", rules


@contextmanager
def asking(client: httpx.Client, url: str) -> Iterator[socket.socket]:
    """A client that waits for the answer about a video."""
    content = [{"type": "video_url", "video_url": url}]
    body = json.dumps({"model": "tiny", "messages": [{"role": "user", "content": content}]}).encode()
    with socket.create_connection((client.base_url.host, client.base_url.port), timeout=240) as waiting:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
        waiting.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
        yield waiting


def test_the_least_busy_one_is_asked_and_a_client_that_leaves_frees_it(tiny: Captioner) -> None:
    with silent_host() as (_, url, rules), two(tiny, rules) as behind, ExitStack() as stack:
        front, client = stack.enter_context(fronted(*map(backend, behind)))
        with asking(client, url), asking(client, url):
            wait_until(lambda: [each.service.in_work for each in behind] == [1, 1])
            found = re.findall(
                r"^framescribe_requests_in_work (\S+)", client.get("/metrics").text, re.MULTILINE
            )
            assert [float(each) for each in found] == [2.0]
            assert ask(client, "hello", max_tokens=1).status_code == 200
        wait_until(lambda: [each.service.in_work for each in behind] == [0, 0])
        wait_until(lambda: front.in_work == 0)


def test_a_request_that_stands_still_is_given_up(served: Served) -> None:
    with (
        fronted(backend(served), read_timeout_s=0.2) as (front, client),
        socket.create_connection((client.base_url.host, client.base_url.port), timeout=240) as slow,
    ):
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n"
        slow.sendall(head + b"Content-Type: application/json\r\n\r\n{")
        assert slow.recv(4096).startswith(b"HTTP/1.1 408")
        wait_until(lambda: front.in_work == 0)


def test_one_that_is_gone_is_said_and_none_is_said(served: Served) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = Backend(f"http://127.0.0.1:{unused.getsockname()[1]}")
        with fronted(nobody) as (front, client):
            response = ask(client, "hello")
            assert (response.status_code, response.json()["error"]["code"]) == (503, "engine_died")
            assert int(response.headers["retry-after"]) > 0
            nobody.url = None
            assert client.get("/health/ready").status_code == 503
            assert client.get("/health/live").status_code == 200
            assert ask(client, "hello").json()["error"]["code"] == "starting"
            nobody.url = served.url.removesuffix("/v1")
            assert ask(client, "hello", max_tokens=1).status_code == 200
            front.is_draining = True
            assert ask(client, "hello").json()["error"]["code"] == "stopping"


def test_an_error_reaches_a_client_that_is_still_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is closed with something unread is reset, and what was said on it may be lost."""
    monkeypatch.setattr(bodies, "_LINGERS_S", 240.0)
    with (
        fronted(Backend(None)) as (_, client),
        socket.create_connection((client.base_url.host, client.base_url.port), timeout=240) as sending,
    ):
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9000000\r\n\r\n"
        sending.sendall(head + bytes(9_000_000))
        answer = b"".join(iter(lambda: sending.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 503")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "starting"


@pytest.mark.parametrize(
    "target", ["@127.0.0.1:{port}/v1/models", "http://127.0.0.1:{port}/", "*", "x", "/" + "x" * 66_000]
)
def test_no_request_reaches_another_host(target: str) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        fronted(Backend("http://127.0.0.1:9")) as (_, client),
    ):
        target = target.format(port=other.getsockname()[1])
        with socket.create_connection((client.base_url.host, client.base_url.port), timeout=240) as asking:
            asking.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            assert asking.recv(4096).startswith(b"HTTP/1.1 40")
        other.settimeout(0.0)
        with pytest.raises(BlockingIOError):
            other.accept()


def test_samples_are_summed_and_times_are_not() -> None:
    one = '# HELP a of it\n# TYPE a counter\na_total{status="200"} 3.0\na_created{status="200"} 1.7e+09\nb 2.0\n'
    other = '# HELP a of it\n# TYPE a counter\na_total{status="200"} 4.0\na_total{status="404"} 1.0\nb 0.5\n'
    assert summed([one, other]) == (
        '# HELP a of it\n# TYPE a counter\na_total{status="200"} 7\nb 2.5\na_total{status="404"} 1\n'
    )
    assert summed([]) == ""


def test_devices_that_are_refused() -> None:
    for devices in (("cuda:x",), ("cpu", "")):
        with pytest.raises(UsageError, match="device"):
            serve("tiny", port=0, devices=devices)


def test_an_adapter_reaches_each_device(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no adapter_config"):
        serve(ModelSpec("tiny", adapter=tmp_path), port=0, devices=("cpu",))


@pytest.mark.slow
def test_a_process_a_device(clip: Path, row: CaptionRow) -> None:
    with silent_host() as (silent, url, rules), ExitStack() as stack:
        command = [
            sys.executable, "-u", "-m", "framescribe", "serve", "--port", "0", "--devices", "cpu,cpu", "--batch-size",
            "2", "--decode-workers", "1", "--allow-domain", rules.allowed_domains[0],
        ]  # fmt: skip
        running = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        stack.callback(running.kill)
        assert running.stdout is not None
        root = running.stdout.readline().split()[-1].removesuffix("/v1")
        client = stack.enter_context(httpx.Client(base_url=root, timeout=120))
        wait_until(lambda: client.get("/health/ready").status_code == 200, 120)
        engines = [
            each for each in psutil.Process(running.pid).children() if "engines" in " ".join(each.cmdline())
        ]
        assert len(engines) == 2
        wait_until(lambda: client.get("/metrics").text.count("\n") > 0)
        assert ask(client, video(clip)).json()["choices"][0]["message"]["content"] == row.caption
        # Both are busy, and one dies: its request alone is lost, and it comes back.
        waiting = [stack.enter_context(asking(client, url)) for _ in range(2)]
        fetching = [stack.enter_context(silent.accept()[0]) for _ in range(2)]
        assert all(each.recv(4096) for each in fetching)
        engines[0].kill()
        answers = []
        for each in waiting:
            each.settimeout(5)
            try:
                answers.append(each.recv(4096)[:12])
            except TimeoutError:
                answers.append(b"")
        assert sorted(answers) == [b"", b"HTTP/1.1 503"]
        assert ask(client, "hello", max_tokens=1).status_code == 200
        wait_until(lambda: len(psutil.Process(running.pid).children()) == 2, 120)
        os.kill(running.pid, signal.SIGTERM)
        for each in waiting:
            each.close()
        assert running.wait(120) == 0
        assert not any(each.is_running() for each in engines)
