"""Tokens that are read a step late, threads that meet, and what is left of a device that failed."""

import threading

import pytest
import torch

from framescribe.engine.engine import Engine
from framescribe.errors import DeviceError
from framescribe.model.checkpoint import load_model
from framescribe.types import GenerationSettings
from tests.engine.serve import NEVER, Served, alone, random_request, serve
from tests.reference import CPU, TINY

SETTINGS = GenerationSettings(max_new_tokens=4)


@pytest.mark.parametrize("steps", range(8))
def test_what_is_cancelled_is_never_delivered_wherever_its_tokens_are(steps, lag, model, prompts):
    """After so many steps its last token is not computed, on its way, or read."""
    served = Served(Engine(model, NEVER, max_batch=2))
    sequences = served.add(*(random_request(prompts, name, 0, SETTINGS) for name in ("a", "bc")))
    for _ in range(steps):
        served.engine.step()
    before = dict(served.completions)
    served.engine.cancel(sequences)
    for _ in range(3):
        served.engine.step()
    assert served.completions == before
    assert len(served.engine) == 0
    assert served.engine._scheduler.pool.num_free == served.engine._scheduler.pool.num_blocks


def test_ends_limits_and_little_memory_a_step_late(lag, model, prompts):
    settings = [GenerationSettings(max_new_tokens=70 + 20 * number) for number in range(4)]
    requests = [
        random_request(prompts, f"clip {number}", number % 2, each) for number, each in enumerate(settings)
    ]
    # Greedy decoding of random weights: some token of one caption ends another early.
    stop_ids = frozenset({alone(model, requests[0]).token_ids[40]})
    expected = {request.id: alone(model, request, stop_ids) for request in requests}
    assert "stop" in {done.finish_reason for done in expected.values()}
    engine = Engine(model, stop_ids, max_batch=4, kv_tokens=448)
    assert serve(engine, requests) == expected
    assert engine._scheduler.pool.num_free == engine._scheduler.pool.num_blocks


def test_one_step_runs_at_a_time(prompts, monkeypatch):
    """Two threads step: while one is within, the other stays out, however long that takes."""
    model = load_model(TINY, CPU, torch.float32)
    decoder, inside, met = model.decoder, threading.Semaphore(1), threading.Event()

    def slow(*inputs, **named):
        if not inside.acquire(blocking=False):
            met.set()
            return decoder(*inputs, **named)
        met.wait(0.3)  # for as long as another could come in
        inside.release()
        return decoder(*inputs, **named)

    del model._modules["decoder"]
    monkeypatch.setattr(model, "decoder", slow, raising=False)
    served = Served(Engine(model, NEVER, max_batch=2))
    served.add(*(random_request(prompts, name, 0, GenerationSettings(2)) for name in ("a", "bc")))
    threads = [threading.Thread(target=lambda: [served.engine.step() for _ in range(3)]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not met.is_set()


def test_a_device_that_failed_is_not_touched_again(prompts, monkeypatch):
    model = load_model(TINY, CPU, torch.float32)
    served = Served(Engine(model, NEVER, max_batch=2))
    (sequence,) = served.add(random_request(prompts, "a", 0, SETTINGS))
    for _ in range(3):
        served.engine.step()

    def fail(*_, **__):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    del model._modules["decoder"]
    monkeypatch.setattr(model, "decoder", fail, raising=False)
    with pytest.raises(DeviceError):
        served.engine.step()
    served.engine.cancel([sequence])
    assert served.engine._runner.rows == [sequence]
    assert sequence.is_done


def test_a_clip_alone_that_is_too_large_for_the_vision_tower_goes_through_in_parts(prompts, monkeypatch):
    model = load_model(TINY, CPU, torch.float32)
    request = random_request(prompts, "long", 8, SETTINGS)
    expected = alone(model, request)
    patch_states = model.vision.patch_states

    def narrow(pixels_F3SS):
        if len(pixels_F3SS) > 3:
            raise torch.OutOfMemoryError("no room")
        return patch_states(pixels_F3SS)

    monkeypatch.setattr(model.vision, "patch_states", narrow)
    done = alone(model, request)
    assert done.finish_reason == "length"
    assert done.token_ids == expected.token_ids


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_keys_and_values_are_kept_in_the_type_that_is_asked_for(dtype, model, prompts):
    engine = Engine(model, NEVER, max_batch=1, kv_tokens=256, kv_dtype=dtype)
    request = random_request(prompts, "a", 0, SETTINGS)
    assert len(serve(engine, [request])["a"].token_ids) == 4
    assert {tensor.dtype for tensor in (*engine._runner._cache._keys, *engine._runner._cache._values)} == {
        dtype
    }
