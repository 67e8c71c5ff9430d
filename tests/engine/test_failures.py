"""Where memory is short, a call is interrupted or the device fails: the captions stay those of before."""

from types import SimpleNamespace

import pytest
import torch

from framescribe.engine import memory, sampling
from framescribe.engine.engine import Engine
from framescribe.engine.memory import phase_limits, plan_cache
from framescribe.errors import DeviceError
from framescribe.model.checkpoint import load_model
from framescribe.types import GenerationSettings
from tests.engine.serve import NEVER, Served, alone, random_request, serve
from tests.reference import CPU, TINY


@pytest.mark.parametrize("kv_tokens", [700, 1100, 4096])
def test_little_memory_gives_the_same_tokens(kv_tokens, lag, model, prompts):
    """From room for one sequence, where the others wait or give their blocks back and start again, to plenty."""
    requests = [
        random_request(
            prompts, f"clip {number}", number % 3, GenerationSettings(max_new_tokens=70 + 30 * (number % 4))
        )
        for number in range(6)
    ]
    expected = {request.id: alone(model, request) for request in requests}
    engine = Engine(model, NEVER, max_batch=6, kv_tokens=kv_tokens)
    assert serve(engine, requests) == expected
    assert engine._scheduler.pool.num_free == engine._scheduler.pool.num_blocks


def test_preempted_draws_and_penalties_go_on_where_they_were(lag, model, prompts):
    settings = GenerationSettings(
        max_new_tokens=150, temperature=1.1, top_p=0.9, repetition_penalty=1.2, seed=4
    )
    requests = [random_request(prompts, f"clip {number}", 1, settings) for number in range(3)]
    expected = {request.id: alone(model, request) for request in requests}
    engine = Engine(model, NEVER, max_batch=3, kv_tokens=512)
    preempted = []
    preempt = engine._scheduler.preempt
    engine._scheduler.preempt = lambda: preempted.append(preempt()) or preempted[-1]
    assert serve(engine, requests) == expected
    assert preempted


def test_a_clip_too_long_for_the_cache_is_refused_with_the_numbers(model, prompts):
    long = random_request(prompts, "long", 24, GenerationSettings(max_new_tokens=5))
    short = random_request(prompts, "short", 1, GenerationSettings(max_new_tokens=5))
    done = serve(Engine(model, NEVER, max_batch=2, kv_tokens=256), [long, short])
    assert done["short"] == alone(model, short)
    assert done["long"].finish_reason == "error"
    assert f"{len(long.prompt)} prompt tokens" in done["long"].error
    assert "256 tokens" in done["long"].error


def part_of(model, part):
    return model.vision.patch_states if part == "vision" else getattr(model, part)


def put_in_place(monkeypatch, model, part, stand_in):
    """Has a model compute the part by ``stand_in``."""
    if part == "vision":
        monkeypatch.setattr(model.vision, "patch_states", stand_in)
    else:
        del model._modules[part]
        monkeypatch.setattr(model, part, stand_in, raising=False)


class OutOfMemory:
    """Stands for a part on a device that holds only so many rows of its input at once."""

    def __init__(self, module, axis: int, most: int, error: Exception | None = None) -> None:
        self.module, self.axis, self.most, self.failures = module, axis, most, 0
        self.error = error or torch.OutOfMemoryError("no room")

    def __call__(self, x, *rest, **named):
        if x.shape[self.axis] > self.most:
            self.failures += 1
            raise self.error
        return self.module(x, *rest, **named)


@pytest.mark.parametrize(
    ("part", "axis", "most", "fails"),
    [
        ("vision", 0, 3, ()),  # a clip's frames in parts
        ("vision", 0, 0, ("a", "b", "c")),
        ("decoder", 1, 400, ()),  # one prompt after the other
        ("decoder", 1, 200, ("b", "c")),  # two are too long
        ("decoder", 0, 1, ()),
    ],
)
def test_running_out_of_memory_splits_the_batch(part, axis, most, fails, lag, prompts, monkeypatch):
    model = load_model(TINY, CPU, torch.float32)
    settings = GenerationSettings(max_new_tokens=8)
    requests = [
        random_request(prompts, name, frames, settings) for name, frames in (("a", 1), ("b", 5), ("c", 4))
    ]
    expected = {request.id: alone(model, request) for request in requests}
    narrow = OutOfMemory(part_of(model, part), axis, most)
    put_in_place(monkeypatch, model, part, narrow)
    if (part, axis) == ("decoder", 0):  # decoding runs out, prefill (one packed row) does not
        narrow.most = 2
    done = serve(Engine(model, NEVER, max_batch=3), requests)
    assert narrow.failures
    for name, completion in done.items():
        if name in fails:
            assert completion.finish_reason == "error"
            assert "out of memory" in completion.error
        else:
            assert completion == expected[name]


def test_decoding_that_runs_out_of_memory_goes_on_with_fewer_clips(lag, prompts, monkeypatch):
    """And does not run out again at every step."""
    model = load_model(TINY, CPU, torch.float32)
    settings = GenerationSettings(max_new_tokens=20)
    requests = [random_request(prompts, f"clip {number}", 1, settings) for number in range(8)]
    narrow = OutOfMemory(model.decoder, 0, 4)
    del model._modules["decoder"]
    monkeypatch.setattr(model, "decoder", narrow, raising=False)
    assert len(serve(Engine(model, NEVER, max_batch=8), requests)) == 8
    assert narrow.failures == 1


def host_memory_error() -> Exception:
    """What torch raises on a CPU."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    return caught.value


@pytest.mark.parametrize("kind", [host_memory_error, MemoryError])
def test_host_memory_that_runs_out_is_met_with_fewer_clips_and_then_told(kind, prompts, monkeypatch):
    model = load_model(TINY, CPU, torch.float32)
    settings = GenerationSettings(max_new_tokens=8)
    requests = [random_request(prompts, f"clip {number}", 1, settings) for number in range(3)]
    expected = {request.id: alone(model, request) for request in requests}
    narrow = OutOfMemory(model.decoder, 0, 1, kind())
    del model._modules["decoder"]
    monkeypatch.setattr(model, "decoder", narrow, raising=False)
    assert serve(Engine(model, NEVER, max_batch=3), requests) == expected
    assert narrow.failures
    narrow.most = 0
    engine = Engine(model, NEVER, max_batch=3)
    with pytest.raises(
        DeviceError, match=r"memory ran out with one clip at work: .*`batch_size` or `quant=8`"
    ):
        serve(engine, requests)


def test_running_out_of_memory_after_a_step_loses_no_token(lag, model, prompts, monkeypatch):
    """The device's rows are one further by then, and the random numbers are used."""
    settings = GenerationSettings(max_new_tokens=8, temperature=1.0, seed=3)
    requests = [random_request(prompts, name, 1, settings) for name in "abc"]
    expected = {request.id: alone(model, request) for request in requests}
    sample, calls = sampling.sample, []

    def failing(*tensors):
        calls.append(1)
        if len(calls) == 4:
            raise torch.OutOfMemoryError("no room")
        return sample(*tensors)

    monkeypatch.setattr(sampling, "sample", failing)
    assert serve(Engine(model, NEVER, max_batch=3), requests) == expected


@pytest.mark.parametrize(("part", "call"), [("vision", 1), ("decoder", 1), ("decoder", 3)])
def test_ctrl_c_in_one_call_leaves_the_requests_of_others(part, call, lag, prompts, monkeypatch):
    model = load_model(TINY, CPU, torch.float32)
    settings = GenerationSettings(max_new_tokens=8)
    mine, others = (random_request(prompts, name, 1, settings) for name in ("mine", "others"))
    expected = alone(model, others)
    compute, calls = part_of(model, part), []

    def interrupted(*inputs, **named):
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        return compute(*inputs, **named)

    put_in_place(monkeypatch, model, part, interrupted)
    served = Served(Engine(model, NEVER, max_batch=2))
    (sequence,) = served.add(mine)
    served.add(others)
    with pytest.raises(KeyboardInterrupt):
        served.finish()
    served.engine.cancel([sequence])
    assert served.finish() == {"others": expected}


def test_phases_that_a_small_gpu_cannot_hold_are_planned_smaller(model, monkeypatch):
    """A probe takes 1 GB for 10 frames, and runs out of memory above 8 GB; 5 GB are free, less 0.8 to spare."""
    tried = []

    def probe(_, limits):
        tried.append(limits.frames)
        if limits.frames > 80:
            raise torch.OutOfMemoryError("no room")
        return limits.frames * 10**8

    monkeypatch.setattr(memory, "probe_phases", probe)
    monkeypatch.setattr(memory, "available_bytes", lambda _: 5 * 10**9)
    properties = SimpleNamespace(total_memory=10**10)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    cuda = torch.device("cuda")
    blocks, limits = plan_cache(
        SimpleNamespace(device=cuda, config=model.config), phase_limits(cuda, 1), torch.float16
    )
    assert blocks * memory.BLOCK_SIZE >= memory.PUBLISHED_CLIP_TOKENS
    assert (tried, limits.frames) == ([120, 60, 30], 30)


@pytest.mark.parametrize("part", ["vision", "decoder"])
def test_a_library_that_fails_on_the_device_ends_the_engine(part, prompts, monkeypatch):
    """cuBLAS raises a plain RuntimeError. Nothing is put back: on a device that failed, no row can be read."""
    model = load_model(TINY, CPU, torch.float32)
    served = Served(Engine(model, NEVER, max_batch=2))
    (sequence,) = served.add(random_request(prompts, "a", 1, GenerationSettings(max_new_tokens=8)))

    def fail(*_, **__):
        raise RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx(...)`")

    put_in_place(monkeypatch, model, part, fail)
    with pytest.raises(DeviceError, match="cpu failed: CUDA error: CUBLAS"):
        served.finish()
    served.engine.cancel([sequence])
    assert served.completions == {}
