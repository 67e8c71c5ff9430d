"""Requests to servers that fail, refuse, lie or are slow."""

import json
import time

import pytest

from framescribe.endpoint.answers import AnswerReader, Failure
from framescribe.endpoint.client import Client
from framescribe.endpoint.spec import BudgetSpent, Endpoint
from framescribe.errors import ClipError, DeviceError, UsageError
from tests.endpoint.server import FAULTS, MODEL, FakeServer, caption_of

QUESTION = [{"role": "user", "content": "Why?"}]
CAPTION = caption_of({"messages": QUESTION})


def first(fault, times=1):
    """The requests that follow the probe fail, so many times."""
    return lambda number, body: fault if 1 < number <= 1 + times else None


def test_answer():
    with FakeServer() as server, Client(Endpoint(server.url)) as client:
        answer = client.chat(QUESTION, temperature=0.5)
        assert (answer.text, answer.finish_reason, answer.model) == (CAPTION, "stop", MODEL)
        assert (answer.prompt_tokens, answer.output_tokens, answer.url) == (10, 12, f"{server.url}/v1")
        assert server.bodies[-1]["temperature"] == 0.5
        assert "".join(client.stream(QUESTION)) == CAPTION


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_tried_again(fault):
    with FakeServer(first(fault)) as server, Client(Endpoint(server.url)) as client:
        assert client.chat(QUESTION, max_tokens=100).text == CAPTION
        assert server.faults == {fault: 1}


@pytest.mark.parametrize(("model", "text"), [("\ud800", "A kite."), (MODEL, "A \udfff")])
def test_half_a_character_is_no_answer(model, text):
    """JSON may hold it, files of rows cannot: the run would end when the row is written."""
    reader = AnswerReader(100)
    choices = [{"message": {"content": text}, "finish_reason": "stop"}]
    reader.add(json.dumps({"model": model, "choices": choices}).encode(), "message")
    with pytest.raises(Failure, match="no text"):
        reader.answer("http://gpu:8000/v1")


def test_servers_without_streams_and_without_ids():
    with FakeServer(streams=False, echoes=False) as server, Client(Endpoint(server.url)) as client:
        assert client.chat(QUESTION).text == CAPTION
        assert [body["stream"] for body in server.bodies] == [True, True, False, False][-len(server.bodies) :]


def test_a_request_that_always_fails_is_told_from_a_server_that_does():
    def fault(number, body):
        return "500" if body["messages"] == QUESTION else None

    with FakeServer(fault) as server, Client(Endpoint(server.url, tries=3)) as client:
        with pytest.raises(ClipError, match=r"failed 3 times: 500: trouble"):
            client.chat(QUESTION)
        assert server.faults == {"500": 3}
        assert client.chat([{"role": "user", "content": "Else?"}]).text


def test_patience_ends():
    with FakeServer(first("500", times=1000)) as server:
        endpoint = Endpoint(server.url, tries=2, patience_s=0.5)
        with Client(endpoint) as client, pytest.raises(DeviceError, match=r"has not answered for .*500"):
            client.chat(QUESTION)


def test_late_answers():
    with FakeServer(lambda number, body: "hang" if body["messages"] == QUESTION else None) as server:
        client = Client(Endpoint(server.url, tries=2, timeout_s=0.3))
        with client, pytest.raises(ClipError, match=r"no answer within 0\.3 s"):
            client.chat(QUESTION)


def test_refused_requests():
    with FakeServer(lambda number, body: "413" if body["messages"] == QUESTION else None) as server:
        with Client(Endpoint(server.url)) as client, pytest.raises(ClipError, match="413: trouble"):
            client.chat(QUESTION)
        assert server.faults == {"413": 2}


def test_filtered_answers():
    with FakeServer() as server, Client(Endpoint(server.url)) as client:
        client.probe()
        server.finish_reason = "content_filter"
        with pytest.raises(ClipError, match="held the answer back"):
            client.chat(QUESTION)


def test_denials_are_asked_about():
    """A gateway that denies once is tried again; a key that is not taken any more ends the run."""
    with (
        FakeServer(first("401"), key="secret-1") as server,
        Client(Endpoint(server.url, key="secret-1")) as client,
    ):
        assert client.chat(QUESTION).text == CAPTION
        server.key = "secret-2"
        with pytest.raises(UsageError, match="401") as raised:
            client.chat(QUESTION)
        assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("server", "endpoint", "message"),
    [
        (FakeServer(key="a"), {"key": "b"}, "the key was refused"),
        (FakeServer(key="a"), {}, "it wants a key"),
        (FakeServer(), {"model": "gpt"}, "model gpt: 404: The model gpt does not exist; it serves model-a"),
        (FakeServer(models=("a", "b")), {}, "name the model .* it serves a, b"),
        (FakeServer(counts=False), {"max_tokens": 5}, "does not count tokens"),
        (FakeServer(lambda number, body: "redirect"), {"tries": 2}, "redirects to 127.0.0.2"),
        (FakeServer(lambda number, body: "garbage"), {"tries": 2}, "does not answer: its answer is no JSON"),
    ],
)
def test_what_is_found_before_a_run(server, endpoint, message):
    with server, Client(Endpoint(server.url, **endpoint)) as client, pytest.raises(UsageError, match=message):
        client.probe()


def test_a_server_that_is_starting_is_waited_for():
    with FakeServer(starting=3) as server, Client(Endpoint(server.url)) as client:
        assert client.probe().model == MODEL
    with (
        FakeServer(starting=1000) as server,
        Client(Endpoint(server.url, patience_s=0.3)) as client,
        pytest.raises(UsageError, match="does not answer: 503: starting"),
    ):
        client.probe()


def test_nobody_there():
    with Client(Endpoint("http://127.0.0.1:1")) as client, pytest.raises(UsageError, match="does not answer"):
        client.probe()


def test_budgets():
    with FakeServer() as server:
        with Client(Endpoint(server.url, max_requests=3)) as client:
            client.chat(QUESTION), client.chat(QUESTION)
            with pytest.raises(BudgetSpent, match="3 requests"):
                client.chat(QUESTION)
        with Client(Endpoint(server.url, max_tokens=60)) as client:
            client.chat(QUESTION), client.chat(QUESTION)
            with pytest.raises(BudgetSpent, match="60 tokens"):
                client.chat(QUESTION)


def test_concurrency_adapts():
    with FakeServer(most=6, delay_s=0.05) as server, Client(Endpoint(server.url)) as client:
        answers = [client.submit(QUESTION) for _ in range(200)]
        assert {answer.result().text for answer in answers} == {CAPTION}
        assert 5 <= server.most_in_flight <= 16  # eight, and eight more before the first 429 is read
        assert server.requests < 1 + 200 + 60  # the others met 429
    with FakeServer(delay_s=0.2) as server, Client(Endpoint(server.url, concurrency=24)) as client:
        answers = [client.submit(QUESTION) for _ in range(200)]
        assert {answer.result().text for answer in answers} == {CAPTION}
        assert 12 < server.most_in_flight <= 24


def test_retry_after_is_kept():
    with FakeServer(first("429")) as server, Client(Endpoint(server.url)) as client:
        client.probe()
        client._servers.all[0].was_busy(time.monotonic(), 0.4)
        started = time.monotonic()
        client.chat(QUESTION)
        assert time.monotonic() - started >= 0.4


def test_several_servers_share_the_work_and_stand_in_for_each_other():
    with (
        FakeServer(delay_s=0.01) as one,
        FakeServer(delay_s=0.01) as two,
        Client(Endpoint([one.url, two.url], concurrency=4)) as client,
    ):
        answers = [client.submit(QUESTION) for _ in range(60)]
        assert {answer.result().text for answer in answers} == {CAPTION}
        assert min(one.requests, two.requests) > 20
        one.fault = lambda number, body: "500"
        answers = [client.submit(QUESTION) for _ in range(20)]
        assert {answer.result().text for answer in answers} == {CAPTION}


def test_a_key_never_shows():
    endpoint = Endpoint("http://127.0.0.1:1", model="m", key="secret-key")
    assert "secret" not in repr(endpoint)
    for url in (
        "http://user:secret@host",
        "http://host/v1?key=secret",
        "ftp://host",
        "host",
        "http://host:x",
    ):
        with pytest.raises(UsageError) as raised:
            Endpoint(url)
        assert "secret" not in str(raised.value)


def test_closing_ends_what_is_in_flight():
    with FakeServer(lambda number, body: "hang" if number > 1 else None) as server:
        with Client(Endpoint(server.url)) as client:
            waiting = client.submit(QUESTION)
            while server.in_flight == 0:
                time.sleep(0.01)
        assert waiting.cancelled()
