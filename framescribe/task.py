"""What is to be done with a clip: the questions that it is asked in one pass, and what reading it may take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from math import isfinite
from typing import Literal, get_args

from framescribe.errors import UsageError
from framescribe.types import Clip

DEFAULT_TIMEOUT_S = 120.0
DEFAULT_MEMORY_GB = 4.0
"""Enough for the frames of a clip in 8K and for their decoder."""


DecoderChoice = Literal["auto", "cpu", "gpu"]


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt of a run.

    Attributes:
        index: its place among the run's prompts; 0 for a clip's own.
        text: what is asked.
    """

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class ClipTask:
    """A clip and what to ask about it: one decoding, one row a question."""

    clip: Clip
    questions: tuple[Question, ...]

    @classmethod
    def of(cls, clip: Clip, prompts: Sequence[str]) -> ClipTask:
        """All of a run's prompts; a clip that has a prompt of its own is asked that one only."""
        return cls(clip, tuple(map(Question, count(), (clip.prompt,) if clip.prompt else prompts)))

    def only(self, wanted: Callable[[Question], bool]) -> ClipTask | None:
        """The task with the wanted questions only; None if there are none."""
        questions = tuple(filter(wanted, self.questions))
        return ClipTask(self.clip, questions) if questions else None


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What reading clips may take.

    Attributes:
        workers: processes that decode, at most; None is one per core, up to 32; 0 decodes in threads of this process,
            without a time-out.
        timeout_s: seconds for fetching and decoding one clip.
        memory_gb: memory that a worker may take for one clip, in 10^9 bytes.
        decoder: ``auto`` decodes on the GPU too, where it has a decoder for a clip; ``cpu`` does not; ``gpu`` as
            ``auto``, and refuses to run where the GPU has none. The frames are the same.
    """

    workers: int | None = None
    timeout_s: float = DEFAULT_TIMEOUT_S
    memory_gb: float = DEFAULT_MEMORY_GB
    decoder: DecoderChoice = "auto"

    def __post_init__(self) -> None:
        check_decoder(self.decoder)
        if self.decoder == "gpu" and self.workers == 0:
            raise UsageError("`decoder=gpu` decodes in processes; `decode_workers` must be at least 1")
        if self.workers is not None and self.workers < 0:
            raise UsageError(f"`decode_workers` must be 0 or more, not {self.workers}")
        for name in ("timeout_s", "memory_gb"):
            if not (isfinite(value := getattr(self, name)) and value > 0):
                raise UsageError(f"`decode_{name}` must be a number above 0, not {value}")


def check_decoder(decoder: str) -> None:
    """
    Raises:
        UsageError: it is none.
    """
    if decoder not in get_args(DecoderChoice):
        raise UsageError(f"`decoder` takes {', '.join(get_args(DecoderChoice))}, not {decoder!r}")


def check_prompts(prompts: Sequence[str]) -> tuple[str, ...]:
    """The prompts of a run.

    Raises:
        UsageError: there is none, one is empty, no text, or there twice.
    """
    if isinstance(prompts, str) or not all(isinstance(prompt, str) for prompt in prompts):
        raise UsageError(f"`prompts` must be a list of texts, not {prompts!r}")
    if not prompts:
        raise UsageError("`prompts` is empty; leave it out for the settings' one")
    for number, prompt in enumerate(prompts):
        if not prompt.strip():
            raise UsageError("a prompt is empty; leave `prompt` out for the published one")
        if prompt in prompts[:number]:
            raise UsageError(f"the same prompt is given twice: {prompt!r}")
    return tuple(prompts)
