"""How much of the clips that are on their way is in memory at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_MOST_BYTES = 1 << 30


class HeldBytes:
    """Bytes that threads hold together: whoever would hold more than ``most`` waits until others have let go.

    What alone is more than that is held alone.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most, self._held = most or _MOST_BYTES, 0
        self._is_closed = False
        self._changed = threading.Condition()

    @contextmanager
    def taking(self, count: int) -> Iterator[int]:
        """Waits until there is room for so many more; they are given back at once only if the block fails."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_closed or self._held == 0 or self._held + count <= self._most
            )
            self._held += count
        try:
            yield count
        except BaseException:
            self.give_back(count)
            raise

    def give_back(self, count: int) -> None:
        """So many are held no longer."""
        with self._changed:
            self._held -= count
            self._changed.notify_all()

    def close(self) -> None:
        """Nobody waits any more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
