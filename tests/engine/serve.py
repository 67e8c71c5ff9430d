"""Runs requests through an engine, for tests."""

from __future__ import annotations

import torch

from framescribe.engine.engine import Engine
from framescribe.engine.request import Completion, Request
from framescribe.types import GenerationSettings

NEVER: frozenset[int] = frozenset()


class Served:
    """Requests that are added, and what became of them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.completions: dict[str, Completion] = {}

    def add(self, *requests: Request) -> list:
        return [self.engine.add(request, self._take) for request in requests]

    def finish(self) -> dict[str, Completion]:
        for _ in range(2000):  # more than any test needs: an engine that never ends fails, and does not hang
            if not len(self.engine):
                return self.completions
            self.engine.step()
        raise AssertionError("requests are left over")

    def _take(self, completion: Completion) -> None:
        assert completion.id not in self.completions, "delivered twice"
        self.completions[completion.id] = completion


def serve(engine: Engine, requests: list[Request]) -> dict[str, Completion]:
    served = Served(engine)
    served.add(*requests)
    return served.finish()


def alone(model, request: Request, stop_ids: frozenset[int] = NEVER) -> Completion:
    """What a request gives when the engine has no other."""
    return serve(Engine(model, stop_ids, max_batch=1), [request])[request.id]


def random_request(prompts, name: str, frames: int, settings: GenerationSettings) -> Request:
    """A request with so many frames of noise."""
    generator = torch.Generator().manual_seed(len(name) + frames)
    pixels = torch.randn(frames, 3, 224, 224, generator=generator) if frames else None
    prompt = prompts.build(f"What is {name}?", "chat", range(frames))
    return Request(name, prompt, pixels, settings)
