"""What is wrong with a request is said in OpenAI's words, with the right status; the others are served on."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from framescribe.caption_row import CaptionRow
from framescribe.captioner import Captioner
from framescribe.errors import UsageError
from framescribe.serving import listening
from framescribe.serving.gate import read_keys
from framescribe.serving.settings import ServerSettings
from tests.serving.served import Served, data_url, serving, video
from tests.video.decoders import Server as Films
from tests.video.decoders import answer

USER = {"role": "user", "content": "hello"}
GIF = b"GIF89a"


def error_of(response: httpx.Response) -> dict[str, Any]:
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return dict(error)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "system", "content": "Be brief."}, USER]}, "messages.0"),
        ({"messages": [USER, USER]}, "messages"),
        ({"messages": [USER, {"role": "assistant", "content": "hi"}]}, "messages"),
        ({"messages": [{"role": "user", "content": " "}]}, "messages"),
        (
            {"messages": [{"role": "user", "content": [{"type": "audio", "audio": "x"}]}]},
            "messages.0.user.content",
        ),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 2.5}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"repetition_penalty": 1e-300}, "repetition_penalty"),
        ({"n": 2}, "n"),
        ({"seed": -1}, "seed"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 10**9}, "max_tokens"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": ""}, "stop"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"logprobs": True}, "logprobs"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"framescribe": {"strategy": "best"}}, "framescribe.strategy"),
        ({"framescribe": {"sample_fps": 2.0, "strategy": "base"}}, None),
        ({"framescribe": {"num_frames": 5000}}, None),
        ({"mm_processor_kwargs": {"size": 3}}, "mm_processor_kwargs.size"),
        (
            {"media_io_kwargs": {"video": {"frames_indices": [10**400]}}},
            "media_io_kwargs.video.frames_indices.0",
        ),
        (
            {"media_io_kwargs": {"video": {"total_num_frames": 10**30}}},
            "media_io_kwargs.video.total_num_frames",
        ),
    ],
)
def test_values_that_are_refused(served: Served, fields: dict[str, Any], param: str | None) -> None:
    response = served.client.post(
        "/v1/chat/completions", json={"model": "tiny", "messages": [USER], "max_tokens": 1} | fields
    )
    assert response.status_code == 400, response.text
    error = error_of(response)
    assert error["type"] == "invalid_request_error"
    if param is not None:
        assert str(error["param"]).startswith(param)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b"[" * 100_000, b'{"a":NaN}']
)
def test_bodies_that_are_no_request(served: Served, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    response = served.client.post("/v1/chat/completions", content=body, headers=headers)
    assert response.status_code == 400
    error_of(response)


@pytest.mark.parametrize(
    "url",
    [
        "data:video/mp4;base64,@@@@", "data:video/mp4,plain", "data:;base64,AAAA", "data:text/html;base64,AAAA", "",
        "clip.mp4", "/etc/passwd", "file:///etc/passwd", "ftp://example.org/a.mp4", "https://example.org/a.mp4",
        "s3://bucket/a.mp4", "http://127.0.0.1/a.mp4", "data:video/mp4;base64,é", "data:video/jpeg;base64,",
        "data:video/jpeg;base64,AAAA,,AAAA",
    ],
)  # fmt: skip
def test_media_that_are_refused(served: Served, url: str) -> None:
    response = served.chat([{"type": "video_url", "video_url": url}])
    assert response.status_code == 400, response.text
    error_of(response)


def test_videos_that_cannot_be_read(served: Served, clip: Path) -> None:
    content = clip.read_bytes()
    for broken in (b"", b"no video", content[:200], GIF, b"\0" * 5000):
        response = served.chat(video(broken))
        assert (response.status_code, error_of(response)["code"]) == (400, "invalid_video")
    assert served.chat(video(clip), framescribe={"start_s": 100}).status_code == 400
    assert served.chat(video(clip), framescribe={"start_s": 3, "end_s": 2}).status_code == 400


def test_two_videos_and_too_many_frames_are_refused(served: Served, clip: Path) -> None:
    assert error_of(served.chat(video(clip) + video(clip)))["code"] == "too_many_videos"
    part = {"type": "video_url", "video_url": "data:video/jpeg;base64," + ",".join(["/9j/"] * 300)}
    assert error_of(served.chat([part]))["code"] == "too_many_frames"


def test_other_models_places_methods_and_types(served: Served) -> None:
    body = {"model": "gpt-4", "messages": [USER]}
    response = served.client.post("/v1/chat/completions", json=body)
    assert (response.status_code, error_of(response)["code"]) == (404, "model_not_found")
    for method, path, status in (
        ("GET", "/v1/chat/completions", 405),
        ("POST", "/v1/models", 405),
        ("GET", "/x", 404),
    ):
        response = served.client.request(method, path)
        assert response.status_code == status
        error_of(response)
    response = served.client.post(
        "/v1/chat/completions", content=b"{}", headers={"content-type": "text/plain"}
    )
    assert response.status_code == 415


def test_limits_of_a_video(tiny: Captioner, clip: Path) -> None:
    settings = ServerSettings(max_seconds=2, max_pixels=64, max_body_mb=0.2)
    with serving(tiny, settings) as served:
        assert error_of(served.chat(video(clip)))["code"] == "video_too_large"
        response = served.chat([{"type": "video_url", "video_url": data_url(b"\0" * 200_000)}])
        assert (response.status_code, error_of(response)["code"]) == (413, "request_too_large")
    with serving(tiny, ServerSettings(max_seconds=2)) as served:
        assert error_of(served.chat(video(clip)))["code"] == "video_too_long"


def test_a_body_without_a_length_is_limited_too(tiny: Captioner) -> None:
    with serving(tiny, ServerSettings(max_body_mb=0.1)) as served:
        chunks = (b"x" * 1000 for _ in range(1000))
        headers = {"content-type": "application/json"}
        response = served.client.post("/v1/chat/completions", content=chunks, headers=headers)
        assert response.status_code == 413


def test_requests_that_come_slowly_or_never_do_not_stop_others(tiny: Captioner) -> None:
    with serving(tiny, ServerSettings(read_timeout_s=2.0)) as served:
        address = served.client.base_url.host, served.client.base_url.port
        idle = [socket.create_connection(address) for _ in range(50)]
        slow = socket.create_connection(address)
        slow.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        )
        slow.sendall(b"Content-Length: 1000\r\n\r\n{")
        assert served.chat("hello", max_tokens=1).status_code == 200
        slow.settimeout(240)
        answer = b""
        while part := slow.recv(4096):
            answer += part
        assert answer.startswith(b"HTTP/1.1 408 ")
        for each in (*idle, slow):
            each.close()


def test_slow_senders_take_no_places_and_make_room_for_others(
    tiny: Captioner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "_MAX_CONNECTIONS", 20)
    with serving(tiny, ServerSettings(max_requests=2)) as served:
        address = served.client.base_url.host, served.client.base_url.port
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        slow = []
        for _ in range(60):
            slow.append(socket.create_connection(address))
            slow[-1].sendall(head + b"Content-Length: 1000\r\n\r\n{")
        with httpx.Client(base_url=served.client.base_url, timeout=240) as late:
            body = {"model": "tiny", "messages": [USER], "max_tokens": 1}
            assert late.post("/v1/chat/completions", json=body).status_code == 200
        assert len(served.server.server_state.connections) <= 21
        for each in slow:  # cut uploads
            each.close()
        wait_until(lambda: served.service.is_idle)
        assert served.chat("hello", max_tokens=1).status_code == 200


def test_connections_that_ask_nothing_make_room_for_others(
    tiny: Captioner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "_MAX_CONNECTIONS", 20)
    monkeypatch.setattr(listening, "_HEADER_TIMEOUT_S", 2.0)
    with serving(tiny) as served:
        address = served.client.base_url.host, served.client.base_url.port
        idle = [socket.create_connection(address) for _ in range(200)]
        idle[-1].sendall(b"GET /health HTTP/1.1\r\nHost: 127.0")  # and one that does not end
        assert served.chat("hello", max_tokens=1).status_code == 200
        connections = served.server.server_state.connections
        assert len(connections) <= 21
        wait_until(lambda: len(connections) <= 1)  # the client's own, which has asked
        for each in idle:
            each.close()


def test_what_is_no_http_is_told_so(served: Served) -> None:
    address = served.client.base_url.host, served.client.base_url.port
    for request in (
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01" + b"\0" * 200 + b"\r\n\r\n",
        # Of two lengths a proxy may go by the other; what follows is no second request.
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 57\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /version HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    ):
        with socket.create_connection(address) as odd:
            odd.sendall(request)
            odd.settimeout(240)
            answer = b""
            while part := odd.recv(4096):
                answer += part
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "invalid_request"


def test_a_full_server_says_when_to_come_again(endless: Captioner, clip: Path) -> None:
    with serving(endless, ServerSettings(max_requests=1)) as served:
        body = {"model": "tiny", "messages": [USER], "stream": True, "framescribe": {"stop_loops": False}}
        with served.client.stream("POST", "/v1/chat/completions", json=body):
            assert served.service.in_work == 1
            response = served.chat(video(clip))
            assert (response.status_code, error_of(response)["type"]) == (429, "rate_limit_error")
            assert int(response.headers["retry-after"]) > 0
        wait_until(lambda: served.service.in_work == 0)
        assert served.chat("hello", max_tokens=1).status_code == 200


def test_what_all_bodies_take_together_is_limited(tiny: Captioner, clip: Path) -> None:
    with serving(tiny, ServerSettings(max_held_mb=0.05)) as served:
        part = {"type": "video_url", "video_url": data_url(b"\0" * 100_000)}
        assert served.chat([part]).status_code == 429
        assert served.chat("hello", max_tokens=1).status_code == 200


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_client_that_leaves_frees_what_it_held(endless: Captioner, is_streamed: bool) -> None:
    with serving(endless) as served:
        body = {
            "model": "tiny",
            "messages": [USER],
            "stream": is_streamed,
            "framescribe": {"stop_loops": False},
        }
        content = json.dumps(body).encode()
        address = served.client.base_url.host, served.client.base_url.port
        with socket.create_connection(address) as leaving:
            head = (
                f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(content)}\r\n"
            )
            leaving.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + content)
            wait_until(lambda: len(served.service.opened.engine) == 1)
        wait_until(lambda: served.service.in_work == 0 and len(served.service.opened.engine) == 0)
        wait_until(lambda: len(endless.engine) == 0)
        assert 'requests_total{status="499"} 1.0' in served.client.get("/metrics").text


def test_a_server_that_starts_or_ends_says_so(tiny: Captioner, clip: Path) -> None:
    with serving(None) as served:
        body = {"model": "tiny", "messages": [USER]}
        response = served.client.post("/v1/chat/completions", json=body)
        assert (response.status_code, error_of(response)["code"]) == (503, "starting")
        assert "retry-after" in response.headers
        assert served.client.get("/health/live").status_code == 200
        assert served.client.get("/health/ready").status_code == 503
        served.service.open(tiny)
        assert served.client.get("/health/ready").status_code == 200
        assert served.client.post("/v1/chat/completions", json=body | {"max_tokens": 1}).status_code == 200


def test_what_is_in_work_is_answered_before_the_end(tiny: Captioner, clip: Path, row: CaptionRow) -> None:
    answers: list[httpx.Response] = []
    films = Films()
    part = {"type": "video_url", "video_url": films.url}
    rules = ServerSettings(allowed_domains=(films.url.split("/")[2],))
    with serving(tiny, rules) as served:
        asking = threading.Thread(target=lambda: answers.append(served.chat([part])))
        asking.start()
        with films.accept() as fetching:
            served.server.stop()
            assert served.client.get("/health/ready").status_code == 503
            assert error_of(served.client.post("/v1/chat/completions", json={}))["code"] == "stopping"
            answer(fetching, clip.read_bytes())
        asking.join()
    assert answers[0].status_code == 200, answers[0].text
    assert answers[0].json()["choices"][0]["message"]["content"] == row.caption


def test_keys(tiny: Captioner, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("# of the lab\nfirst-key-0123456789\n\n second-key-0123456789\n")
    with serving(tiny, keys=read_keys(path)) as served:
        for path_ in ("/v1/models", "/openapi.json", "/metrics", "/version", "/nothing"):
            assert served.client.get(path_).status_code == 401
        assert served.client.get("/health/ready").status_code == 200
        for header in ("Bearer second-key-0123456789", "bearer first-key-0123456789"):
            assert served.client.get("/v1/models", headers={"authorization": header}).status_code == 200
        for header in (
            "first-key-0123456789",
            "Bearer",
            "Basic first-key-0123456789",
            "Bearer # of the lab",
        ):
            assert served.client.get("/v1/models", headers={"authorization": header}).status_code == 401
        with pytest.raises(openai.AuthenticationError):
            openai.OpenAI(base_url=served.url, api_key="wrong", max_retries=0).models.list()
        # A server with keys may have any name.
        host = {"host": "captions.example", "authorization": "Bearer first-key-0123456789"}
        assert served.client.get("/v1/models", headers=host).status_code == 200


def test_key_files_that_hold_no_good_keys(tmp_path: Path) -> None:
    for content in ("", "# none\n", "short\n", "has a blank inside it\n", "kéy-0123456789abcdef\n"):
        path = tmp_path / "keys"
        path.write_text(content)
        with pytest.raises(UsageError):
            read_keys(path)
    with pytest.raises(UsageError):
        read_keys(tmp_path / "missing")


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"}, {"host": "127.0.0.1.evil.example"}, {"host": ""}, {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)  # fmt: skip
def test_without_keys_no_page_of_another_site_gets_in(served: Served, headers: dict[str, str]) -> None:
    response = served.client.get("/v1/models", headers=headers)
    assert response.status_code == 403
    error_of(response)


def wait_until(holds: Callable[[], bool], at_most_s: float = 240) -> None:
    """Waits for another thread, which is at it."""
    import time

    ends_s = time.monotonic() + at_most_s
    while not holds():
        assert time.monotonic() < ends_s, "it never came"
        time.sleep(0.005)
