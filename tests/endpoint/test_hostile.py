"""Servers that mean harm: each answer costs little time and memory, is no caption, and the key stays secret."""

import asyncio
import json
import time
import tracemalloc

import pytest

from framescribe import EndpointCaptioner
from framescribe.endpoint.answers import AnswerReader, Failure
from framescribe.endpoint.client import Client
from framescribe.endpoint.spec import Endpoint
from framescribe.errors import ClipError, UsageError
from tests.endpoint.hostile import HOSTILE
from tests.endpoint.kill_resume import make_clips
from tests.endpoint.server import FakeServer
from tests.endpoint.test_client import CAPTION, QUESTION, first

KEY = "sk-of-somebody"


@pytest.mark.parametrize("answer", HOSTILE)
def test_a_hostile_answer_costs_little_and_is_tried_again(answer):
    with FakeServer(first(answer)) as server, Client(Endpoint(server.url, key=KEY, timeout_s=0.5)) as client:
        client.probe()
        started = time.monotonic()
        tracemalloc.start()
        try:
            assert client.chat(QUESTION, max_tokens=100).text == CAPTION
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert server.faults == {answer: 1}
        assert time.monotonic() - started < 100
        assert peak < 32 << 20


def cut(text, size):
    return [text[start : start + size] for start in range(0, len(text), size)]


def told(pieces, secret=KEY):
    """What is told of an answer that comes in pieces, and what comes of it."""
    seen = []
    reader = AnswerReader(1000, seen.append, secret)
    try:
        for piece in pieces:
            event = {"choices": [{"delta": {"content": piece}, "finish_reason": None}]}
            reader.add_events(b"data: " + json.dumps(event).encode() + b"\n\n")
        reader.add(b'{"choices": [{"finish_reason": "stop"}]}', "delta")
        text = reader.answer("http://gpu").text
        return "".join(seen), text
    except Failure as failure:
        return "".join(seen), str(failure)


@pytest.mark.parametrize("size", [1, 2, 5, 13, 14, 15, 100])
def test_no_piece_of_a_key_is_told(size):
    seen, came = told(cut(f"A kite sk-of {KEY} flies.", size))
    assert came == "its answer holds the key"
    assert "A kite sk-of ".startswith(seen)
    for harmless in ("A kite sk-of-some flies.", f"It ends with {KEY[:-1]}", "sk-sk-of-sk-of-somebod", "s"):
        assert told(cut(harmless, size)) == (harmless, harmless)
        assert told(cut(harmless, size), secret=None) == (harmless, harmless)


@pytest.mark.parametrize(
    "values",
    [
        {"choices": [{"message": {"content": f"It says {KEY}"}, "finish_reason": "stop"}]},
        {"model": KEY},
        {"framescribe": {"a": [KEY]}},
        {"framescribe": {KEY: 1}},
        {"error": {"message": f"bad key {KEY}"}},
        {"choices": [{"message": {"content": ""}, "finish_reason": KEY}]},
        {"usage": {"prompt_tokens": KEY}},
    ],
)
def test_the_key_is_in_no_answer_and_no_message(values, monkeypatch):
    choice = {"message": {"content": "A kite."}, "finish_reason": "stop"}
    whole = json.dumps({"choices": [choice]} | values).encode()

    async def answer(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(whole), whole))
        await writer.drain()
        await asyncio.sleep(0.05)  # the next request comes before this connection is closed

    monkeypatch.setitem(HOSTILE, "key", answer)

    def fault(number, body):
        return "key" if body["messages"] == QUESTION else None

    with FakeServer(fault, key=KEY, echoes=False) as server:
        client = Client(Endpoint(server.url, key=KEY, tries=2, patience_s=90.0))
        with client, pytest.raises(ClipError, match="failed 2 times") as raised:
            client.chat(QUESTION)
    assert KEY not in str(raised.value)


def test_the_key_is_in_no_list_of_models_and_no_redirect(monkeypatch):
    with FakeServer(key=KEY, models=("a", f"b-{KEY}")) as server:
        client = Client(Endpoint(server.url, key=KEY))
        with client, pytest.raises(UsageError) as raised:
            client.probe()
        assert KEY not in str(raised.value)

    async def redirect(writer):
        writer.write(b"HTTP/1.1 302 X\r\nLocation: http://%s/\r\n\r\n" % KEY.encode())

    monkeypatch.setitem(HOSTILE, "key", redirect)
    with FakeServer(lambda number, body: "key", key=KEY) as server:
        client = Client(Endpoint(server.url, key=KEY, tries=1))
        with client, pytest.raises(UsageError, match=r"redirects to \*\*\*") as raised:
            client.probe()
    assert KEY not in str(raised.value)


def test_a_short_key_is_a_word_like_others():
    with (
        FakeServer(say=lambda body: "The cinema is EMPTY", key="EMPTY") as server,
        Client(Endpoint(server.url, key="EMPTY")) as client,
    ):
        assert client.chat(QUESTION).text == "The cinema is EMPTY"


def test_rows_name_the_model_that_answered(tmp_path):
    """Servers may answer with another one: the caption is kept, and says so."""
    make_clips(tmp_path, 1)

    async def answer(writer):
        choice = {"message": {"content": "A kite."}, "finish_reason": "stop"}
        whole = json.dumps({"choices": [choice], "model": "model-b"}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(whole), whole))

    with (
        FakeServer(lambda number, body: "b" if number > 2 else None) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setitem(HOSTILE, "b", answer)
        server.echoes = False
        with EndpointCaptioner(server.url) as captioner:
            (row,) = captioner.caption(tmp_path)
    assert (row.model, row.answered_by, row.caption) == ("model-a", "model-b", "A kite.")


def test_budgets_hold_whatever_fails():
    """Tries, the probe and checks of the server's health are requests too."""

    def fault(number, body):
        return "500" if body["messages"] == QUESTION else None

    for most in (1, 2, 4, 6):
        with FakeServer(fault) as server, Client(Endpoint(server.url, tries=3, max_requests=most)) as client:
            with pytest.raises((ClipError, UsageError)):
                client.chat(QUESTION)
            with pytest.raises((ClipError, UsageError)):
                client.chat(QUESTION)
            assert server.requests == most
