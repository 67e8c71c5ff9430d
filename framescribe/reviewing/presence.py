"""Which reviewers are there, and which clip each looks at."""

from __future__ import annotations

import threading
import time

_GONE_AFTER_S = 15.0
_MAX_PAGES = 1000


class Presence:
    """Pages that asked lately."""

    def __init__(self) -> None:
        self._pages: dict[str, tuple[float, str, str]] = {}
        self._guard = threading.Lock()

    def left(self, page: str) -> None:
        """Forgets a page that was closed."""
        with self._guard:
            self._pages.pop(page, None)

    def seen(self, page: str, reviewer: str, clip_id: str) -> list[dict[str, str]]:
        """Notes what a page shows; the other pages that are there."""
        now = time.monotonic()
        with self._guard:
            self._pages = {each: seen for each, seen in self._pages.items() if now - seen[0] < _GONE_AFTER_S}
            if page and (page in self._pages or len(self._pages) < _MAX_PAGES):
                self._pages[page] = now, reviewer, clip_id
            return [
                {"reviewer": name, "clip_id": clip}
                for each, (_, name, clip) in self._pages.items()
                if each != page
            ]
