"""What a request takes: no more than is counted, and nothing once nobody needs it."""

from __future__ import annotations

import json
import socket
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from framescribe.captioner import Captioner
from framescribe.reading import ForeignBytes
from framescribe.serving.chat import parse
from framescribe.serving.media import understand
from framescribe.serving.schema import ChatRequest
from framescribe.serving.settings import ServerSettings
from framescribe.task import DecodeLimits
from tests.serving.served import serving, video
from tests.serving.test_errors import wait_until

MB = 1_000_000


def request(content: Any, **fields: Any) -> bytes:
    body = {"model": "tiny", "messages": [{"role": "user", "content": content}]} | fields
    return json.dumps(body).encode()


def test_a_request_takes_little_more_than_its_video() -> None:
    content = bytes(6 * MB)
    body = request(video(content))
    tracemalloc.start()
    try:
        asked = understand(parse(bytearray(body), ChatRequest), ServerSettings())
        now, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert asked.clip is not None
    assert asked.clip.data == ForeignBytes(content)
    assert asked.num_bytes == len(content) <= now < 1.02 * len(content)
    assert most < 3.3 * len(body)


def test_an_answer_in_the_making_holds_no_video(endless: Captioner, clip: Path) -> None:
    large = clip.read_bytes() + (8 * MB).to_bytes(4, "big") + b"free" + bytes(8 * MB - 8)
    with serving(endless, ServerSettings(limits=DecodeLimits(1, 300.0))) as served:
        tracemalloc.start()
        try:
            fields = {"stream": True, "max_tokens": 2048, "framescribe": {"stop_loops": False}}
            body = request(video(large), **fields)
            with served.client.stream("POST", "/v1/chat/completions", content=body, headers=JSON) as response:
                lines = response.iter_lines()
                assert next(lines).startswith("data: ")
                assert served.service.held.num_bytes == 0
                del body
                found = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(False, __file__)])
                assert max(trace.size for trace in found.traces) < 4 * MB, found.statistics("lineno")[:5]
        finally:
            tracemalloc.stop()
        wait_until(lambda: served.service.in_work == 0)


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("is_patient", [False, True])
def test_a_client_that_leaves_ends_the_decoder_that_works_for_it(tiny: Captioner, is_patient: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(240)
        port = silent.getsockname()[1]
        rules = ServerSettings(allowed_domains=(f"127.0.0.1:{port}",), limits=DecodeLimits(1, 300.0))
        with serving(tiny, rules) as served:
            address = served.client.base_url.host, served.client.base_url.port
            url = [{"type": "video_url", "video_url": f"http://127.0.0.1:{port}/a.mp4"}]
            body = request(url)
            leaving = socket.create_connection(address)
            head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
            leaving.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
            fetching, _ = silent.accept()
            with fetching:
                fetching.settimeout(30 if not is_patient else 3)
                assert fetching.recv(4096).startswith(b"GET /a.mp4 ")
                if is_patient:
                    with pytest.raises(TimeoutError):  # whoever waits is fetched for
                        fetching.recv(4096)
                    leaving.close()
                else:
                    leaving.close()
                    assert fetching.recv(4096) == b""  # well before the silence that ends a fetch
            wait_until(lambda: served.service.in_work == 0)
            assert served.chat("hello", max_tokens=1).status_code == 200
