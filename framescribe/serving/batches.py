"""Requests in a file to answers in a file, in the form of OpenAI's and vLLM's batches; safe to interrupt and resume."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
import uuid
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from framescribe.captioner import Captioner
from framescribe.errors import UsageError
from framescribe.extras import require
from framescribe.model_spec import ModelSpec
from framescribe.reading import open_regular, text_lines
from framescribe.serving.settings import ServerSettings
from framescribe.shown import shorten, shown_value
from framescribe.task import DecoderChoice
from framescribe.types import DEFAULT_MODEL

_AHEAD = 8
"""Lines that are read before there is room to decode them."""

_BEGINNING = b'{"id": '
"""Of each answer: a last line without an end that does not begin so is somebody else's, and is not cut off."""


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """What became of a batch.

    Attributes:
        answered: lines that got their answer now.
        before: lines that had it.
        failed: of those answered now, how many by an error.
    """

    answered: int
    before: int
    failed: int


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
    ids = _ids(requests, longest)
    with _open_answers(answers, requests) as file:
        done = _answered(file, str(answers))
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
            lines = ((each, line) for each, line in _lines(requests, longest) if each not in done)
            _run(batch.run(lines))
        finally:
            service.close()
    return BatchSummary(batch.done - before, before, batch.failed)


def _run(batch: Coroutine[Any, Any, None]) -> None:
    """``asyncio.run``, also where a loop runs already, as in a notebook: in a thread then."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(batch)
        return
    begun: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any] | None]] = []

    async def noted() -> None:
        begun.append((asyncio.get_running_loop(), asyncio.current_task()))
        await batch

    with ThreadPoolExecutor(1) as threads:
        try:
            threads.submit(asyncio.run, noted()).result()
        except KeyboardInterrupt:
            for loop, task in begun:
                if task is not None:
                    loop.call_soon_threadsafe(task.cancel)
            raise


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
        self.done, self.failed = done, 0

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
        from framescribe.serving.errors import ApiError

        request_id = uuid.uuid4().hex
        try:
            status, body = 200, await self._completion(line, request_id)
        except ApiError as error:
            if self._service.failure is not None:
                raise self._service.failure from error
            status, body = error.status, error.body
            self.failed += 1
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

    async def _completion(self, line: bytes | None, request_id: str) -> dict[str, Any]:
        from framescribe.serving.chat import completion_of, parse
        from framescribe.serving.errors import ApiError
        from framescribe.serving.schema import BatchLine

        if line is None:
            raise ApiError(
                413, "request_too_large", f"a line may have {self._service.settings.max_body_mb:g} MB"
            )
        chat = (await asyncio.to_thread(parse, line, BatchLine)).body
        if chat.stream:
            raise ApiError(400, "invalid_value", "a batch's answers come whole", "body.stream")
        reply = await self._service.reply(chat)
        try:
            text = "".join([piece async for piece in reply.pieces()])
            return completion_of(reply, text, request_id).model_dump()
        finally:
            reply.close()


def _lines(path: str | Path, longest: int) -> Iterator[tuple[str, bytes | None]]:
    """The lines that are not blank, each with its ``custom_id``, or its number where it has none: ``line-7``."""
    with open_regular(path) as file:
        for number, line in enumerate(text_lines(file, str(path), longest), 1):
            if line is None or line.strip():
                yield _id(line) or f"line-{number}", line


def _id(line: bytes | None) -> str | None:
    try:
        value = json.loads(line or b"null")
    except (ValueError, RecursionError):
        return None
    found = value.get("custom_id") if isinstance(value, dict) else None
    return found if isinstance(found, str) and found else None


def _ids(path: str | Path, longest: int) -> dict[str, None]:
    ids: dict[str, None] = {}
    try:
        for custom_id, _ in _lines(path, longest):
            if custom_id in ids:
                raise UsageError(f"{path}: the custom_id {shown_value(custom_id)} is there twice")
            ids[custom_id] = None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    if not ids:
        raise UsageError(f"{path} has no lines")
    return ids


@contextmanager
def _open_answers(path: str | Path, requests: str | Path) -> Iterator[IO[bytes]]:
    """The file of answers, for this run alone."""
    try:
        if os.path.exists(path):
            open_regular(path).close()
            if os.path.samefile(path, requests):
                raise UsageError(f"{path} has the requests; name another file for the answers")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, 0o666)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    with os.fdopen(descriptor, "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise UsageError(f"{path}: another run writes it") from error
        yield file


def _answered(file: IO[bytes], name: str) -> set[str]:
    """Whose answers are there; a line that is not whole is cut off. Leaves the file at its end."""
    done: set[str] = set()
    end = 0
    with open(os.dup(file.fileno()), "rb") as reading:
        for line in reading:
            if not line.endswith(b"\n"):
                if not (line.startswith(_BEGINNING) or _BEGINNING.startswith(line)):
                    raise _no_answers(name, line)
                break
            if (custom_id := _id(line)) is None:
                raise _no_answers(name, line)
            done.add(custom_id)
            end += len(line)
    file.truncate(end)
    file.seek(end)
    return done


def _no_answers(name: str, line: bytes) -> UsageError:
    return UsageError(f"{name} is no file of answers: {shorten(line[:400].decode(errors='replace'), 80)}")
