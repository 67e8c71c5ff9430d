"""Random arrivals: every sequence ends exactly once, every block comes back, nobody waits forever."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framescribe.engine.scheduler import BlockPool, Decode, Encode, Job, Limits, Prefill, Scheduler

BLOCK = 4

JOBS = st.builds(
    Job,
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


def check_books(scheduler: Scheduler[Job], jobs: list[Job]) -> None:
    owned = [block for job in jobs for block in job.blocks]
    assert len(owned) == len(set(owned)), "a block belongs to two"
    assert len(owned) + scheduler.pool.num_free == scheduler.pool.num_blocks
    assert len(scheduler.running) + len(scheduler.encoded) <= scheduler.limits.batch


@settings(max_examples=300, deadline=None)
@given(ARRIVALS, LIMITS, st.integers(18, 60))
def test_every_sequence_ends_once_and_every_block_comes_back(arrivals, limits, num_blocks):
    """A device that does what it is told, and where each sequence stops at its own length."""
    scheduler: Scheduler[Job] = Scheduler(limits, BlockPool(num_blocks, BLOCK))
    jobs = [job for _, job, _ in arrivals]
    lengths = {id(job): min(stop, job.max_new_tokens) for _, job, stop in arrivals}
    pending = sorted(arrivals, key=lambda arrival: arrival[0])
    ended: list[Job] = []
    cached: dict[int, int] = {}  # tokens whose keys are stored

    def advance(running: list[Job]) -> None:
        for job in running:
            job.new_tokens += 1
        done = [job for job in running if job.new_tokens == lengths[id(job)]]
        ended.extend(done)
        scheduler.retire(done)

    for clock in range(5000):
        while pending and pending[0][0] <= clock:
            scheduler.add(pending.pop(0)[1])
        phase = scheduler.next()
        check_books(scheduler, jobs)
        if phase is None:
            if not pending:
                break
        elif isinstance(phase, Encode):
            assert phase.jobs
            assert sum(job.frames for job in phase.jobs) <= limits.frames or len(phase.jobs) == 1
        elif isinstance(phase, Prefill):
            assert sum(job.tokens for job in phase.jobs) <= limits.tokens or len(phase.jobs) == 1
            for job in phase.jobs:
                assert len(job.blocks) * BLOCK > job.tokens, "no room for the prompt and its next token"
                cached[id(job)] = job.tokens
            advance(list(phase.jobs))
        else:
            assert isinstance(phase, Decode)
            while scheduler.is_short():
                cached.pop(id(scheduler.preempt()))
            scheduler.grow()
            check_books(scheduler, jobs)
            for job in scheduler.running:
                cached[id(job)] += 1
                assert cached[id(job)] == job.tokens, "a token was skipped or computed twice"
                assert len(job.blocks) * BLOCK >= cached[id(job)], "no room for a key"
            advance(list(scheduler.running))
    assert sorted(map(id, ended)) == sorted(map(id, jobs))
    assert len(scheduler) == 0
    assert scheduler.pool.num_free == num_blocks


@settings(max_examples=100, deadline=None)
@given(ARRIVALS, LIMITS)
def test_first_come_first_served(arrivals, limits):
    """Nobody is prefilled before one who came earlier, whatever their sizes."""
    scheduler: Scheduler[Job] = Scheduler(limits, BlockPool(60, BLOCK))
    jobs = [job for _, job, _ in arrivals]
    for job in jobs:
        scheduler.add(job)
    order: list[Job] = []
    while (phase := scheduler.next()) is not None:
        if isinstance(phase, Prefill):
            order += phase.jobs
        if isinstance(phase, Decode):
            scheduler.retire(list(scheduler.running))
    assert list(map(id, order)) == list(map(id, jobs))


def test_newcomers_fill_a_chunk_or_wait_their_patience():
    scheduler: Scheduler[Job] = Scheduler(Limits(4, 100, 8, patience=3), BlockPool(50, BLOCK))
    for _ in range(3):
        scheduler.add(Job(2, 5, 9))
    # Nothing else to do: at once, and so is what is left over.
    assert [type(scheduler.next()) for _ in range(5)] == [Encode, Prefill, Encode, Prefill, Decode]
    scheduler.add(Job(2, 5, 9))
    assert [type(scheduler.next()) for _ in range(5)] == [Decode, Decode, Decode, Encode, Prefill]
    assert isinstance(scheduler.next(), Decode)
    scheduler.add(Job(2, 5, 9))
    scheduler.add(Job(2, 5, 9))
    assert isinstance(scheduler.next(), Encode)  # a full chunk does not wait


def test_a_sequence_that_never_fits_is_refused():
    scheduler: Scheduler[Job] = Scheduler(Limits(4, 100, 8), BlockPool(4, BLOCK))
    with pytest.raises(
        ValueError, match="10 prompt tokens and up to 7 new ones need more than the 16 tokens"
    ):
        scheduler.add(Job(0, 10, 7))
    scheduler.add(Job(0, 10, 6))


def test_what_could_not_be_run_is_tried_again_in_its_order():
    scheduler: Scheduler[Job] = Scheduler(Limits(8, 100, 8), BlockPool(50, BLOCK))
    jobs = [Job(2, 5, 9) for _ in range(4)]
    for job in jobs:
        scheduler.add(job)
    phase = scheduler.next()
    assert isinstance(phase, Encode)
    scheduler.put_back(phase.jobs)
    scheduler.shrink()
    assert scheduler.pool.num_free == 50
    smaller = scheduler.next()
    assert isinstance(smaller, Encode)
    assert list(map(id, smaller.jobs)) == list(map(id, jobs[:2]))


def fails_above(scheduler: Scheduler[Job], most: int, phases: int) -> int:
    """Runs so many phases, of clips that come without end; more than ``most`` frames at once run out of memory."""
    failures = 0
    for _ in range(phases):
        while len(scheduler.waiting) < 20:
            scheduler.add(Job(1, 5, 9))
        phase = scheduler.next()
        if isinstance(phase, Encode) and sum(job.frames for job in phase.jobs) > most:
            failures += 1
            scheduler.put_back(phase.jobs)
            scheduler.shrink()
        elif isinstance(phase, Prefill | Decode):
            scheduler.retire(list(scheduler.running))
    return failures


def test_phases_are_as_large_as_before_when_a_shortage_is_over():
    scheduler: Scheduler[Job] = Scheduler(Limits(8, 100, 8), BlockPool(50, BLOCK))
    assert fails_above(scheduler, 2, 10) == 2
    scheduler.shrink_batch(2)
    assert fails_above(scheduler, 8, 10) == 0
    assert scheduler.limits == Limits(2, 25, 2)
    assert fails_above(scheduler, 8, 2000) == 0
    assert scheduler.limits == Limits(8, 100, 8)


def test_a_lasting_shortage_is_met_ever_more_seldom():
    scheduler: Scheduler[Job] = Scheduler(Limits(8, 100, 8), BlockPool(50, BLOCK))
    at_first, later = fails_above(scheduler, 4, 10_000), fails_above(scheduler, 4, 30_000)
    assert 2 <= at_first <= 4
    assert 1 <= later <= 2


def running(num_blocks: int, jobs: list[Job]) -> Scheduler[Job]:
    """A scheduler that has encoded and prefilled these, one after the other."""
    scheduler: Scheduler[Job] = Scheduler(
        Limits(frames=100, tokens=1000, batch=10), BlockPool(num_blocks, BLOCK)
    )
    for job in jobs:
        scheduler.add(job)
    while len(scheduler.running) < len(jobs):
        assert not isinstance(scheduler.next(), Decode)
    return scheduler


def test_the_one_admitted_last_gives_way_and_is_the_first_to_come_back():
    jobs = [Job(frames=0, prompt_tokens=6, max_new_tokens=9) for _ in range(3)]
    scheduler = running(20, jobs)
    later = Job(frames=0, prompt_tokens=6, max_new_tokens=9)
    scheduler.add(later)
    assert scheduler.preempt() is jobs[2]
    assert list(scheduler.waiting) == [jobs[2], later]
    assert scheduler.running == jobs[:2]
    assert jobs[2].blocks == []


def test_a_newcomer_leaves_each_that_runs_a_block():
    """Ten blocks: three that run hold two each, and will want one more each; the newcomer needs two."""
    jobs = [Job(frames=0, prompt_tokens=6, max_new_tokens=2) for _ in range(3)]
    scheduler = running(10, jobs)
    assert scheduler.pool.num_free == 4
    newcomer = Job(frames=0, prompt_tokens=6, max_new_tokens=2)
    scheduler.add(newcomer)
    assert isinstance(scheduler.next(), Decode)
    scheduler.retire([jobs[0]])
    phase = scheduler.next()
    assert isinstance(phase, Encode)
    assert list(phase.jobs) == [newcomer]
