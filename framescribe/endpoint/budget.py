"""What a run may cost: requests and tokens, whatever they are sent for."""

from __future__ import annotations

from framescribe.endpoint.answers import Answer
from framescribe.endpoint.spec import BudgetSpent, Endpoint


class Budget:
    """Counts chat completions, the probe's and checks of a server's health among them. For one event loop.

    Args:
        endpoint: has the limits.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._max_requests, self._max_tokens = endpoint.max_requests, endpoint.max_tokens
        self._requests = self._tokens = 0

    def ask(self) -> None:
        """Another request is about to be sent.

        Raises:
            BudgetSpent: it is one too many.
        """
        if self._max_requests is not None and self._requests >= self._max_requests:
            raise BudgetSpent(f"the budget of {self._max_requests:,} requests is spent")
        if self._max_tokens is not None and self._tokens >= self._max_tokens:
            raise BudgetSpent(f"the budget of {self._max_tokens:,} tokens is spent")
        self._requests += 1

    def answered(self, answer: Answer, max_tokens: int) -> None:
        """A request was answered; a server that stops counting is taken to have written all that was allowed."""
        written = max_tokens if answer.output_tokens is None else answer.output_tokens
        self._tokens += (answer.prompt_tokens or 0) + written
