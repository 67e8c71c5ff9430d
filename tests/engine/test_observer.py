"""What an observer is told, and that it changes nothing."""

from contextlib import contextmanager

from framescribe.engine.engine import Engine
from framescribe.engine.observer import EngineObserver, PhaseTimer
from framescribe.types import GenerationSettings
from tests.engine.serve import NEVER, alone, random_request
from tests.reference import CPU


class Recorder(EngineObserver):
    """Keeps what it is told, and whether the phase is over."""

    def __init__(self) -> None:
        self.phases = []

    @contextmanager
    def phase(self, kind, sequences, tokens):
        yield
        self.phases.append((kind, sequences, tokens))


def test_each_phase_is_told_with_its_sequences_and_tokens(model, prompts):
    recorder = Recorder()
    requests = [random_request(prompts, f"clip {count}", count, GenerationSettings(3)) for count in (1, 2)]
    engine = Engine(model, NEVER, max_batch=2, kv_tokens=1024, observer=recorder)
    assert sorted(engine.generate(requests), key=lambda done: done.id) == [
        alone(model, request) for request in requests
    ]
    prompt_tokens = sum(len(request.prompt) for request in requests)
    assert recorder.phases == [
        ("encode", 2, 3 * 66),
        ("prefill", 2, prompt_tokens),
        ("decode", 2, 2),
        ("decode", 2, 2),
    ]


def test_a_timer_adds_up_what_it_is_told_and_starts_anew():
    timer = PhaseTimer(CPU)
    for sequences in (2, 3):
        with timer.phase("decode", sequences, tokens=sequences):
            pass
    totals = timer.take()
    assert (totals["decode"].runs, totals["decode"].sequences, totals["decode"].tokens) == (2, 5, 5)
    assert totals["decode"].seconds > 0
    assert totals["encode"].runs == totals["prefill"].runs == 0
    assert timer.take()["decode"].runs == 0


def test_a_phase_that_fails_is_not_counted():
    timer = PhaseTimer(CPU)
    try:
        with timer.phase("encode", 1, 66):
            raise MemoryError
    except MemoryError:
        pass
    assert timer.take()["encode"].runs == 0
