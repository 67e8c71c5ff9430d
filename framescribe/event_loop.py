"""Asynchronous work from a call that waits for it, in a script as in a notebook."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from framescribe.interrupts import uninterrupted

T = TypeVar("T")


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
    begun: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any] | None]] = []
    interrupts: list[KeyboardInterrupt] = []

    async def noted() -> T:
        begun.append((asyncio.get_running_loop(), asyncio.current_task()))
        if interrupts and stop is None:
            work.close()
            raise asyncio.CancelledError
        return await work

    def cancel() -> None:
        for loop, task in begun:
            if task is not None:
                loop.call_soon_threadsafe(task.cancel)

    answer: Future[T] | None = None
    with ThreadPoolExecutor(1) as threads:
        while answer is None or not answer.done():
            try:
                with uninterrupted():  # or the work would go on with nobody to end it
                    answer = answer or threads.submit(asyncio.run, noted())
                wait([answer])
            except KeyboardInterrupt as error:
                interrupts.append(error)
                (stop or cancel)()
        if interrupts:
            raise interrupts[0]
        return answer.result()
