"""Continuous batching: clips join while others decode, and a finished clip's slot is free for the next at once.

Every sequence is prefilled alone and decodes in its own slot of the KV cache, so a clip's tokens do not depend on what
else is in the batch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from framescribe.engine.request import Completion, Request
from framescribe.engine.sampling import TokenChooser, is_plain_greedy
from framescribe.model.attention import KVCache
from framescribe.model.model import CaptionModel

# Frames that go through the vision tower together: bounds its activations to those of one published clip.
_VISION_CHUNK = 24


@dataclass(slots=True)
class _Sequence:
    """A request being decoded; its place in ``Engine._running`` is its slot in the KV cache."""

    request: Request
    chooser: TokenChooser
    next_position: int
    token_ids: list[int] = field(default_factory=list)


class Engine:
    """Generates captions for many requests with one model.

    Args:
        model: on its device.
        stop_ids: tokens that end a caption.
        max_batch: sequences that decode together at most.
    """

    def __init__(self, model: CaptionModel, stop_ids: frozenset[int], max_batch: int) -> None:
        if max_batch < 1:
            raise ValueError(f"the batch size must be at least 1, not {max_batch}")
        self.model = model
        self.max_batch = max_batch
        self._stop_ids = stop_ids
        self._waiting: deque[Request] = deque()
        self._running: list[_Sequence] = []
        self._cache = KVCache(model.config, max_batch, model.dtype, model.device)

    def __len__(self) -> int:
        """Requests that are waiting or running."""
        return len(self._waiting) + len(self._running)

    def add(self, request: Request) -> None:
        """Queues a request."""
        self._waiting.append(request)

    @torch.inference_mode()
    def step(self) -> list[Completion]:
        """Gives every running sequence, and every waiting one that finds a slot, one more token.

        Returns:
            The requests that this finished.
        """
        finished = self._decode() if self._running else []
        while self._waiting and len(self._running) < self.max_batch:
            finished += self._prefill(self._waiting.popleft())
        return finished

    def stream(self, request: Request) -> Iterator[int]:
        """The tokens of one request as they come; the engine must have no other."""
        assert not len(self), "the engine is busy"
        self.add(request)
        sent = 0
        try:
            while True:
                finished = self.step()
                token_ids = finished[0].token_ids if finished else self._running[0].token_ids
                yield from token_ids[sent:]
                sent = len(token_ids)
                if finished:
                    return
        finally:
            # A reader that stops early leaves nothing behind.
            self.cancel_all()

    def cancel_all(self) -> None:
        """Drops every request and frees its slot."""
        self._waiting.clear()
        while self._running:
            self._release(len(self._running) - 1)

    def _prefill(self, request: Request) -> list[Completion]:
        model, prompt = self.model, request.prompt
        input_ids_BL = torch.tensor([prompt.input_ids], device=model.device)
        positions_BL = torch.tensor([prompt.position_ids], device=model.device)
        is_vision_BL = torch.tensor([prompt.is_vision], device=model.device)
        x_BLD = model.embed(input_ids_BL, is_vision_BL, self._encode_frames(request.pixels_F3SS))
        attend = self._cache.append_slot(len(prompt))
        hidden_BLD = model.decoder(x_BLD, positions_BL, attend)
        chooser = TokenChooser(request.settings, prompt.input_ids)
        self._running.append(_Sequence(request, chooser, prompt.next_position))
        return self._accept(model.lm_head(hidden_BLD[:, -1]), first_slot=len(self._running) - 1)

    def _encode_frames(self, pixels_F3SS: Tensor | None) -> Tensor | None:
        if pixels_F3SS is None:
            return None
        model = self.model
        chunks = (chunk.to(model.device, model.dtype) for chunk in pixels_F3SS.split(_VISION_CHUNK))
        return torch.cat([model.vision(chunk) for chunk in chunks])

    def _decode(self) -> list[Completion]:
        model, running = self.model, self._running
        last_ids_B1 = torch.tensor([[sequence.token_ids[-1]] for sequence in running], device=model.device)
        positions_B1 = torch.tensor([[sequence.next_position] for sequence in running], device=model.device)
        for sequence in running:
            sequence.next_position += 1
        hidden_B1D = model.decoder(model.embedding(last_ids_B1), positions_B1, self._cache.decode_step())
        return self._accept(model.lm_head(hidden_B1D[:, -1]), first_slot=0)

    def _accept(self, logits_BW: Tensor, first_slot: int) -> list[Completion]:
        """Chooses the next token of the sequences from ``first_slot`` on, and releases those that it finishes."""
        finished = []
        greedy = logits_BW.argmax(-1).tolist()
        # Backwards, because a freed slot is refilled from the end.
        for row in reversed(range(len(greedy))):
            slot = first_slot + row
            sequence = self._running[slot]
            settings = sequence.request.settings
            token = greedy[row] if is_plain_greedy(settings) else sequence.chooser(logits_BW[row])
            if token in self._stop_ids:
                finished.append(Completion(sequence.request.id, tuple(sequence.token_ids), "stop"))
                self._release(slot)
                continue
            sequence.token_ids.append(token)
            if len(sequence.token_ids) == settings.max_new_tokens:
                finished.append(Completion(sequence.request.id, tuple(sequence.token_ids), "length"))
                self._release(slot)
        return finished

    def _release(self, slot: int) -> None:
        self._cache.free_slot(slot)
        last = self._running.pop()
        if slot < len(self._running):
            self._running[slot] = last
