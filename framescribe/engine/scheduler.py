"""Decides which phase runs next, for which sequences, and which sequence owns each block of the KV cache.

A sequence waits, has its frames encoded, is prefilled, and decodes until it is done. It owns blocks from the moment
its frames are encoded; when a running sequence needs one more and none is left, the sequence that was admitted last
is preempted: it gives its blocks back and waits again, first in line. Strictly first come, first served, so that none
is starved. This module does not import torch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, Literal, TypeVar, get_args

from framescribe.errors import UsageError

PhaseKind = Literal["encode", "prefill", "decode"]
PHASE_KINDS: tuple[PhaseKind, ...] = get_args(PhaseKind)

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
        """The limits with smaller vision chunks and prefills."""
        return replace(self, frames=max(1, self.frames // 2), tokens=max(1, self.tokens // 2))

    def doubled(self, most: Limits) -> Limits:
        """The limits with larger phases, up to those of ``most``."""
        return replace(
            self,
            frames=min(most.frames, 2 * self.frames),
            tokens=min(most.tokens, 2 * self.tokens),
            batch=min(most.batch, 2 * self.batch),
        )


class BlockPool:
    """The free blocks of a KV cache.

    Args:
        num_blocks: how many the cache has.
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

    def allocate(self, count: int) -> list[int]:
        """Takes ``count`` free blocks; returns their numbers."""
        assert count <= len(self._free), "more blocks than are free"
        return [self._free.pop() for _ in range(count)]

    def free(self, blocks: list[int]) -> None:
        """Takes blocks back, and empties the list."""
        self._free.extend(reversed(blocks))
        blocks.clear()
        assert len(self._free) <= self.num_blocks, "a block was freed twice"


@dataclass(slots=True, eq=False)
class Schedulable:
    """One sequence as the scheduler sees it; the engine's own extends it.

    Attributes:
        frames: of its clip that go through the vision tower: equal ones once.
        prompt_tokens: length of its prompt.
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
    def is_last_token_started(self) -> bool:
        """Whether the computation of its last token has been started."""
        return self.new_tokens >= self.max_new_tokens


S = TypeVar("S", bound=Schedulable)


@dataclass(frozen=True, slots=True)
class Phase(Generic[S]):
    """What runs next.

    Attributes:
        kind: ``encode``: frames through the vision tower; ``prefill``: prompts, packed, to each one's first token;
            ``decode``: one more token for every running sequence.
        sequences: those that it is for, in order of admission.
    """

    kind: PhaseKind
    sequences: Sequence[S]


class Scheduler(Generic[S]):
    """Chooses phases and keeps account of sequences and blocks.

    Args:
        limits: of each phase.
        pool: the cache's blocks.
    """

    def __init__(self, limits: Limits, pool: BlockPool) -> None:
        self.limits = limits
        self.pool = pool
        self.waiting: deque[S] = deque()
        self.encoded: deque[S] = deque()
        # In order of admission.
        self.running: list[S] = []
        self._waited = 0
        self._most = limits
        self._recovery_phases = _RECOVERY_PHASES
        self._phases = 0
        self._has_grown = False

    def __len__(self) -> int:
        """Sequences that are not done."""
        return len(self.waiting) + len(self.encoded) + len(self.running)

    def add(self, sequence: S) -> None:
        """Queues a sequence.

        Raises:
            UsageError: alone, with all its new tokens, it would not fit.
        """
        most = sequence.prompt_tokens + sequence.max_new_tokens
        if self.pool.blocks_for(most) > self.pool.num_blocks:
            raise UsageError(
                f"{sequence.prompt_tokens} prompt tokens and up to {sequence.max_new_tokens} new ones need more than "
                f"the {self.pool.num_blocks * self.pool.block_size} tokens that the KV cache holds; "
                "use fewer frames or a lower limit of new tokens"
            )
        self.waiting.append(sequence)

    def schedule(self) -> Phase[S] | None:
        """The phase to run now; None when there is nothing to do.

        Filling comes first, in chunks worth the computation: every clip that decodes makes a step cheaper for all.
        """
        self._recover()
        chunk, is_full = self._next_chunk()
        pack, pack_is_full = self._next_pack()
        if pack_is_full or (pack and not (chunk and is_full)):
            self.encoded = deque(list(self.encoded)[len(pack) :])
            self.running += pack
            return Phase("prefill", pack)
        if chunk and (is_full or not self.running or self._waited >= self.limits.patience):
            for sequence in chunk:
                self.waiting.popleft()
                sequence.blocks += self.pool.allocate(self.pool.blocks_for(sequence.tokens + 1))
                self.encoded.append(sequence)
            # Those that were left over by this chunk go at once: waiting, they would be the last to end.
            self._waited = self.limits.patience
            return Phase("encode", chunk)
        if self.running:
            self._waited = self._waited + 1 if chunk else 0
            return Phase("decode", list(self.running))
        return None

    def is_short(self) -> bool:
        """Whether the running sequences need more blocks for their next token than are free."""
        return sum(map(self._needs_block, self.running)) > self.pool.num_free

    def allocate(self) -> list[S]:
        """Gives each running sequence room for its next token; returns those that got a block."""
        growing = [sequence for sequence in self.running if self._needs_block(sequence)]
        for sequence in growing:
            sequence.blocks += self.pool.allocate(1)
        return growing

    def preempt(self) -> S:
        """Sends the sequence that was admitted last back to the head of the queue, without its blocks."""
        sequence = self.running.pop()
        self.pool.free(sequence.blocks)
        self.waiting.appendleft(sequence)
        return sequence

    def free(self, sequences: Iterable[S]) -> None:
        """Forgets sequences, wherever they are, and frees their blocks."""
        leaving = set(map(id, sequences))

        def keep(queue: Collection[S]) -> list[S]:
            for sequence in queue:
                if id(sequence) in leaving:
                    self.pool.free(sequence.blocks)
            return [sequence for sequence in queue if id(sequence) not in leaving]

        self.waiting, self.encoded = deque(keep(self.waiting)), deque(keep(self.encoded))
        self.running = keep(self.running)

    def requeue(self, sequences: Sequence[S]) -> None:
        """Undoes the start of a phase that could not be run: its sequences wait again, first and in their order."""
        self.free(sequences)
        self.waiting.extendleft(reversed(sequences))

    def shrink(self) -> None:
        """Halves what a vision chunk and a prefill take, until phases have gone well for long."""
        self._shrink_to(self.limits.halved())

    def shrink_batch(self, batch: int) -> None:
        """Lets at most ``batch`` sequences run, but at least one, until phases have gone well for long."""
        self._shrink_to(replace(self.limits, batch=max(1, batch)))

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

    def _needs_block(self, sequence: S) -> bool:
        # The cache holds all but the newest token, whose keys the next step writes.
        return sequence.tokens > len(sequence.blocks) * self.pool.block_size

    def _next_chunk(self) -> tuple[list[S], bool]:
        """The sequences at the head of the queue that fit, and whether they fill a vision chunk."""
        chunk: list[S] = []
        frames = tokens = 0
        admitted = len(self.running) + len(self.encoded)
        # A block for each that runs: otherwise the newcomer would soon be the one to go.
        free = self.pool.num_free - admitted
        for sequence in self.waiting:
            blocks = self.pool.blocks_for(sequence.tokens + 1)
            fits_memory = blocks <= free or not (admitted or chunk)
            if not fits_memory or admitted + len(chunk) >= self.limits.batch:
                break
            if chunk and (
                frames + sequence.frames > self.limits.frames or tokens + sequence.tokens > self.limits.tokens
            ):
                return chunk, True
            chunk.append(sequence)
            frames, tokens, free = frames + sequence.frames, tokens + sequence.tokens, free - blocks
        return chunk, frames >= self.limits.frames or tokens >= self.limits.tokens

    def _next_pack(self) -> tuple[list[S], bool]:
        """The encoded sequences that are prefilled together next, and whether they fill a pack."""
        pack: list[S] = []
        tokens = 0
        for sequence in self.encoded:
            if pack and tokens + sequence.tokens > self.limits.tokens:
                return pack, True
            pack.append(sequence)
            tokens += sequence.tokens
        return pack, tokens >= self.limits.tokens
