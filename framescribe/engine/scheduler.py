"""Which phase is next, for which sequences, and whose each block of the KV cache is. Knows no torch.

A sequence waits, has its frames encoded, is prefilled, and decodes until it is done. It owns blocks from the moment
its frames are encoded; when a running sequence needs one more and none is left, the sequence that was admitted last
gives its own back and waits again, first in line. Strictly first come, first served: nothing is starved.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Generic, TypeVar

from framescribe.errors import UsageError

# Phases after which larger ones are tried again, about a minute's on a GPU; twice as many each time that they fail, so
# that a lasting shortage is met ever more seldom.
_RECOVERY_PHASES = 1000


@dataclass(frozen=True, slots=True)
class Limits:
    """What one phase takes at most.

    Attributes:
        frames: through the vision tower at once; a clip of more goes through alone, in parts.
        tokens: prefilled at once; a prompt of more goes alone.
        batch: sequences between encoding and their end.
        patience: decode steps that newcomers which would not fill a vision chunk wait for more to come.
    """

    frames: int
    tokens: int
    batch: int
    patience: int = 0

    def halved(self) -> Limits:
        """With smaller vision chunks and prefills."""
        return replace(self, frames=max(1, self.frames // 2), tokens=max(1, self.tokens // 2))

    def doubled(self, most: Limits) -> Limits:
        """With larger phases, up to those of ``most``."""
        return replace(
            self,
            frames=min(most.frames, 2 * self.frames),
            tokens=min(most.tokens, 2 * self.tokens),
            batch=min(most.batch, 2 * self.batch),
        )


class BlockPool:
    """The free blocks of a KV cache.

    Args:
        num_blocks: of the cache.
        block_size: tokens that each holds.
    """

    def __init__(self, num_blocks: int, block_size: int) -> None:
        self.num_blocks = num_blocks
        self.block_size = block_size
        self._free = list(reversed(range(num_blocks)))

    @property
    def num_free(self) -> int:
        return len(self._free)

    def blocks_for(self, tokens: int) -> int:
        """How many blocks hold so many tokens."""
        return -(-tokens // self.block_size)

    def take(self, count: int) -> list[int]:
        """The numbers of blocks that were free."""
        assert count <= len(self._free), "more blocks than are free"
        return [self._free.pop() for _ in range(count)]

    def give_back(self, blocks: list[int]) -> None:
        """Frees blocks."""
        self._free.extend(reversed(blocks))
        blocks.clear()
        assert len(self._free) <= self.num_blocks, "a block was freed twice"


@dataclass(slots=True, eq=False)
class Job:
    """One sequence as the scheduler sees it; the engine's own extends it.

    Attributes:
        frames: of its clip.
        prompt_tokens: of its prompt.
        max_new_tokens: where it ends at the latest.
        new_tokens: generated so far, those whose computation has merely been started included.
        blocks: of the KV cache that are its own, in order.
    """

    frames: int
    prompt_tokens: int
    max_new_tokens: int
    new_tokens: int = 0
    blocks: list[int] = field(default_factory=list)

    @property
    def tokens(self) -> int:
        """Prompt and new tokens: what a prefill from here computes."""
        return self.prompt_tokens + self.new_tokens

    @property
    def is_launched(self) -> bool:
        """Whether the computation of its last token has been started."""
        return self.new_tokens >= self.max_new_tokens


J = TypeVar("J", bound=Job)


@dataclass(frozen=True, slots=True)
class Encode(Generic[J]):
    """Frames through the vision tower."""

    jobs: Sequence[J]


@dataclass(frozen=True, slots=True)
class Prefill(Generic[J]):
    """Prompts, packed, to each one's first token."""

    jobs: Sequence[J]


@dataclass(frozen=True, slots=True)
class Decode:
    """One more token for every running sequence."""


Phase = Encode[J] | Prefill[J] | Decode


class Scheduler(Generic[J]):
    """Decides what is next and keeps the books.

    Args:
        limits: of each phase.
        pool: the cache's blocks.
    """

    def __init__(self, limits: Limits, pool: BlockPool) -> None:
        self.limits = limits
        self.pool = pool
        self.waiting: deque[J] = deque()
        self.encoded: deque[J] = deque()
        # In order of admission.
        self.running: list[J] = []
        self._waited = 0
        self._most = limits
        self._recovery_phases = _RECOVERY_PHASES
        self._phases = 0
        self._has_grown = False

    def __len__(self) -> int:
        """Sequences that are not done."""
        return len(self.waiting) + len(self.encoded) + len(self.running)

    def add(self, job: J) -> None:
        """Queues a sequence.

        Raises:
            UsageError: alone, with all its new tokens, it would not fit.
        """
        most = job.prompt_tokens + job.max_new_tokens
        if self.pool.blocks_for(most) > self.pool.num_blocks:
            raise UsageError(
                f"{job.prompt_tokens} prompt tokens and up to {job.max_new_tokens} new ones need more than the "
                f"{self.pool.num_blocks * self.pool.block_size} tokens that the KV cache holds; "
                "use fewer frames or a lower limit of new tokens"
            )
        self.waiting.append(job)

    def next(self) -> Phase[J] | None:
        """The phase to run now; None when there is nothing to do.

        Filling comes first, in chunks worth the computation: every clip that decodes makes a step cheaper for all.
        """
        self._recover()
        chunk, is_full = self._next_chunk()
        pack, pack_is_full = self._next_pack()
        if pack_is_full or (pack and not (chunk and is_full)):
            self.encoded = deque(list(self.encoded)[len(pack) :])
            self.running += pack
            return Prefill(pack)
        if chunk and (is_full or not self.running or self._waited >= self.limits.patience):
            for job in chunk:
                self.waiting.popleft()
                job.blocks += self.pool.take(self.pool.blocks_for(job.tokens + 1))
                self.encoded.append(job)
            # Those that were left over by this chunk go at once: waiting, they would be the last to end.
            self._waited = self.limits.patience
            return Encode(chunk)
        if self.running:
            self._waited = self._waited + 1 if chunk else 0
            return Decode()
        return None

    def is_short(self) -> bool:
        """Whether the running sequences need more blocks for their next token than are free."""
        return sum(map(self._needs_block, self.running)) > self.pool.num_free

    def grow(self) -> list[J]:
        """Gives each running sequence room for its next token; returns those that got a block."""
        growing = [job for job in self.running if self._needs_block(job)]
        for job in growing:
            job.blocks += self.pool.take(1)
        return growing

    def preempt(self) -> J:
        """Sends the sequence that was admitted last back to the head of the queue, without its blocks."""
        job = self.running.pop()
        self.pool.give_back(job.blocks)
        self.waiting.appendleft(job)
        return job

    def retire(self, jobs: Iterable[J]) -> None:
        """Takes sequences out of the running, or from wherever they are, and frees their blocks."""
        leaving = set(map(id, jobs))
        for job in chain(self.waiting, self.encoded, self.running):
            if id(job) in leaving:
                self.pool.give_back(job.blocks)
        self.waiting = deque(job for job in self.waiting if id(job) not in leaving)
        self.encoded = deque(job for job in self.encoded if id(job) not in leaving)
        self.running = [job for job in self.running if id(job) not in leaving]

    def shrink(self) -> None:
        """Halves what a vision chunk and a prefill take, until phases have gone well for long."""
        self._shrink_to(self.limits.halved())

    def shrink_batch(self, batch: int) -> None:
        """Lets no more than so many sequences run, but one, until phases have gone well for long."""
        self._shrink_to(replace(self.limits, batch=max(1, batch)))

    def put_back(self, jobs: Sequence[J]) -> None:
        """Undoes the start of a phase that could not be run: its sequences wait again, in their order."""
        self.retire(jobs)
        self.waiting.extendleft(reversed(jobs))

    def _shrink_to(self, limits: Limits) -> None:
        self.limits = limits
        self._phases = 0
        if self._has_grown:
            self._recovery_phases *= 2
        self._has_grown = False

    def _recover(self) -> None:
        """A shortage may have been another program's: after a long run, a single one must not have slowed the rest."""
        if self.limits == self._most:
            return
        self._phases += 1
        if self._phases == self._recovery_phases:
            self.limits = self.limits.doubled(self._most)
            self._phases = 0
            self._has_grown = True

    def _needs_block(self, job: J) -> bool:
        # The cache holds all but the newest token, whose keys the next step writes.
        return job.tokens > len(job.blocks) * self.pool.block_size

    def _next_chunk(self) -> tuple[list[J], bool]:
        """The sequences at the head of the queue that fit, and whether they fill a vision chunk."""
        chunk: list[J] = []
        frames = tokens = 0
        # A block for each that runs: otherwise the newcomer would soon be the one to go.
        free = self.pool.num_free - len(self.running) - len(self.encoded)
        room = self.limits.batch - len(self.running) - len(self.encoded)
        for job in self.waiting:
            blocks = self.pool.blocks_for(job.tokens + 1)
            fits_memory = blocks <= free or (not self.running and not self.encoded and not chunk)
            if not fits_memory or len(chunk) >= room:
                break
            if chunk and (
                frames + job.frames > self.limits.frames or tokens + job.tokens > self.limits.tokens
            ):
                return chunk, True
            chunk.append(job)
            frames, tokens, free = frames + job.frames, tokens + job.tokens, free - blocks
        return chunk, frames >= self.limits.frames or tokens >= self.limits.tokens

    def _next_pack(self) -> tuple[list[J], bool]:
        """The encoded sequences that are prefilled together next, and whether they fill a pack."""
        pack: list[J] = []
        tokens = 0
        for job in self.encoded:
            if pack and tokens + job.tokens > self.limits.tokens:
                return pack, True
            pack.append(job)
            tokens += job.tokens
        return pack, tokens >= self.limits.tokens
