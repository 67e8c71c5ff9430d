"""Captions that certainly loop end there, with the tokens that they would have had; nobody else notices."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framescribe.engine.engine import Engine
from framescribe.engine.loops import CHECK_EVERY, certainly_loops
from framescribe.engine.request import Completion, Request
from framescribe.types import GenerationSettings
from tests.engine.serve import NEVER, Served, alone, random_request, serve

DISTINCT = list(range(1000, 1400))


def looping_by_definition(ids: list[int]) -> bool:
    """96 tokens or more that are four times the same or more often, at the end; or 12 different ones in 128."""
    if len(ids) >= 128 and len(set(ids[-128:])) <= 12:
        return True
    for period in range(1, len(ids) // 4 + 1):
        repeated = max(96, 4 * period)
        tail = ids[-repeated:]
        if len(ids) >= repeated and all(
            tail[place] == tail[place - period] for place in range(period, repeated)
        ):
            return True
    return False


@pytest.mark.parametrize(
    ("ids", "is_certain"),
    [
        ([], False),
        ([7] * 95, False),
        ([7] * 96, True),
        ([*DISTINCT, *[7] * 96], True),
        ([*DISTINCT, *[7] * 96, 8], False),  # it went on
        ([*DISTINCT[:5], *list(range(16)) * 6], True),
        ([*DISTINCT[:5], *(list(range(16)) * 6)[1:]], False),
        (DISTINCT[:40] * 4, True),
        (DISTINCT[:40] * 3 + DISTINCT[:39], False),
        (DISTINCT[:400] * 4, True),
        (DISTINCT, False),
        ([*DISTINCT, *random.Random(0).choices(range(12), k=128)], True),
        ([*DISTINCT, *random.Random(0).choices(range(12), k=126), 90], False),
        ([*random.Random(0).choices(range(11), k=127), 90], True),
        ([*random.Random(0).choices(range(12), k=127), 90], False),
    ],
)
def test_what_is_certain_is_numbers(ids, is_certain):
    assert CHECK_EVERY == 16
    assert certainly_loops(ids) is is_certain
    assert looping_by_definition(ids) is is_certain


@given(
    st.lists(st.integers(0, 30), max_size=40),
    st.lists(st.integers(0, 30), min_size=1, max_size=70),
    st.integers(1, 300),
    st.lists(st.integers(0, 30), max_size=2),
)
def test_the_definition_is_met_whatever_comes_before_and_wherever_it_is_broken_off(
    head, phrase, length, rest
):
    ids = [*head, *(phrase * length)[:length], *rest]
    assert certainly_loops(ids) is looping_by_definition(ids)


@pytest.mark.parametrize("period", [1, 2, 3, 7, 16, 17, 40, 120])
@pytest.mark.parametrize("start", [0, 1, 50, 333])
def test_a_loop_is_found_within_a_hundred_tokens_of_its_certainty(period, start):
    ids = [*range(5000, 5000 + start), *list(range(period)) * (2048 // period)]
    certain = next(end for end in range(len(ids)) if looping_by_definition(ids[:end]))
    assert certain <= start + max(96, 4 * period)
    found = next(end for end in range(0, len(ids), CHECK_EVERY) if certainly_loops(ids[:end]))
    assert certain <= found < certain + 100


@pytest.fixture(scope="module")
def looping(prompts) -> list[Request]:
    """A penalty below 1 rewards repetition: these end up with two tokens, and with four."""
    return [
        replace(
            random_request(prompts, "loop 0", 0, GenerationSettings(190, repetition_penalty=penalty)),
            id=f"loop {penalty}",
        )
        for penalty in (0.15, 0.3)
    ]


@pytest.fixture(scope="module")
def unstopped(model, looping) -> list[Completion]:
    """What the same requests give that run to their limit."""
    return [alone(model, with_settings(request, stop_loops=False)) for request in looping]


def with_settings(request: Request, **changes) -> Request:
    return replace(request, settings=replace(request.settings, **changes))


def first_certain(token_ids: tuple[int, ...]) -> int:
    return next(
        end
        for end in range(CHECK_EVERY, len(token_ids), CHECK_EVERY)
        if looping_by_definition(list(token_ids[:end]))
    )


@pytest.mark.parametrize("max_batch", [1, 3])
def test_a_loop_ends_with_the_tokens_that_it_would_have_had(max_batch, lag, model, looping, unstopped):
    done = serve(Engine(model, NEVER, max_batch), looping)
    for request, whole in zip(looping, unstopped, strict=True):
        assert whole.finish_reason == "length"
        end = first_certain(whole.token_ids)
        assert done[request.id] == Completion(request.id, whole.token_ids[:end], "loop")


def test_others_do_not_notice_and_all_memory_is_free_again(lag, model, prompts, looping):
    others = [
        random_request(
            prompts, f"clip {number}", number, GenerationSettings(60 + 30 * number, temperature=1.0)
        )
        for number in range(3)
    ]
    expected = {request.id: alone(model, request) for request in others}
    assert all(len(done.token_ids) >= 60 for done in expected.values())
    # Little memory: some are sent back to the queue when a loop ends, or shortly before.
    engine = Engine(model, NEVER, max_batch=5, kv_tokens=640)
    done = serve(engine, [looping[0], others[0], looping[1], *others[1:]])
    assert {name: done[name] for name in expected} == expected
    assert [done[request.id].finish_reason for request in looping] == ["loop", "loop"]
    assert engine._scheduler.pool.num_free == engine._scheduler.pool.num_blocks


def test_a_loop_is_no_loop_where_that_is_asked_for(lag, model, looping, unstopped):
    requests = [with_settings(request, stop_loops=False) for request in looping]
    done = list(serve(Engine(model, NEVER, 2), requests).values())
    assert done == unstopped
    assert [len(completion.token_ids) for completion in done] == [190, 190]


def test_a_limit_that_is_reached_with_the_certainty_is_the_limit(lag, model, looping, unstopped):
    end = first_certain(unstopped[0].token_ids)
    limited = with_settings(looping[0], max_new_tokens=end)
    assert alone(model, limited) == Completion(limited.id, unstopped[0].token_ids[:end], "length")
    assert alone(model, with_settings(limited, max_new_tokens=end + 1)).finish_reason == "loop"


def test_a_stream_ends_where_the_caption_does(lag, model, looping):
    assert tuple(Engine(model, NEVER, 2).stream(looping[0])) == alone(model, looping[0]).token_ids


def test_a_looping_clip_can_be_cancelled_at_any_step(lag, model, looping):
    end = len(alone(model, looping[0]).token_ids)
    for steps in (end, end + 1, end + 2):
        served = Served(Engine(model, NEVER, max_batch=2))
        sequences = served.add(*looping[:1])
        for _ in range(steps):
            served.engine.step()
        served.engine.cancel(sequences)
        assert len(served.engine) == 0
        assert served.engine._scheduler.pool.num_free == served.engine._scheduler.pool.num_blocks
