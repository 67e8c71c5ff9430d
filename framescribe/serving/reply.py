"""An answer in the making: pieces of text while tokens come, and how it was made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Literal

from framescribe.errors import DeviceError
from framescribe.serving.engine_thread import Job
from framescribe.serving.errors import ApiError
from framescribe.serving.media import Asked
from framescribe.serving.metrics import Metrics
from framescribe.serving.schema import Facts, ModelCard, Usage
from framescribe.serving.text_stream import TextStream
from framescribe.types import Frames
from framescribe.version import __version__

_BETWEEN_PIECES_S = 0.1
"""A stream's tokens come in pieces at this interval, after the first: a piece each would take the engine's time."""


class Reply:
    """An answer in the making. ``pieces`` gives its text; after that all else is known.

    Args:
        job: generates it.
        asked: what it answers; its video is not kept.
        text: makes text of its tokens.
        card: of the model.
        frames: that were seen, if there was a video.
        metrics: are told of its end.
        begun_s: when the request was taken in, on the monotonic clock.
        held: what ``close`` frees.

    Attributes:
        is_streamed, wants_usage: how it was asked for.
    """

    def __init__(
        self,
        job: Job,
        asked: Asked,
        text: TextStream,
        card: ModelCard,
        frames: Frames | None,
        metrics: Metrics,
        begun_s: float,
        held: ExitStack,
    ) -> None:
        self._job, self._text, self._card, self._frames = job, text, card, frames
        self._metrics, self._begun_s, self._held = metrics, begun_s, held
        self.is_streamed, self.wants_usage = asked.is_streamed, asked.wants_usage

    def close(self) -> None:
        """Ends it, whether it is whole or not."""
        if not self._job.is_over and not self._text.is_stopped:
            self._metrics.cancelled.inc()
        self._held.close()

    async def pieces(self) -> AsyncIterator[str]:
        """The text, piece by piece; a piece may be empty, as not every token ends a character.

        Raises:
            ApiError: it cannot be generated.
        """
        job = self._job
        while True:
            await job.changed.wait()
            job.changed.clear()
            if job.is_over:
                break
            yield self._text.push(list(job.token_ids))
            if self._text.is_stopped:
                break
            await asyncio.sleep(_BETWEEN_PIECES_S)
        self._check(job)
        if piece := self._text.push(list(job.token_ids), is_all=True):
            yield piece
        self._metrics.answered(self.usage, self._begun_s, job.first_token_s)

    def _check(self, job: Job) -> None:
        if job.failure is not None:
            is_device = isinstance(job.failure, DeviceError)
            code = "device_failed" if is_device else "internal_error"
            raise ApiError(503 if is_device else 500, code, str(job.failure)) from job.failure
        if job.completion is not None and job.completion.finish_reason == "error":
            message = job.completion.error or ""
            if message.startswith("out of memory"):
                raise ApiError(503, "out_of_memory", message)
            raise ApiError(400, "context_length_exceeded", message, "messages")

    @property
    def model(self) -> str:
        return self._card.id

    @property
    def usage(self) -> Usage:
        prompt, output = len(self._job.request.prompt), len(self._job.token_ids)
        return Usage(prompt_tokens=prompt, completion_tokens=output, total_tokens=prompt + output)

    @property
    def finish_reason(self) -> Literal["stop", "length"]:
        """OpenAI's word for it: a caption that loops is cut, as one that is too long is."""
        return "stop" if self._reason == "stop" else "length"

    @property
    def _reason(self) -> str:
        if self._text.is_stopped or self._job.completion is None:
            return "stop"
        return self._job.completion.finish_reason

    @property
    def facts(self) -> Facts:
        """How it was made."""
        frames, card = self._frames, self._card
        return Facts(
            frame_indices=None if frames is None else list(frames.indices),
            frame_timestamps_s=None if frames is None else list(frames.timestamps_s),
            covered_s=None if frames is None else frames.covered_s,
            engine_version=__version__,
            precision=card.precision,
            model_revision=card.model_revision,
            finish_reason=self._reason,
        )
