"""How much memory a decoding process may take, private and shared: a file of some kB may ask for any amount.

Linux enforces the limit (RLIMIT_DATA). Elsewhere the process watches itself and ends when it has taken more, which a
single large allocation may overshoot.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
import time

from framescribe.errors import ClipError
from framescribe.types import Clip

EXIT_CODE = 77
"""The exit code of a process that ended itself because it took too much."""

_LOOK_S = 0.02
_IS_HELD_BY_SYSTEM = sys.platform == "linux"


class MemoryLimit:
    """This process's limit, of which a part may be memory that it shares."""

    def __init__(self) -> None:
        self._bytes = 0
        if not _IS_HELD_BY_SYSTEM:
            threading.Thread(target=self.watch, daemon=True).start()

    def set(self, total_bytes: int, shared_bytes: int) -> None:
        """Limits what is allocated from now on.

        Raises:
            MemoryError: what is shared leaves no room.
        """
        self._bytes = total_bytes
        private_bytes = total_bytes - shared_bytes
        if private_bytes <= 0:
            raise MemoryError
        if _IS_HELD_BY_SYSTEM:
            hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
            soft = private_bytes if hard == resource.RLIM_INFINITY else min(private_bytes, hard)
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))

    def watch(self) -> None:
        """Ends this process when it has taken more."""
        import psutil

        this = psutil.Process()
        while True:
            time.sleep(_LOOK_S)
            if 0 < self._bytes < this.memory_info().rss:
                os._exit(EXIT_CODE)


def too_large(clip: Clip, memory_bytes: int) -> ClipError:
    """The error of a clip that needs more than a worker may take."""
    return ClipError(
        "decode",
        f"{clip.source_video}: decoding it takes more memory than the {memory_bytes / 1e9:g} GB that "
        "`decode_memory_gb` allows (large pictures, or a file that claims to be larger than it is)",
    )
