"""Asynchronous work from a call that waits for it, in a script as in a notebook."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar, cast

from framescribe.interrupts import interrupting

T = TypeVar("T")
_SIGNALS_S = 0.2


def run(work: Coroutine[Any, Any, T], stop: Callable[[], None] | None = None) -> T:
    """``asyncio.run``, also where a loop runs already, as in a notebook: on a thread then.

    Signals reach the main thread only, so that Ctrl-C while another thread works calls ``stop``, each time.

    Args:
        stop: ends the work soon; without it the work is cancelled.

    Raises:
        KeyboardInterrupt: Ctrl-C, once the work has ended.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    begun: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []
    ended = False

    async def noted() -> T:
        begun.append((asyncio.get_running_loop(), cast("asyncio.Task[Any]", asyncio.current_task())))
        if ended:
            work.close()
            raise asyncio.CancelledError
        return await work

    def cancel() -> None:
        nonlocal ended
        ended = True
        for loop, task in begun:
            with contextlib.suppress(RuntimeError):  # it has ended, and its loop is closed
                loop.call_soon_threadsafe(task.cancel)

    with interrupting(stop or cancel), ThreadPoolExecutor(1) as threads:
        answer = threads.submit(asyncio.run, noted())
        # Python calls what a signal asks for between two of its steps. One that comes when a wait is about to begin
        # does not end it, and is seen only after it.
        while not answer.done():
            wait([answer], timeout=_SIGNALS_S)
        return answer.result()
