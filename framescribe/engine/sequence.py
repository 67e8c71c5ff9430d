"""A request on its way through the engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from framescribe.engine.kv_cache import BLOCK_SIZE
from framescribe.engine.request import Completion, Request
from framescribe.engine.sampling import SequenceRng
from framescribe.engine.scheduler import Schedulable

if TYPE_CHECKING:
    from torch import Tensor


Deliver = Callable[[Completion], None]


@dataclass(slots=True, eq=False, kw_only=True)
class Sequence(Schedulable):
    """A request and its generation state.

    Attributes:
        request: what to generate.
        deliver: called once, with its completion.
        rng: its random numbers.
        features_PVD: of its pictures, between encoding and prefill.
        pooled: of its frames, on the host once a token that was computed after them has been read.
        token_ids: new tokens that have been read from the device; ``new_tokens`` may be one ahead.
        is_done: completed or cancelled; what is still computed for it is dropped.
    """

    request: Request
    deliver: Deliver
    rng: SequenceRng
    features_PVD: Tensor | None = None
    pooled: Tensor | None = None
    token_ids: list[int] = field(default_factory=list)
    is_done: bool = False

    @classmethod
    def of(cls, request: Request, deliver: Deliver) -> Sequence:
        """A sequence of which nothing has been computed."""
        return cls(
            frames=0 if request.pixels_P3SS is None else len(request.pixels_P3SS),
            prompt_tokens=len(request.prompt),
            max_new_tokens=request.settings.max_new_tokens,
            request=request,
            deliver=deliver,
            rng=SequenceRng(request.settings.seed),
        )

    def rewind(self) -> None:
        """Goes back to the tokens that have been read: whatever was begun after them is begun again."""
        self.new_tokens = len(self.token_ids)
        self.rng = SequenceRng(self.request.settings.seed, used=self.new_tokens)
        self.features_PVD = None

    @property
    def next_position(self) -> int:
        """Position of the token that follows those read."""
        return self.request.prompt.next_position + len(self.token_ids)

    @property
    def known_ids(self) -> list[int]:
        """Prompt and new tokens that have been read."""
        return [*self.request.prompt.input_ids, *self.token_ids]

    @property
    def known_positions(self) -> list[int]:
        """Position of each of ``known_ids``."""
        prompt = self.request.prompt
        return [*prompt.position_ids, *range(prompt.next_position, self.next_position)]

    @property
    def known_is_vision(self) -> list[bool]:
        """Whether each of ``known_ids`` is a frame's slot."""
        return [*self.request.prompt.is_vision, *[False] * len(self.token_ids)]

    @property
    def slot_mapping(self) -> list[int]:
        """Where in the cache the keys and values of each of ``known_ids`` go."""
        starts = [block * BLOCK_SIZE for block in self.blocks]
        return [starts[place // BLOCK_SIZE] + place % BLOCK_SIZE for place in range(self.tokens)]
