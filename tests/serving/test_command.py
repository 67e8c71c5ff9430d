"""``framescribe serve`` as a process: it tells its address, loads, answers, and ends in order."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from framescribe.errors import UsageError
from framescribe.serving.run import listen, serve
from framescribe.serving.settings import ServerSettings
from framescribe.task import DecodeLimits
from tests.cli.run import invoke
from tests.serving.served import Served, video


@contextmanager
def started(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-u", "-m", "framescribe", "serve", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("Serving at http://127.0.0.1:"), line
            yield process, line.split()[-1]
        finally:
            process.kill()


def test_a_server_ends_after_its_last_answer(clip: Path) -> None:
    with (
        started() as (process, url),
        httpx.Client(base_url=url.removesuffix("/v1"), timeout=240) as client,
    ):
        while client.get("/health/ready").status_code == 503:
            time.sleep(0.05)
        body = {"model": "tiny", "messages": [{"role": "user", "content": video(clip)}], "max_tokens": 500}
        body["framescribe"] = {"stop_loops": False}
        answers: list[httpx.Response] = []
        asking = threading.Thread(
            target=lambda: answers.append(httpx.post(f"{url}/chat/completions", json=body, timeout=240))
        )
        asking.start()
        while not answers and "requests_in_engine 1.0" not in client.get("/metrics").text:
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        asking.join()
        assert process.wait(240) == 0
    assert answers[0].status_code == 200
    assert json.loads(answers[0].text)["choices"][0]["message"]["content"]


def test_what_is_written_in_parts_goes_out_at_once(served: Served) -> None:
    assert served.client.get("/health/live").status_code == 200
    sockets = [each.transport.get_extra_info("socket") for each in served.server.server_state.connections]
    assert [each.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for each in sockets] == [1] * len(sockets)
    assert sockets


def test_a_server_may_end_while_it_loads() -> None:
    for _ in range(3):
        with started() as (process, url):
            assert httpx.get(f"{url.removesuffix('/v1')}/health/live", timeout=240).status_code == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(240) == 0


def test_a_model_that_cannot_be_had_ends_it() -> None:
    with started("--model", "no-such-model") as (process, _):
        assert process.wait(240) == 2


def test_wrong_usage_is_found_before_anything_loads(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("short")
    for options in (
        ["--host", "0.0.0.0"], ["--host", "0.0.0.0", "--key-file", keys], ["--key-file", tmp_path / "none"],
        ["--allow-domain", "https://example.org"], ["--allow-folder", tmp_path / "none"], ["--max-seconds", "0"],
        ["--host", "no.such.host.example", "--key-file", keys],
    ):  # fmt: skip
        assert invoke("serve", *options).exit_code == 2
    with pytest.raises(UsageError):
        ServerSettings(limits=DecodeLimits(workers=0))
    with listen("127.0.0.1", 0) as first, pytest.raises(UsageError, match="cannot be used"):
        serve("no such model", port=first.getsockname()[1])
