"""Counters of a server, as Prometheus reads them."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from framescribe.serving.schema import Usage

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """Of one server: each has a registry of its own.

    Attributes:
        requests: by HTTP status.
        cancelled: clients that left before their answer was whole.
    """

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        name = "framescribe_"
        self.requests = Counter(
            f"{name}requests", "Chat completions, by status.", ["status"], registry=registry
        )
        self.cancelled = Counter(f"{name}cancelled", "Answers whose client left.", registry=registry)
        self._prompt = Counter(
            f"{name}prompt_tokens", "Tokens of prompts, frames included.", registry=registry
        )
        self._output = Counter(f"{name}output_tokens", "Tokens of answers.", registry=registry)
        self._in_work = Gauge(f"{name}requests_in_work", "Taken in and not yet answered.", registry=registry)
        self._generating = Gauge(
            f"{name}requests_in_engine", "Decoded, and not yet answered.", registry=registry
        )
        self._prepare = self._seconds("prepare", "Until a request is decoded and in the engine.")
        self._first = self._seconds("first_token", "Until an answer's first token.")
        self._whole = self._seconds("answer", "Until an answer is whole.")

    def _seconds(self, name: str, text: str) -> Histogram:
        return Histogram(f"framescribe_{name}_seconds", text, buckets=_SECONDS, registry=self._registry)

    def prepared(self, seconds: float) -> None:
        self._prepare.observe(seconds)

    def answered(self, usage: Usage, begun_s: float, first_token_s: float | None) -> None:
        """Takes in a whole answer; times are on the monotonic clock."""
        self._prompt.inc(usage.prompt_tokens)
        self._output.inc(usage.completion_tokens)
        if first_token_s is not None:
            self._first.observe(first_token_s - begun_s)
        self._whole.observe(time.monotonic() - begun_s)

    def text(self, in_work: int, in_engine: int) -> bytes:
        """All of them, in Prometheus's text format."""
        self._in_work.set(in_work)
        self._generating.set(in_engine)
        return generate_latest(self._registry)
