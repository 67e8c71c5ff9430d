"""Requests in a file to answers in a file, in the form of OpenAI's and vLLM's batches; safe to interrupt and resume."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from framescribe.captioner import Captioner
from framescribe.errors import UsageError
from framescribe.event_loop import run
from framescribe.extras import require
from framescribe.model_spec import ModelSpec
from framescribe.serving.batch_files import answered_in, ids_of, lines_of, open_answers
from framescribe.serving.settings import ServerSettings
from framescribe.shown import shown_value
from framescribe.task import DecoderChoice
from framescribe.types import DEFAULT_MODEL

log = logging.getLogger("framescribe")

_AHEAD = 8
"""Lines that are read before there is room to decode them."""

_PAUSES_S = (0.5, 2.0)
"""Between tries of a line that failed for a reason that may pass."""


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """What became of a batch.

    Attributes:
        answered: lines that got their answer now.
        before: lines that had it.
        failed: of those answered now, how many by an error that is theirs.
        left: lines without an answer, for a reason that may pass, or a bug; run it again for them.
    """

    answered: int
    before: int
    failed: int
    left: int = 0


def run_batch(
    requests: str | Path,
    answers: str | Path,
    model: str | Path | ModelSpec = DEFAULT_MODEL,
    *,
    settings: ServerSettings = ServerSettings(),
    batch_size: int | None = None,
    decoder: DecoderChoice = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> BatchSummary:
    """Answers each line of a file once, in the order in which the answers come.

    What fails for want of memory or by a bug is tried three times, and then left for the next run.

    Args:
        requests: JSON lines ``{"custom_id", "method": "POST", "url": "/v1/chat/completions", "body": {…}}``.
        answers: JSON lines ``{"id", "custom_id", "response": {"status_code", "request_id", "body"}, "error"}``. A line
            whose ``custom_id`` has one there is left out, so that a run that was interrupted goes on.
        model: as in ``Captioner.from_pretrained``, and so ``batch_size`` and ``decoder``.
        settings: what a line may ask.
        progress: is told the lines that have their answer, and how many there are.

    Raises:
        UsageError: a file cannot be read or is none of these, a ``custom_id`` is there twice, another run writes the
            answers, or the model cannot be had.
        DeviceError: the device failed; run it again.
        OSError: the answers cannot be written.
    """
    require("fastapi", "run-batch")
    from framescribe.serving.service import Service

    service = Service(settings)
    longest = service.settings.max_body_bytes + 4096
    ids = ids_of(requests, longest)
    with open_answers(answers, requests) as file:
        done = answered_in(file, str(answers))
        if others := done - set(ids):
            raise UsageError(
                f"{answers} has answers of another batch: {shown_value(min(others))}; name another file"
            )
        before = len(done)
        if before == len(ids):
            return BatchSummary(0, before, 0)
        service.open(Captioner.from_pretrained(model, batch_size=batch_size, decoder=decoder))
        try:
            batch = _Batch(service, file, before, len(ids), progress)
            lines = ((each, line) for each, line in lines_of(requests, longest) if each not in done)
            run(batch.run(lines))
        finally:
            service.close()
    return BatchSummary(batch.done - before, before, batch.failed, batch.left)


_pause = asyncio.sleep


class _Left(Exception):
    """A line gets no answer in this run."""

    def __init__(self, reason: str, bug: Exception | None) -> None:
        super().__init__(reason)
        self.bug = bug


class _Batch:
    """Lines on their way to answers."""

    def __init__(
        self,
        service: Any,
        file: IO[bytes],
        done: int,
        total: int,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._service, self._file, self._total, self._progress = service, file, total, progress
        self.done, self.failed, self.left = done, 0, 0

    async def run(self, lines: Iterator[tuple[str, bytes | None]]) -> None:
        opened = self._service.opened
        room = asyncio.Semaphore(opened.places + _AHEAD)
        try:
            async with asyncio.TaskGroup() as tasks:
                for custom_id, line in lines:
                    await room.acquire()
                    task = tasks.create_task(self._answer(custom_id, line))
                    task.add_done_callback(lambda _: room.release())
        except BaseExceptionGroup as failed:  # of one cause, which ended the others
            raise failed.exceptions[0] from None

    async def _answer(self, custom_id: str, line: bytes | None) -> None:
        request_id = uuid.uuid4().hex
        try:
            status, body = await self._tried(line, request_id)
        except _Left as left:
            log.error("%s: no answer: %s", custom_id, left, exc_info=left.bug)
            self.left += 1
            return
        self.failed += status != 200
        response = {"status_code": status, "request_id": request_id, "body": body}
        answer = {
            "id": f"batch_req_{request_id}",
            "custom_id": custom_id,
            "response": response,
            "error": None,
        }
        self._file.write(json.dumps(answer).encode() + b"\n")
        self._file.flush()  # all of it or an error: what a kill tears is cut off next time
        self.done += 1
        if self._progress is not None:
            self._progress(self.done, self._total)

    async def _tried(self, line: bytes | None, request_id: str) -> tuple[int, dict[str, Any]]:
        """Status and body of an answer that does not change by trying again."""
        from framescribe.serving.errors import ApiError

        for pause_s in (*_PAUSES_S, None):
            bug = None
            try:
                return 200, await self._completion(line, request_id)
            except ApiError as error:
                if self._service.failure is not None:
                    raise self._service.failure from error
                if error.status < 500:
                    return error.status, error.body
                reason = str(error)
            except Exception as error:  # noqa: BLE001 - of one line, and the others go on
                reason, bug = f"a bug: {error!r}", error
            if pause_s is not None:
                await _pause(pause_s)
        raise _Left(reason, bug)

    async def _completion(self, line: bytes | None, request_id: str) -> dict[str, Any]:
        from framescribe.serving.chat import completion_of, parse
        from framescribe.serving.errors import ApiError
        from framescribe.serving.schema import BatchLine

        if line is None:
            raise ApiError(
                413, "request_too_large", f"a line may have {self._service.settings.max_body_mb:g} MB"
            )
        reply = await self._service.reply(lambda: parse(line, BatchLine).body)
        try:
            if reply.is_streamed:
                raise ApiError(400, "invalid_value", "a batch's answers come whole", "body.stream")
            text = "".join([piece async for piece in reply.pieces()])
            return completion_of(reply, text, request_id).model_dump()
        finally:
            reply.close()
