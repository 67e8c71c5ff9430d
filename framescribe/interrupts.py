"""Ctrl-C at moments at which nothing is left half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Lets Ctrl-C wait until the block is through; a second one ends it at once.

    KeyboardInterrupt may be raised between any two steps of the interpreter. Inside a library that has just taken a
    lock, or that holds back what it prints until a counter is down again, it leaves that so for good. Signals reach the
    main thread only; in others, and where SIGINT is ignored, this does nothing.
    """
    handler = _handler()
    pending: list[FrameType | None] = []

    def wait(number: int, frame: FrameType | None) -> None:
        if pending and handler is not None:
            handler(number, frame)
        pending.append(frame)

    with _handled(handler, wait):
        yield
    if pending and handler is not None:
        handler(signal.SIGINT, pending[0])


@contextmanager
def interrupting(end: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C calls ``end``, each time, and KeyboardInterrupt is raised after the block, which waits for what ends.

    Waiting takes locks that what is waited for needs too; KeyboardInterrupt between two steps of that would leave one
    taken for good. In threads other than the main one, and where SIGINT is ignored, this does nothing.
    """
    interrupted = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        end()

    try:
        with _handled(_handler(), note):
            yield
    finally:
        if interrupted:
            raise KeyboardInterrupt


def _handler() -> Handler | None:
    """What handles SIGINT; None in threads other than the main one, and where it is ignored."""
    handler = signal.getsignal(signal.SIGINT)
    is_main = threading.current_thread() is threading.main_thread()
    return handler if is_main and callable(handler) else None


@contextmanager
def _handled(before: Handler | None, handler: Handler) -> Iterator[None]:
    """Has another one handle SIGINT, where one does."""
    if before is None:
        yield
        return
    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
