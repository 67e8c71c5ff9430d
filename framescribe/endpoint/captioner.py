"""A captioner whose model is behind an endpoint: clips in, exactly one row per clip and prompt out."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from types import TracebackType

import numpy as np

from framescribe.bound import TimeSpent
from framescribe.caption_row import CaptionRow
from framescribe.counted import CaptionProgress, CountedTasks, told_of
from framescribe.decoders import Decoders
from framescribe.distinct import Distinct
from framescribe.endpoint.client import Client
from framescribe.endpoint.media import file_media, frames_media, probe_media
from framescribe.endpoint.probe import Learned
from framescribe.endpoint.session import Asking, Ready
from framescribe.endpoint.spec import Endpoint
from framescribe.errors import ClipError, UsageError
from framescribe.pipeline.given import Source, as_clip, given_clips
from framescribe.rows import RowMaker
from framescribe.scores.measure import all_failed
from framescribe.side_rows import Scoring, side_rows
from framescribe.task import (
    DEFAULT_MEMORY_GB,
    DEFAULT_TIMEOUT_S,
    ClipTask,
    DecodeLimits,
    Question,
    check_prompts,
)
from framescribe.types import CaptionSettings, Frames, FrameSampling
from framescribe.video.workers import DecodeWorkers

log = logging.getLogger("framescribe")

_NO_PIXELS = np.empty((0, 3, 0, 0), np.uint8)


class EndpointCaptioner:
    """Captions clips and answers questions about them, as ``Captioner``, by an OpenAI-compatible server.

    Args:
        endpoint: which, and how it is used; or its URL.
        sampling: the frames that will be sent, for the probe; None for those of the default settings.

    Raises:
        UsageError: a URL or limit that makes no sense, or the HTTP client is not installed.

    Examples:
        >>> with EndpointCaptioner("http://gpu:8000") as captioner:  # doctest: +SKIP
        ...     for row in captioner.caption("clips/"):
        ...         print(row.source_video, row.caption)
        clips/kite.mp4 A kite ...
    """

    def __init__(self, endpoint: str | Endpoint, sampling: FrameSampling | None = None) -> None:
        self.endpoint = Endpoint(endpoint) if isinstance(endpoint, str) else endpoint
        media = probe_media(self.endpoint, sampling or FrameSampling())
        self._client = Client(self.endpoint, [media.message("What is this?")], media.fields)
        self._decoders = Decoders()

    def __enter__(self) -> EndpointCaptioner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends what is in flight."""
        self._client.close()
        self._decoders.close()

    def learn(self) -> Learned:
        """What the endpoint is, found out by a request like those to come.

        Raises:
            UsageError: it cannot be reached, refuses the key, serves no such model, or takes no such media.
        """
        return self._client.probe()

    def caption(
        self,
        sources: Source | Iterable[Source],
        settings: CaptionSettings = CaptionSettings(),
        *,
        prompts: Sequence[str] | None = None,
        decode_workers: int | None = None,
        decode_timeout_s: float = DEFAULT_TIMEOUT_S,
        decode_memory_gb: float = DEFAULT_MEMORY_GB,
        progress: CaptionProgress | None = None,
    ) -> Iterator[CaptionRow]:
        """Captions clips, in completion order; its arguments and rows are those of ``Captioner.caption``.

        Raises:
            UsageError: as ``Captioner.caption`` and ``learn``; ``BudgetSpent`` after the rows that it was enough for.
            DeviceError: nothing has answered for ``patience_s``.
        """
        if not isinstance(settings, CaptionSettings):
            raise UsageError(f"settings must be CaptionSettings(…), not {settings!r}")
        asked = (settings.prompt,) if prompts is None else check_prompts(prompts)
        limits = DecodeLimits(decode_workers, decode_timeout_s, decode_memory_gb)
        clips = Distinct(given_clips(sources))
        tasks = CountedTasks(ClipTask.of(clip, asked) for clip in clips)
        rows = self.caption_tasks(tasks, settings, limits)
        return rows if progress is None else told_of(rows, clips, tasks, progress)

    def caption_tasks(
        self,
        tasks: Iterator[ClipTask],
        settings: CaptionSettings,
        limits: DecodeLimits = DecodeLimits(),
        spent: TimeSpent | None = None,
        scoring: Scoring | None = None,
    ) -> Iterator[CaptionRow]:
        """As ``caption``, of different clips that are each asked their own questions.

        Args:
            tasks: read as they are needed.
            settings, limits: the same for all.
            spent: is told what the time goes to.
            scoring: has clips measured while they are decoded, and takes their scores before the caption's row.

        Raises:
            UsageError, DeviceError: as ``caption``.
        """
        workers, threads = self._decoders.within(limits)
        asking = self._asking(settings)
        prepare = partial(self._prepare, asking=asking, workers=workers, scoring=scoring)
        return asking.caption(tasks, prepare, threads, workers, spent or TimeSpent())

    def ask(
        self,
        source: Source,
        question: str,
        history: Sequence[tuple[str, str]] = (),
        settings: CaptionSettings = CaptionSettings(),
    ) -> Iterator[str]:
        """Answers a question about one clip, piece by piece as the text grows; as ``Captioner.ask``.

        Raises:
            ClipError: the clip cannot be read, or the server refuses or fails it.
            UsageError: an empty question, or as ``learn``.
        """
        if not question.strip():
            raise UsageError("the question is empty")
        asking = self._asking(settings)
        task = ClipTask(as_clip(source), (Question(0, question),))
        decoders, _ = self._decoders.within()
        with decoders as workers:
            ready = self._ready(task, asking, workers, None)
        questions = [*(asked for asked, _ in history), question]
        messages = [ready.media.message(questions[0])]
        for (_, answer), following in zip(history, questions[1:], strict=True):
            messages += [{"role": "assistant", "content": answer}, {"role": "user", "content": following}]
        fields = asking.fields(ready, settings.generation)
        yield from self._client.stream(messages, **fields)

    def _asking(self, settings: CaptionSettings) -> Asking:
        learned = self.learn()
        if settings.template is not None and not learned.is_framescribe:
            raise UsageError(
                f"`template` is framescribe's own, and {self.endpoint.urls[0]} is another server; leave it out"
            )
        rows = RowMaker(learned.model, learned.revision, learned.precision)
        return Asking(self._client, learned, rows, settings)

    def _prepare(
        self, task: ClipTask, asking: Asking, workers: DecodeWorkers, scoring: Scoring | None
    ) -> Ready | tuple[CaptionRow, ...]:
        try:
            return self._ready(task, asking, workers, scoring)
        except ClipError as error:
            stage, message = error.stage, str(error)
        except Exception as error:  # the one boundary: whatever a clip does, it is one row
            log.debug("%s", task.clip.source_video, exc_info=True)
            stage, message = "decode", f"{task.clip.source_video}: {type(error).__name__}: {error}"
        if scoring is not None:
            scoring.take(side_rows(task.clip, all_failed(scoring.scorers, stage, message)))
        return asking.failed(task, stage, message)

    def _ready(
        self, task: ClipTask, asking: Asking, workers: DecodeWorkers, scoring: Scoring | None
    ) -> Ready:
        clip, requests = task.clip, len(task.questions)
        if self.endpoint.send == "video":
            media, facts = file_media(clip, workers, asking.held, requests)
            return Ready(task, Frames(_NO_PIXELS, (), (), facts.duration_s, facts), media)
        scorers = () if scoring is None else scoring.scorers
        with workers.decoded(clip, asking.settings.sampling, scorers) as frames:
            media = frames_media(frames, self.endpoint)
        if scoring is not None:
            scoring.take(side_rows(clip, frames.measured))
        with asking.held.taking(media.length * (1 + requests)) as taken:
            return Ready(task, replace(frames, pixels=_NO_PIXELS, measured=()), replace(media, held=taken))
