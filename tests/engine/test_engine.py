"""Each clip gives the tokens that it gives alone, whatever is in the batch with it."""

import gc
from dataclasses import replace

import pytest
import torch

from framescribe.engine.engine import Engine
from framescribe.engine.kv_cache import KVCache
from framescribe.engine.request import Completion, Request
from framescribe.model import kernels
from framescribe.model.attention import causal_attention
from framescribe.model.checkpoint import load_model
from framescribe.types import GenerationSettings
from tests.engine.serve import NEVER, Served, alone, random_request, serve
from tests.reference import CASES, TINY, case_request, recorded


def recorded_requests(prompts, limit: int = 32) -> list[Request]:
    """0, 1, 3, 5, 24 and 24 frames; ``chat``, ``base`` and ``vqa``; with and without history."""
    names = [name for name in CASES if "greedy_ids" in recorded(name) and not name.startswith("clip-")]
    return [case_request(name, prompts, GenerationSettings(max_new_tokens=limit)) for name in names]


@pytest.mark.parametrize("max_batch", [1, 2, 6])
def test_a_batch_gives_the_recorded_tokens(max_batch, model, prompts):
    requests = recorded_requests(prompts)
    finished = serve(Engine(model, NEVER, max_batch), requests)
    assert len(requests) == 6
    assert {name: list(done.token_ids) for name, done in finished.items()} == {
        request.id: recorded(request.id)["greedy_ids"].tolist() for request in requests
    }


SETTINGS = [
    GenerationSettings(max_new_tokens=12),
    GenerationSettings(max_new_tokens=1),
    GenerationSettings(max_new_tokens=9, repetition_penalty=1.4),
    GenerationSettings(max_new_tokens=7, temperature=0.9, seed=5),
    GenerationSettings(max_new_tokens=10, temperature=1.3, top_p=0.8, repetition_penalty=1.1, seed=2**63 - 1),
]


@pytest.mark.parametrize(("order", "max_batch"), [((0, 1, 2, 3, 4), 5), ((4, 2, 0, 3, 1), 2)])
def test_settings_and_limits_are_each_requests_own(order, max_batch, lag, model, prompts):
    """1, 5 and 24 frames and text only; slots are freed and filled again while others decode."""
    requests = [
        random_request(prompts, f"clip {number}", frames, SETTINGS[number])
        for number, frames in enumerate((1, 5, 24, 0, 2))
    ]
    expected = {request.id: alone(model, request) for request in requests}
    assert [len(expected[request.id].token_ids) for request in requests] == [12, 1, 9, 7, 10]

    assert serve(Engine(model, NEVER, max_batch), [requests[number] for number in order]) == expected


def test_clips_join_while_others_decode(lag, model, prompts):
    requests = [
        random_request(
            prompts, f"clip {number}", number % 3, GenerationSettings(max_new_tokens=4 + 3 * (number % 3))
        )
        for number in range(6)
    ]
    expected = {request.id: alone(model, request) for request in requests}
    served = Served(Engine(model, NEVER, max_batch=2))
    for request in requests:
        served.add(request)
        for _ in range(6):
            served.engine.step()
    assert served.completions  # some were done before the last came
    assert served.finish() == expected


def test_end_of_text_stops_and_is_not_part_of_the_caption(model, prompts):
    request = random_request(prompts, "a dog", 2, GenerationSettings(max_new_tokens=12))
    tokens = alone(model, request).token_ids
    for place, token in enumerate(tokens):
        done = alone(model, request, stop_ids=frozenset({token}))
        assert done == Completion(request.id, tokens[: tokens.index(token)], "stop")
        assert len(done.token_ids) <= place
    assert alone(model, request).finish_reason == "length"


def test_end_of_text_as_the_last_token_allowed_is_a_stop(model, prompts):
    request = random_request(prompts, "a dog", 2, GenerationSettings(max_new_tokens=12))
    tokens = alone(model, request).token_ids
    first = next(place for place, token in enumerate(tokens) if token not in tokens[:place] and place > 3)
    limited = Request(
        "dog", request.prompt, request.pixels_P3SS, GenerationSettings(max_new_tokens=first + 1)
    )
    assert alone(model, limited, frozenset({tokens[first]})) == Completion("dog", tokens[:first], "stop")


def test_stops_in_a_batch(lag, model, prompts):
    requests = recorded_requests(prompts, limit=20)
    stop_ids = frozenset(int(recorded(name)["greedy_ids"][5]) for name in ("chat-5f", "vqa-1f"))
    expected = {request.id: alone(model, request, stop_ids) for request in requests}
    assert {done.finish_reason for done in expected.values()} == {"stop", "length"}
    assert serve(Engine(model, stop_ids, max_batch=3), requests) == expected


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_stream_is_the_same_tokens(settings, lag, model, prompts):
    request = random_request(prompts, "a cat", 3, settings)
    tokens = alone(model, request).token_ids
    assert tuple(Engine(model, NEVER, max_batch=2).stream(request)) == tokens
    stop = frozenset({tokens[-1]})
    assert tuple(Engine(model, stop, 1).stream(request)) == alone(model, request, stop).token_ids


def test_a_stream_is_whole_whoever_else_steps(lag, model, prompts):
    engine = Engine(model, NEVER, max_batch=2)
    request = random_request(prompts, "a cat", 1, GenerationSettings(max_new_tokens=12))
    tokens = []
    for token in engine.stream(request):
        tokens.append(token)
        engine.step()
    assert tuple(tokens) == alone(model, request).token_ids


def test_an_abandoned_stream_leaves_the_engine_free(lag, model, prompts):
    request = random_request(prompts, "a cat", 3, GenerationSettings(max_new_tokens=6))
    engine = Engine(model, NEVER, max_batch=1)
    tokens = engine.stream(request)
    next(tokens)
    assert len(engine) == 1
    tokens.close()
    assert len(engine) == 0
    assert tuple(engine.stream(request)) == alone(model, request).token_ids


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_cancelling_frees_waiting_and_running(steps, model, prompts):
    requests = [
        random_request(prompts, f"clip {number}", number, GenerationSettings(max_new_tokens=5))
        for number in range(4)
    ]
    served = Served(Engine(model, NEVER, max_batch=2))
    sequences = served.add(*requests)
    for _ in range(steps):
        served.engine.step()
    served.engine.cancel(sequences)
    assert len(served.engine) == 0
    served.engine.step()
    assert not served.completions
    served.add(requests[3])
    assert served.finish() == {requests[3].id: alone(model, requests[3])}


def test_cancelling_one_leaves_the_others(lag, model, prompts):
    requests = [
        random_request(prompts, f"clip {number}", 1, GenerationSettings(max_new_tokens=9))
        for number in range(3)
    ]
    served = Served(Engine(model, NEVER, max_batch=3))
    sequences = served.add(*requests)
    for _ in range(4):
        served.engine.step()
    served.engine.cancel(sequences[:1])
    assert served.finish() == {request.id: alone(model, request) for request in requests[1:]}


def test_seeds_decide_the_draw(model, prompts):
    def drawn(seed: int) -> tuple[int, ...]:
        settings = GenerationSettings(max_new_tokens=10, temperature=1.0, seed=seed)
        return alone(model, random_request(prompts, "a cat", 1, settings)).token_ids

    assert drawn(1) == drawn(1)
    assert len({drawn(seed) for seed in range(4)}) == 4


def test_decoding_is_the_whole_sequence_recomputed(model, prompts):
    """The cache against none: each token is the argmax after a full forward pass over all before it."""
    request = case_request("vqa-1f", prompts, GenerationSettings(max_new_tokens=6))
    tokens = alone(model, request).token_ids
    prompt = request.prompt
    features = model.vision(request.pixels_P3SS)
    for count, token in enumerate(tokens):
        ids_BL = torch.tensor([[*prompt.input_ids, *tokens[:count]]])
        positions_BL = torch.tensor(
            [[*prompt.position_ids, *range(prompt.next_position, prompt.next_position + count)]]
        )
        is_vision_BL = torch.tensor([[*prompt.is_vision, *[False] * count]])
        hidden = model.decoder(model.embed(ids_BL, is_vision_BL, features), positions_BL, causal_attention)
        assert int(model.lm_head(hidden[0, -1]).argmax()) == token


def test_more_frames_than_go_through_the_tower_at_once(model, prompts):
    request = random_request(prompts, "a long clip", 30, GenerationSettings(max_new_tokens=2))
    whole = model.vision(request.pixels_P3SS)
    ids_BL = torch.tensor([request.prompt.input_ids])
    x_BLD = model.embed(ids_BL, torch.tensor([request.prompt.is_vision]), whole)
    hidden = model.decoder(x_BLD, torch.tensor([request.prompt.position_ids]), causal_attention)
    assert alone(model, request).token_ids[0] == int(model.lm_head(hidden[0, -1]).argmax())


def test_a_dropped_engine_frees_its_cache_at_once(model, prompts):
    """Or the next one on the same card would find no room, until Python happens to look for cycles."""

    def caches() -> int:
        return sum(type(each) is KVCache for each in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before, engine = caches(), Engine(model, NEVER, max_batch=1)
        serve(engine, [random_request(prompts, "a cat", 3, GenerationSettings(max_new_tokens=4))])
        assert caches() == before + 1
        del engine
        assert caches() == before
    finally:
        gc.enable()


def test_a_batch_needs_a_place(model):
    with pytest.raises(ValueError, match="at least 1, not 0"):
        Engine(model, NEVER, max_batch=0)


@pytest.mark.gpu
def test_a_gpu_without_kernels_gives_the_recorded_tokens(cuda, prompts, monkeypatch):
    """An old one, or one without Triton: no CUDA graphs, as the plain steps look at what the device has."""
    monkeypatch.setattr(kernels, "run_on", lambda device: False)
    requests = recorded_requests(prompts)
    finished = serve(Engine(load_model(TINY, cuda, torch.float32), NEVER, max_batch=4), requests)
    assert {name: list(done.token_ids) for name, done in finished.items()} == {
        request.id: recorded(request.id)["greedy_ids"].tolist() for request in requests
    }


@pytest.mark.gpu
def test_a_batch_gives_the_recorded_tokens_on_the_gpu(cuda, prompts):
    requests = recorded_requests(prompts)
    finished = serve(Engine(load_model(TINY, cuda, torch.float32), NEVER, max_batch=4), requests)
    assert {name: list(done.token_ids) for name, done in finished.items()} == {
        request.id: recorded(request.id)["greedy_ids"].tolist() for request in requests
    }


def test_requests_of_one_clip_share_its_features(lag, model, prompts):
    """Also those that wait; each still gets its own answer."""
    first = random_request(prompts, "a cat", 2, GenerationSettings(max_new_tokens=4))
    others = [
        replace(first, id=name, prompt=random_request(prompts, name, 2, first.settings).prompt)
        for name in ("a dog", "a long question", "a bird")
    ]
    expected = {request.id: alone(model, request) for request in (first, *others)}
    frames = []
    engine = Engine(model, NEVER, max_batch=2)
    hook = model.vision.adapter.register_forward_pre_hook(lambda _, inputs: frames.append(len(inputs[0])))
    try:
        assert serve(engine, [first, *others]) == expected
    finally:
        hook.remove()
    assert frames == [2]


def test_generate_gives_all_and_leaves_nothing_behind_when_it_is_broken_off(model, prompts, monkeypatch):
    requests = [
        random_request(prompts, f"clip {number}", 0, GenerationSettings(max_new_tokens=5 - number))
        for number in range(3)
    ]
    engine = Engine(model, NEVER, max_batch=3, kv_tokens=1024)
    done = engine.generate(requests)
    assert [completion.id for completion in done] == ["clip 2", "clip 1", "clip 0"]
    assert {completion.id: completion for completion in done} == serve(engine, requests)
    step, steps = engine.step, []

    def broken_off():
        steps.append(1)
        if len(steps) == 3:
            raise KeyboardInterrupt
        step()

    monkeypatch.setattr(engine, "step", broken_off)
    with pytest.raises(KeyboardInterrupt):
        engine.generate(requests)
    assert len(engine) == 0


def test_a_request_that_no_cache_holds_is_among_the_completions(model, prompts):
    request = random_request(prompts, "long", 24, GenerationSettings(max_new_tokens=5))
    (done,) = Engine(model, NEVER, max_batch=1, kv_tokens=256).generate([request])
    assert done.finish_reason == "error"
