"""Clips that are ready to be sent in, rows out: questions, checks and repair of captions under one setting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any, cast

from framescribe.bound import TimeSpent
from framescribe.caption_row import CaptionRow
from framescribe.endpoint.answers import Answer
from framescribe.endpoint.client import Client
from framescribe.endpoint.held import HeldBytes
from framescribe.endpoint.media import Media
from framescribe.endpoint.probe import Learned
from framescribe.endpoint.spec import BudgetSpent
from framescribe.errors import ClipError, ErrorStage
from framescribe.quality.repair import Attempt, Repair
from framescribe.rows import RowMaker, created_now
from framescribe.task import ClipTask, Question
from framescribe.types import CaptionSettings, FinishReason, Frames, GenerationSettings
from framescribe.video.workers import DecodeWorkers


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """A clip that is ready to be sent.

    Attributes:
        task: which clip, and what it is asked.
        frames: that are sent, without their pixels; none where the file is.
        media: what is sent.
    """

    task: ClipTask
    frames: Frames
    media: Media


@dataclass(slots=True, eq=False)
class _Asked:
    """A question that a clip was asked, and what has been tried to better its answer."""

    ready: Ready
    question: Question
    repair: Repair | None = None


Prepare = Callable[[ClipTask], Ready | tuple[CaptionRow, ...]]


class Asking:
    """Asks an endpoint about clips. For one thread.

    Args:
        client: of the endpoint.
        learned: what the endpoint is.
        rows: of its model.
        settings: the same for all clips.

    Attributes:
        held: of clips that are ready, until they are answered.
    """

    def __init__(self, client: Client, learned: Learned, rows: RowMaker, settings: CaptionSettings) -> None:
        self.settings = settings
        self._client = client
        self._learned = learned
        self._rows = rows
        self.held = HeldBytes()
        self._asked: dict[Future[Answer], _Asked] = {}
        self._unanswered: dict[Ready, int] = {}
        self._budget_spent: BudgetSpent | None = None

    def caption(
        self,
        tasks: Iterator[ClipTask],
        prepare: Prepare,
        threads: int,
        workers: DecodeWorkers,
        spent: TimeSpent,
    ) -> Iterator[CaptionRow]:
        """Captions clips that are prepared ahead, by so many threads.

        Raises:
            BudgetSpent: at the end; what was in flight is answered.
            UsageError, DeviceError: the endpoint can do nothing more.
        """
        preparing: set[Future[Ready | tuple[CaptionRow, ...]]] = set()
        spent.start()
        pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        with pool, workers:
            try:
                while True:
                    # As many clips ahead as the servers take next: enough to keep them busy, bounded memory.
                    room = self._client.room
                    while self._budget_spent is None and len(preparing) + len(self._asked) < room + threads:
                        if (task := next(tasks, None)) is None:
                            break
                        preparing.add(pool.submit(prepare, task))
                    if not preparing and not self._asked:
                        break
                    pending: list[Future[Any]] = [*preparing, *self._asked]
                    done, _ = wait(pending, return_when=FIRST_COMPLETED)
                    is_waiting = bool(preparing) and len(self._asked) < room
                    rows = [row for future in done for row in self._taken(future, preparing)]
                    spent.on("decoding" if is_waiting else "model")
                    yield from rows
                    spent.on("output")
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
                self.held.close()
                for answer in self._asked:
                    answer.cancel()
        if self._budget_spent is not None:
            raise self._budget_spent

    def failed(self, task: ClipTask, stage: ErrorStage, message: str) -> tuple[CaptionRow, ...]:
        """The rows of a clip that has no caption."""
        return tuple(
            self._stamped(row, None) for row in self._rows.failed(task, self.settings, stage, message)
        )

    def fields(self, ready: Ready, generation: GenerationSettings) -> dict[str, Any]:
        """What a request says beside its messages. What only some servers know is left out where it changes nothing."""
        fields = {"max_tokens": generation.max_new_tokens, "temperature": generation.temperature}
        if generation.temperature > 0:
            fields |= {"top_p": generation.top_p, "seed": generation.seed}
        if generation.repetition_penalty != 1:
            fields["repetition_penalty"] = generation.repetition_penalty
        if not self._learned.is_framescribe:
            return fields | ready.media.fields
        sampling = self.settings.sampling
        own: dict[str, Any] = {
            "strategy": sampling.strategy,
            "num_frames": sampling.num_frames,
            "sample_fps": sampling.fps,
            "template": self.settings.resolved_template,
            "stop_loops": generation.stop_loops,
        }
        if ready.frames.indices:
            own["timestamps_s"] = list(ready.frames.timestamps_s)
        return fields | ready.media.fields | {"framescribe": own}

    def _taken(self, future: Future[Any], preparing: set[Future[Any]]) -> Iterator[CaptionRow]:
        """The rows that what is done gives."""
        if (asked := self._asked.pop(future, None)) is not None:
            if (row := self._finish(asked, future)) is not None:
                self._let_go(asked.ready)
                yield row
            return
        preparing.discard(future)
        prepared = future.result()
        if not isinstance(prepared, Ready):
            yield from prepared
            return
        self._unanswered[prepared] = len(prepared.task.questions)
        for question in prepared.task.questions:
            self._ask(_Asked(prepared, question), question.text, self.settings.generation)

    def _let_go(self, ready: Ready) -> None:
        """One question about the clip is answered; after the last one its media is held no longer."""
        self._unanswered[ready] -= 1
        if not self._unanswered[ready]:
            del self._unanswered[ready]
            self.held.give_back(ready.media.held)

    def _ask(self, asked: _Asked, text: str, generation: GenerationSettings) -> None:
        fields = self.fields(asked.ready, generation)
        self._asked[self._client.submit([asked.ready.media.message(text)], **fields)] = asked

    def _finish(self, asked: _Asked, future: Future[Answer]) -> CaptionRow | None:
        """The row of an answered question, or None if it came out badly and is asked again."""
        clip = asked.ready.task.clip
        try:
            answer = future.result()
        except (BudgetSpent, ClipError) as error:
            if isinstance(error, BudgetSpent):
                self._budget_spent = error
            if asked.repair is not None:  # the first caption is still one
                return created_now(asked.repair.give_up())
            if isinstance(error, BudgetSpent):
                return None
            (row,) = self.failed(
                ClipTask(clip, (asked.question,)), "generate", f"{clip.source_video}: {error}"
            )
            return row
        row = self._rows.captioned(
            clip,
            asked.question,
            self.settings,
            asked.ready.frames,
            text=answer.text,
            finish_reason=cast(FinishReason, answer.finish_reason),
            prompt_tokens=answer.prompt_tokens,
            output_tokens=answer.output_tokens,
        )
        row = self._stamped(row, answer)
        if not self.settings.repair:
            return row
        asked.repair = asked.repair or Repair(self.settings.generation)
        outcome = asked.repair.follow(row)
        if not isinstance(outcome, Attempt):
            return created_now(outcome)
        self._ask(asked, asked.question.text + outcome.more_prompt, outcome.generation)
        return None

    def _stamped(self, row: CaptionRow, answer: Answer | None) -> CaptionRow:
        """The row with what is known of the endpoint, and without what another server did not take from us."""
        endpoint = self._client.endpoint
        known: dict[str, Any] = {"sent": endpoint.sent}
        if answer is not None:
            known |= {"endpoint": answer.url, "answered_by": answer.model}
        elif len(endpoint.urls) == 1:
            known["endpoint"] = endpoint.urls[0]
        if not self._learned.is_framescribe:
            known |= {"template": None, "stop_loops": False}
        if endpoint.send == "video":
            known |= {"covered_s": None, "decoder": None}
            if not self._learned.is_framescribe:
                known |= {"strategy": None, "num_frames": None}
            elif answer is not None:
                known |= _chosen_there(answer.extra)
        return replace(row, **known)


def _chosen_there(extra: dict[str, Any]) -> dict[str, Any]:
    """The frames that framescribe's server chose, where it says so in numbers that make sense."""
    indices, seconds = extra.get("frame_indices"), extra.get("frame_timestamps_s")
    covered_s: Any = extra.get("covered_s")
    if not (isinstance(indices, list) and isinstance(seconds, list) and len(indices) == len(seconds)):
        return {}
    if not all(type(each) is int and _is_number(each) for each in indices):
        return {}
    if not all(_is_number(each) for each in seconds):
        return {}
    return {
        "frame_indices": tuple(indices),
        "frame_timestamps_s": tuple(map(float, seconds)),
        "covered_s": float(covered_s) if _is_number(covered_s) else None,
    }


def _is_number(value: Any) -> bool:
    """Whether a value is a number that a file of rows can hold as a frame's index or a time."""
    return type(value) in (int, float) and 0 <= value < 1 << 40
