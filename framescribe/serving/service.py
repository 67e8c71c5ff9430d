"""Requests to answers: taken in, decoded, generated, written down; each ends whatever its client does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from framescribe.captioner import Captioner
from framescribe.engine.request import Request
from framescribe.errors import ClipError, DeviceError, UsageError
from framescribe.model.checkpoint import Progress
from framescribe.model.device_errors import is_device_failure
from framescribe.serving.bodies import Held
from framescribe.serving.engine_thread import EngineThread, Job
from framescribe.serving.errors import ApiError
from framescribe.serving.media import Asked, understand
from framescribe.serving.metrics import Metrics
from framescribe.serving.reply import Reply
from framescribe.serving.schema import ChatRequest, ModelCard
from framescribe.serving.settings import ServerSettings
from framescribe.serving.text_stream import TextStream
from framescribe.task import ClipTask, Question
from framescribe.types import CaptionSettings, Frames, VideoFacts
from framescribe.video.caller import Caller

log = logging.getLogger("framescribe")

_READERS = 2
"""Requests that are read at once: for a moment each takes up to three times its size."""

_NEARLY_DONE_S = 1.0
"""A decoder whose client left may go on for so long: it may be nearly done, and a new one takes its time to start."""

_LOADING_ENDS_WITHIN_S = 30.0
"""A thread that is left inside torch when Python ends takes the process down with it (SIGABRT)."""


class _Ended(Exception):
    """Loading ends, as the server does."""


class Service:
    """What answers requests, with one captioner. Not ready before ``open``.

    Args:
        settings: what clients may ask.

    Attributes:
        is_draining: no further requests are taken; those in work are answered.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.is_draining = False
        self.metrics = Metrics()
        self.in_work = self._coming = 0
        self.held = Held(settings)
        self._opened: _Opened | None = None
        self._loading: threading.Thread | None = None
        self._failure: Exception | None = None

    def open(self, captioner: Captioner) -> None:
        """Begins to answer."""
        self._opened = _Opened(captioner, self.settings)

    def load(self, loaded: Callable[[Progress], Captioner]) -> None:
        """Begins to answer with a captioner that a thread loads meanwhile, and that is told how far it is."""
        self._loading = threading.Thread(target=self._load, args=(loaded,), name="load", daemon=True)
        self._loading.start()

    def _load(self, loaded: Callable[[Progress], Captioner]) -> None:
        try:
            self.open(loaded(self._go_on))
        except _Ended:
            log.debug("the server ended while the model was loaded")
        except Exception as error:  # noqa: BLE001 - raised again by who serves
            self._failure = error

    def _go_on(self, loaded: int, total: int) -> None:
        if self.is_draining:
            raise _Ended

    def close(self) -> None:
        """Ends all that is in work, loading too."""
        self.is_draining = True
        if self._loading is not None:
            self._loading.join(_LOADING_ENDS_WITHIN_S)
        if self._opened is not None:
            self._opened.close()

    @property
    def failure(self) -> Exception | None:
        """Of the model's loading, or of the device: there are no answers any more."""
        return self._failure if self._opened is None else self._opened.engine.failure

    def check_ready(self) -> None:
        """
        Raises:
            ApiError: it is not: it starts, is about to end, or its device failed.
        """
        if self.failure is not None:
            raise ApiError(503, "device_failed", str(self.failure))
        if self._opened is None:
            raise ApiError(503, "starting", "the model is being loaded")
        if self.is_draining:
            raise ApiError(503, "stopping", "the server is about to end")

    @property
    def opened(self) -> _Opened:
        """
        Raises:
            ApiError: as ``check_ready``.
        """
        if self._opened is None:
            self.check_ready()
        assert self._opened is not None
        return self._opened

    @property
    def is_idle(self) -> bool:
        """Whether nobody sends a request or waits for an answer."""
        return not self.in_work and not self._coming

    def _check_room(self) -> None:
        self.check_ready()
        if self.in_work >= self.settings.max_requests:
            raise ApiError(429, "too_many_requests", "too many requests are in work; try again")

    @contextmanager
    def coming(self) -> Iterator[None]:
        """A request while it is sent. It takes no place among those in work: slow senders would take them all.

        Raises:
            ApiError: not ready, or too many are in work.
        """
        self._check_room()
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1

    @contextmanager
    def taken_in(self) -> Iterator[None]:
        """A request that is there, to the last byte of its answer.

        Raises:
            ApiError: as ``coming``.
        """
        self._check_room()
        self.in_work += 1
        try:
            yield
        finally:
            self.in_work -= 1

    def metrics_text(self) -> bytes:
        """All counters, in Prometheus's text format."""
        return self.metrics.text(self.in_work, 0 if self._opened is None else len(self._opened.engine))

    async def reply(
        self, read: Callable[[], ChatRequest], hold: Callable[[int], None] | None = None
    ) -> Reply:
        """Begins to answer: decodes the video, and queues the request in the engine. To be closed.

        Args:
            read: gives the request; called on a thread, and what it gives is not kept.
            hold: is told how many bytes of the request are held until its video is decoded.

        Raises:
            ApiError: it cannot be answered.
        """
        opened, loop, begun_s = self.opened, asyncio.get_running_loop(), time.monotonic()
        asked = await loop.run_in_executor(opened.reading, opened.understand, read)
        if hold is not None:
            hold(asked.num_bytes)
        with contextlib.ExitStack() as stack:
            await opened.room.acquire()
            stack.callback(opened.room.release)
            caller = Caller()
            try:
                request, frames = await loop.run_in_executor(opened.pool, opened.prepare, asked, caller)
            except asyncio.CancelledError:
                loop.call_later(_NEARLY_DONE_S, caller.leave)
                raise
            self.metrics.prepared(time.monotonic() - begun_s)
            job = Job(request, asked.is_streamed or bool(asked.stop))
            opened.engine.submit(job)
            stack.callback(opened.engine.cancel, job)
            text = TextStream(opened.captioner.checkpoint.tokenizer, asked.stop)
            return Reply(job, asked, text, opened.card, frames, self.metrics, begun_s, stack.pop_all())


class _Opened:
    """The captioner with all that works for it."""

    def __init__(self, captioner: Captioner, settings: ServerSettings) -> None:
        self._settings = settings
        self.captioner = captioner
        self.engine = EngineThread(captioner.engine)
        # As long as it is open, the captioner is in work: answers name its model and adapter.
        self._session = captioner.session(CaptionSettings())
        self.workers, threads = captioner.decoders.within(settings.limits)
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        self.reading = ThreadPoolExecutor(_READERS, thread_name_prefix="read")
        # Pixels of as many as the engine can take next, as when a run captions: enough to keep it busy.
        self.places = captioner.batch_size + threads
        self.room = asyncio.Semaphore(self.places)
        checkpoint = captioner.checkpoint
        self.card = ModelCard(
            id=settings.model_name
            or (Path(checkpoint.name).name if Path(checkpoint.name).is_dir() else checkpoint.name),
            created=int(time.time()),
            precision=str(captioner.precision),
            model_revision=checkpoint.revision,
        )

    def close(self) -> None:
        self.engine.close()
        self._session.close()
        self.reading.shutdown(wait=False, cancel_futures=True)
        self.pool.shutdown(wait=False, cancel_futures=True)
        self.workers.__exit__(None, None, None)

    def understand(self, read: Callable[[], ChatRequest]) -> Asked:
        """A request, understood; on a thread.

        Raises:
            ApiError: it is for another model, or as ``understand``.
        """
        chat = read()
        if chat.model != self.card.id:
            message = f"there is no model {chat.model!r} here; there is {self.card.id!r}"
            raise ApiError(404, "model_not_found", message, "model")
        return understand(chat, self._settings)

    def prepare(self, asked: Asked, caller: Caller) -> tuple[Request, Frames | None]:
        """A request for the engine, with the frames that are seen; on a thread.

        Raises:
            ApiError: the video cannot be decoded, or is more than is allowed.
        """
        settings, clip = asked.settings, asked.clip
        if clip is None:
            prompt = self.captioner.checkpoint.prompts.build(
                asked.question, settings.resolved_template, (), history=asked.history
            )
            return Request("chat", prompt, None, settings.generation), None
        try:
            with self.workers.decoded(clip, settings.sampling, caller=caller) as frames:
                self._check(frames.facts)
                task = ClipTask(clip, (Question(0, asked.question),))
                prepared = self.captioner.preparer.ready(task, frames, settings, asked.history)
        except (ClipError, UsageError) as error:
            raise ApiError(400, "invalid_video", str(error), "messages") from error
        except (OSError, MemoryError) as error:
            raise ApiError(503, "overloaded", f"no room to decode the video: {error}") from error
        except Exception as error:
            if is_device_failure(error):
                self.engine.failure = DeviceError(f"the device failed: {error}")
                raise ApiError(503, "device_failed", str(self.engine.failure)) from error
            raise
        request = Request(
            "chat", prepared.prompts[0], prepared.pixels_P3SS, settings.generation, prepared.picture_of_frame
        )
        return request, prepared.frames

    def _check(self, facts: VideoFacts) -> None:
        rules = self._settings
        if facts.width * facts.height > rules.max_pixels:
            message = f"pictures of {facts.width}x{facts.height}; {rules.max_pixels} pixels are allowed"
            raise ApiError(400, "video_too_large", message, "messages")
        if facts.duration_s > rules.max_seconds:
            message = f"the video has {facts.duration_s:.0f} s; {rules.max_seconds:g} are allowed"
            raise ApiError(400, "video_too_long", message, "messages")
