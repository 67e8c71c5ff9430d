"""Requests to an endpoint until they are answered: retries, budget, as many at a time as it takes.

An event loop in a thread of its own does the waiting, so that thousands of requests need no thread each, and Ctrl-C
ends them all at once.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Any

from framescribe.endpoint.answers import Answer, Failure
from framescribe.endpoint.probe import HELLO, Learned, Message, Probe, body_of
from framescribe.endpoint.servers import Server, Servers, back_off_s
from framescribe.endpoint.spec import Endpoint
from framescribe.errors import ClipError, DeviceError, UsageError
from framescribe.extras import require

_DEFAULT_TOKENS = 2048
_REFUSALS = 2


class Client:
    """Asks an endpoint; used in a ``with`` statement, by any number of threads.

    Args:
        endpoint: which servers, and within which limits.
        probe_messages: what it must be able to answer, beside text.
        probe_fields: what is said beside these messages.

    Raises:
        UsageError: the HTTP client is not installed.

    Examples:
        >>> with Client(Endpoint("http://gpu:8000")) as client:  # doctest: +SKIP
        ...     client.chat([{"role": "user", "content": "Shorten this: …"}], max_tokens=100).text
        '…'
    """

    def __init__(
        self,
        endpoint: Endpoint,
        probe_messages: Sequence[Message] = (HELLO,),
        probe_fields: dict[str, Any] | None = None,
    ) -> None:
        require("httpx2", "an endpoint")
        from framescribe.endpoint.http import Http

        self.endpoint = endpoint
        self._probe = Probe(endpoint, probe_messages, probe_fields or {})
        self._learned: Learned | None = None
        self._probing = threading.Lock()
        self._checking = asyncio.Lock()
        self._servers = Servers([Server(url, endpoint.concurrency) for url in endpoint.urls])
        self._http = Http(endpoint)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="endpoint", daemon=True)
        self._thread.start()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends what is in flight, and the connections."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def room(self) -> int:
        """How many requests its servers take at a time, as far as that is known."""
        return sum(int(each.limit) for each in self._servers.all)

    def probe(self) -> Learned:
        """What the endpoint is; found out once.

        Raises:
            UsageError: it cannot be used: the key, the model, what is sent, or that it cannot be reached.
        """
        with self._probing:
            if self._learned is None:
                self._learned = asyncio.run_coroutine_threadsafe(self._learn(), self._loop).result()
            return self._learned

    def chat(self, messages: Sequence[Message], **fields: Any) -> Answer:
        """The answer to messages, waited for; as ``submit``."""
        return self.submit(messages, **fields).result()

    def submit(
        self, messages: Sequence[Message], *, on_text: Callable[[str], None] | None = None, **fields: Any
    ) -> Future[Answer]:
        """Asks, and asks again where that may help.

        Args:
            messages: of OpenAI's form.
            on_text: is given the text piece by piece, in a thread of the client; once there is some, what fails is not
                tried again.
            **fields: of the request: ``max_tokens``, ``temperature``, ``response_format`` …

        Returns:
            The answer to come. Its errors are ClipError (stage ``generate``): this request is refused, or failed each
            time while the server answers others; UsageError: the key or model is not taken any more, or
            ``BudgetSpent``; DeviceError: nothing has answered for ``patience_s``.

        Raises:
            UsageError: as ``probe``, which comes first.
        """
        learned = self.probe()
        fields = {"max_tokens": _DEFAULT_TOKENS} | fields
        body = body_of(learned, messages, fields)
        return asyncio.run_coroutine_threadsafe(self._ask(body, fields["max_tokens"], on_text), self._loop)

    def stream(self, messages: Sequence[Message], **fields: Any) -> Iterator[str]:
        """The text of an answer, piece by piece as it grows; raises as ``submit``."""
        pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        answer = self.submit(messages, on_text=pieces.put, **fields)
        answer.add_done_callback(lambda _: pieces.put(None))
        try:
            while (piece := pieces.get()) is not None:
                yield piece
            answer.result()
        finally:
            answer.cancel()

    async def _learn(self) -> Learned:
        found = [await self._probe.learn(self._http, each) for each in self._servers.all]
        for url, learned in zip(self.endpoint.urls, found, strict=True):
            if learned != found[0]:
                raise UsageError(f"{url} is not like {self.endpoint.urls[0]}: {learned}, {found[0]}")
        self._servers.last_answer = time.monotonic()
        return found[0]

    async def _ask(self, body: bytes, max_tokens: int, on_text: Callable[[str], None] | None) -> Answer:
        sent = tries = refusals = 0
        first_sent_at: float | None = None
        texts: list[str] = []

        def told(piece: str) -> None:
            texts.append(piece)
            if on_text is not None:
                on_text(piece)

        while True:
            server = await self._servers.take()
            sent_at = time.monotonic()
            first_sent_at = first_sent_at or sent_at
            try:
                return await self._once(server, body, max_tokens, None if on_text is None else told)
            except Failure as failed:
                failure = failed
            finally:
                self._servers.give_back(server)
            if failure.trouble in ("busy", "late"):
                server.was_busy(sent_at, failure.retry_after_s)
            if failure.trouble in ("broken", "late"):
                server.failed()
            sent += 1
            refusals += failure.trouble == "refused"
            tries += failure.trouble != "busy"
            if refusals == _REFUSALS or texts:
                raise ClipError("generate", f"{server.url}: {failure}")
            waited_s = time.monotonic() - first_sent_at
            is_worn = tries >= self.endpoint.tries or waited_s > self.endpoint.patience_s
            if (is_worn or failure.trouble == "denied") and await self._is_well(server) and is_worn:
                raise ClipError("generate", f"{server.url}: failed {tries} times: {failure}")
            self._check_patience(server, failure)
            await asyncio.sleep(back_off_s(sent))

    async def _once(
        self, server: Server, body: bytes, max_tokens: int, on_text: Callable[[str], None] | None
    ) -> Answer:
        answer, _ = await self._http.chat(server, body, max_tokens, on_text)
        server.answered()
        self._servers.last_answer = time.monotonic()
        return answer

    async def _is_well(self, server: Server) -> bool:
        """Whether the server answers what it answered before the run: then the fault is the request's.

        Raises:
            UsageError: it takes nothing of this caller any more.
        """
        assert self._learned is not None
        async with self._checking:
            for is_last in (False, True):
                try:
                    await self._probe.again(self._http, server, self._learned)
                    break
                except Failure as failure:
                    if failure.trouble == "denied":
                        raise UsageError(f"{server.url}: {failure}") from None
                    # The connection may be that of the answer before, which the server was about to close.
                    if is_last or failure.trouble != "broken":
                        return False
        self._servers.last_answer = time.monotonic()
        return True

    def _check_patience(self, server: Server, failure: Failure) -> None:
        silent_s = time.monotonic() - self._servers.last_answer
        if silent_s > self.endpoint.patience_s:
            raise DeviceError(f"{server.url} has not answered for {silent_s:.0f} s: {failure}")

    async def _end(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._http.close()
