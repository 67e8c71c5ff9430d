"""Generators that yield as they go on, run to their end in this process."""

from collections.abc import Generator
from typing import Any


def finished(steps: Generator[Any, None, Any]) -> Any:
    """What a generator returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
