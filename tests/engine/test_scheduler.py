"""Random arrivals: every sequence ends exactly once, every block comes back, nobody waits forever."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framescribe.engine.scheduler import BlockPool, Limits, Schedulable, Scheduler

BLOCK = 4

JOBS = st.builds(
    Schedulable,
    frames=st.integers(0, 9),
    prompt_tokens=st.integers(1, 40),
    max_new_tokens=st.integers(1, 30),
)
ARRIVALS = st.lists(st.tuples(st.integers(0, 12), JOBS, st.integers(1, 30)), min_size=1, max_size=25)
LIMITS = st.builds(
    Limits,
    frames=st.integers(1, 12),
    tokens=st.integers(1, 90),
    batch=st.integers(1, 6),
    patience=st.integers(0, 5),
)


def check_books(scheduler: Scheduler[Schedulable], sequences: list[Schedulable]) -> None:
    owned = [block for sequence in sequences for block in sequence.blocks]
    assert len(owned) == len(set(owned)), "a block belongs to two"
    assert len(owned) + scheduler.pool.num_free == scheduler.pool.num_blocks
    assert len(scheduler.running) + len(scheduler.encoded) <= scheduler.limits.batch


@settings(max_examples=300)
@given(ARRIVALS, LIMITS, st.integers(18, 60))
def test_every_sequence_ends_once_and_every_block_comes_back(arrivals, limits, num_blocks):
    """A device that does what it is told, and where each sequence stops at its own length."""
    scheduler: Scheduler[Schedulable] = Scheduler(limits, BlockPool(num_blocks, BLOCK))
    sequences = [sequence for _, sequence, _ in arrivals]
    lengths = {id(sequence): min(stop, sequence.max_new_tokens) for _, sequence, stop in arrivals}
    pending = sorted(arrivals, key=lambda arrival: arrival[0])
    ended: list[Schedulable] = []
    cached: dict[int, int] = {}  # tokens whose keys are stored

    def advance(running: list[Schedulable]) -> None:
        for sequence in running:
            sequence.new_tokens += 1
        done = [sequence for sequence in running if sequence.new_tokens == lengths[id(sequence)]]
        ended.extend(done)
        scheduler.free(done)

    for clock in range(5000):
        while pending and pending[0][0] <= clock:
            scheduler.add(pending.pop(0)[1])
        phase = scheduler.schedule()
        check_books(scheduler, sequences)
        if phase is None:
            if not pending:
                break
        elif phase.kind == "encode":
            assert phase.sequences
            assert (
                sum(sequence.frames for sequence in phase.sequences) <= limits.frames
                or len(phase.sequences) == 1
            )
        elif phase.kind == "prefill":
            assert (
                sum(sequence.tokens for sequence in phase.sequences) <= limits.tokens
                or len(phase.sequences) == 1
            )
            for sequence in phase.sequences:
                assert len(sequence.blocks) * BLOCK > sequence.tokens, (
                    "no room for the prompt and its next token"
                )
                cached[id(sequence)] = sequence.tokens
            advance(list(phase.sequences))
        else:
            assert phase.kind == "decode"
            while scheduler.is_short():
                cached.pop(id(scheduler.preempt()))
            scheduler.allocate()
            check_books(scheduler, sequences)
            for sequence in scheduler.running:
                cached[id(sequence)] += 1
                assert cached[id(sequence)] == sequence.tokens, "a token was skipped or computed twice"
                assert len(sequence.blocks) * BLOCK >= cached[id(sequence)], "no room for a key"
            advance(list(scheduler.running))
    assert sorted(map(id, ended)) == sorted(map(id, sequences))
    assert len(scheduler) == 0
    assert scheduler.pool.num_free == num_blocks


@settings(max_examples=100)
@given(ARRIVALS, LIMITS)
def test_first_come_first_served(arrivals, limits):
    """Nobody is prefilled before one who came earlier, whatever their sizes."""
    scheduler: Scheduler[Schedulable] = Scheduler(limits, BlockPool(60, BLOCK))
    sequences = [sequence for _, sequence, _ in arrivals]
    for sequence in sequences:
        scheduler.add(sequence)
    order: list[Schedulable] = []
    while (phase := scheduler.schedule()) is not None:
        if phase.kind == "prefill":
            order += phase.sequences
        if phase.kind == "decode":
            scheduler.free(list(scheduler.running))
    assert list(map(id, order)) == list(map(id, sequences))


def test_newcomers_fill_a_chunk_or_wait_their_patience():
    scheduler: Scheduler[Schedulable] = Scheduler(Limits(4, 100, 8, patience=3), BlockPool(50, BLOCK))
    for _ in range(3):
        scheduler.add(Schedulable(2, 5, 9))
    # Nothing else to do: at once, and so is what is left over.
    assert [scheduler.schedule().kind for _ in range(5)] == [
        "encode",
        "prefill",
        "encode",
        "prefill",
        "decode",
    ]
    scheduler.add(Schedulable(2, 5, 9))
    assert [scheduler.schedule().kind for _ in range(5)] == [
        "decode",
        "decode",
        "decode",
        "encode",
        "prefill",
    ]
    assert scheduler.schedule().kind == "decode"
    scheduler.add(Schedulable(2, 5, 9))
    scheduler.add(Schedulable(2, 5, 9))
    assert scheduler.schedule().kind == "encode"  # a full chunk does not wait


def test_a_sequence_that_never_fits_is_refused():
    scheduler: Scheduler[Schedulable] = Scheduler(Limits(4, 100, 8), BlockPool(4, BLOCK))
    with pytest.raises(
        ValueError, match="10 prompt tokens and up to 7 new ones need more than the 16 tokens"
    ):
        scheduler.add(Schedulable(0, 10, 7))
    scheduler.add(Schedulable(0, 10, 6))


def test_what_could_not_be_run_is_tried_again_in_its_order():
    scheduler: Scheduler[Schedulable] = Scheduler(Limits(8, 100, 8), BlockPool(50, BLOCK))
    sequences = [Schedulable(2, 5, 9) for _ in range(4)]
    for sequence in sequences:
        scheduler.add(sequence)
    phase = scheduler.schedule()
    assert phase.kind == "encode"
    scheduler.requeue(phase.sequences)
    scheduler.shrink()
    assert scheduler.pool.num_free == 50
    smaller = scheduler.schedule()
    assert smaller.kind == "encode"
    assert list(map(id, smaller.sequences)) == list(map(id, sequences[:2]))


def fails_above(scheduler: Scheduler[Schedulable], most: int, phases: int) -> int:
    """Runs so many phases, of clips that come without end; more than ``most`` frames at once run out of memory."""
    failures = 0
    for _ in range(phases):
        while len(scheduler.waiting) < 20:
            scheduler.add(Schedulable(1, 5, 9))
        phase = scheduler.schedule()
        if (
            phase is not None
            and phase.kind == "encode"
            and sum(sequence.frames for sequence in phase.sequences) > most
        ):
            failures += 1
            scheduler.requeue(phase.sequences)
            scheduler.shrink()
        elif phase is not None and phase.kind != "encode":
            scheduler.free(list(scheduler.running))
    return failures


def test_phases_are_as_large_as_before_when_a_shortage_is_over():
    scheduler: Scheduler[Schedulable] = Scheduler(Limits(8, 100, 8), BlockPool(50, BLOCK))
    assert fails_above(scheduler, 2, 10) == 2
    scheduler.shrink_batch(2)
    assert fails_above(scheduler, 8, 10) == 0
    assert scheduler.limits == Limits(2, 25, 2)
    assert fails_above(scheduler, 8, 2000) == 0
    assert scheduler.limits == Limits(8, 100, 8)


def test_a_lasting_shortage_is_met_ever_more_seldom():
    scheduler: Scheduler[Schedulable] = Scheduler(Limits(8, 100, 8), BlockPool(50, BLOCK))
    at_first, later = fails_above(scheduler, 4, 10_000), fails_above(scheduler, 4, 30_000)
    assert 2 <= at_first <= 4
    assert 1 <= later <= 2


def running(num_blocks: int, sequences: list[Schedulable]) -> Scheduler[Schedulable]:
    """A scheduler that has encoded and prefilled these, one after the other."""
    scheduler: Scheduler[Schedulable] = Scheduler(
        Limits(frames=100, tokens=1000, batch=10), BlockPool(num_blocks, BLOCK)
    )
    for sequence in sequences:
        scheduler.add(sequence)
    while len(scheduler.running) < len(sequences):
        assert scheduler.schedule().kind != "decode"
    return scheduler


def test_the_one_admitted_last_gives_way_and_is_the_first_to_come_back():
    sequences = [Schedulable(frames=0, prompt_tokens=6, max_new_tokens=9) for _ in range(3)]
    scheduler = running(20, sequences)
    later = Schedulable(frames=0, prompt_tokens=6, max_new_tokens=9)
    scheduler.add(later)
    assert scheduler.preempt() is sequences[2]
    assert list(scheduler.waiting) == [sequences[2], later]
    assert scheduler.running == sequences[:2]
    assert sequences[2].blocks == []


def test_a_newcomer_leaves_each_that_runs_a_block():
    """Ten blocks: three that run hold two each, and will want one more each; the newcomer needs two."""
    sequences = [Schedulable(frames=0, prompt_tokens=6, max_new_tokens=2) for _ in range(3)]
    scheduler = running(10, sequences)
    assert scheduler.pool.num_free == 4
    newcomer = Schedulable(frames=0, prompt_tokens=6, max_new_tokens=2)
    scheduler.add(newcomer)
    assert scheduler.schedule().kind == "decode"
    scheduler.free([sequences[0]])
    phase = scheduler.schedule()
    assert phase.kind == "encode"
    assert list(phase.sequences) == [newcomer]


def test_one_sequence_may_always_run():
    scheduler = running(20, [Schedulable(frames=0, prompt_tokens=6, max_new_tokens=9)])
    scheduler.shrink_batch(0)
    assert scheduler.limits.batch == 1
    scheduler.free(list(scheduler.running))
    scheduler.add(Schedulable(frames=0, prompt_tokens=6, max_new_tokens=9))
    assert scheduler.schedule().kind == "encode"
