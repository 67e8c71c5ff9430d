"""The errors that people are told of in one line. Anything else that is raised is a bug, and shows its traceback."""

from __future__ import annotations

from typing import Literal

from framescribe.shown import shorten

ErrorStage = Literal["open", "decode", "sample", "prompt", "generate", "score", "write"]


class FramescribeError(Exception):
    """What framescribe raises on purpose: the message says what, which file or value, and what to do."""

    def __init__(self, message: object = "") -> None:
        super().__init__(shorten(str(message)))


class UsageError(FramescribeError, ValueError):
    """What was asked for cannot be done: a setting, a file or an installation has to change first."""


class ClipError(FramescribeError, ValueError):
    """One clip cannot be captioned or scored. ``stage`` says where on its way it failed; the message says why."""

    def __init__(self, stage: ErrorStage, message: str) -> None:
        super().__init__(message)
        self.stage: ErrorStage = stage

    def __reduce__(self) -> tuple[type[ClipError], tuple[ErrorStage, str]]:
        return ClipError, (self.stage, str(self))  # crosses between processes


class DeviceError(FramescribeError, RuntimeError):
    """The device that computes has failed for good: this process can do no more with it."""
