"""Ctrl-C at moments at which nothing is left half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Lets Ctrl-C wait until the block is through; a second one ends it at once.

    KeyboardInterrupt may be raised between any two steps of the interpreter. Inside a library that has just taken a
    lock, or that holds back what it prints until a counter is down again, it leaves that so for good. Signals reach the
    main thread only; in others, and where SIGINT is ignored, this does nothing.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    pending: list[FrameType | None] = []

    def wait(number: int, frame: FrameType | None) -> None:
        if pending:
            handler(number, frame)
        pending.append(frame)

    signal.signal(signal.SIGINT, wait)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if pending:
        handler(signal.SIGINT, pending[0])


@contextmanager
def interrupting(end: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C calls ``end``, each time, and KeyboardInterrupt is raised after the block, which waits for what ends.

    Waiting takes locks that what is waited for needs too; KeyboardInterrupt between two steps of that would leave one
    taken for good. In threads other than the main one, and where SIGINT is ignored, this does nothing.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    interrupted = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        end()

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if interrupted:
            raise KeyboardInterrupt
