"""Prepared clips in, rows out: generation, text, checks and repair of captions under one setting."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

from framescribe.bound import TimeSpent
from framescribe.caption_row import CaptionRow
from framescribe.engine.engine import Engine
from framescribe.engine.request import Completion, Request
from framescribe.engine.sequence import Sequence
from framescribe.prepare import Prepared, Preparer
from framescribe.quality.repair import Attempt, Repair
from framescribe.rows import created_now
from framescribe.side_rows import Beside
from framescribe.task import ClipTask, Question
from framescribe.tokenizer import CaptionTokenizer
from framescribe.types import CaptionSettings, GenerationSettings, Prompt
from framescribe.video.workers import DecodeWorkers


@dataclass(slots=True, eq=False)
class _Asked:
    """A question that a clip was asked, and how far its answer is.

    Attributes:
        prepared: the clip.
        question: of its task.
        prompt: that is in the engine: the question's, or another attempt's.
        is_first: whether it is the first of its clip, which brings what the clip gives beside captions.
        repair: what has been tried, once there is a first caption and captions that came out badly are repaired.
        sequence: in the engine.
    """

    prepared: Prepared
    question: Question
    prompt: Prompt
    is_first: bool
    repair: Repair | None = None
    sequence: Sequence | None = None


@dataclass(frozen=True, slots=True)
class Decoding:
    """How clips are prepared ahead of the engine.

    Attributes:
        prepare: makes a clip ready, or gives the rows that say why it cannot be; from several threads.
        threads: how many.
        workers: that decode them; None where ``prepare`` needs none.
    """

    prepare: Callable[[ClipTask], Prepared | tuple[CaptionRow, ...]]
    threads: int
    workers: DecodeWorkers | None = None


class CaptionSession:
    """Captions prepared clips as they come, in completion order. For one thread at a time.

    Args:
        engine: generates; may serve other sessions too.
        preparer, tokenizer: of the same model.
        settings: the same for all clips.
        beside: is given what a clip gives beside captions, before its caption's row; None wants nothing.

    Attributes:
        is_closed: whether it has come to its end.
    """

    def __init__(
        self,
        engine: Engine,
        preparer: Preparer,
        tokenizer: CaptionTokenizer,
        settings: CaptionSettings,
        beside: Beside | None = None,
    ) -> None:
        self._engine = engine
        self._preparer = preparer
        self._tokenizer = tokenizer
        self._rows = preparer.rows
        self._settings = settings
        self._beside = beside
        self._in_engine: set[_Asked] = set()
        self._completed: deque[tuple[_Asked, Completion]] = deque()
        self.is_closed = False

    def __len__(self) -> int:
        """Captions that are on their way: questions of added clips that have no row yet."""
        return len(self._in_engine)

    def upload(self, prepared: Prepared) -> Prepared:
        """See ``Preparer.upload``; from any thread."""
        return self._preparer.upload(prepared)

    def add(self, prepared: Prepared) -> None:
        """Queues a clip with all its questions; they share its pixels, and so what the vision tower makes of them."""
        for number, question in enumerate(prepared.task.questions):
            asked = _Asked(prepared, question, prepared.prompts[number], is_first=number == 0)
            self._request(asked, self._settings.generation)

    def caption(
        self,
        tasks: Iterator[ClipTask],
        decoding: Decoding,
        batch_size: int,
        spent: TimeSpent,
    ) -> Generator[CaptionRow]:
        """Captions clips that are prepared ahead; closes the session at the end.

        Args:
            tasks: read as they are needed.
            decoding: prepares them.
            batch_size: clips that decode together in the engine.
            spent: is told what the time goes to.
        """
        preparing: set[Future[Prepared | tuple[CaptionRow, ...]]] = set()
        spent.start()
        pool = ThreadPoolExecutor(decoding.threads, thread_name_prefix="decode")
        with pool, decoding.workers or nullcontext():
            try:
                while True:
                    # As many clips ahead as the engine can take next: enough to keep it busy, bounded memory.
                    while len(preparing) + len(self) < batch_size + decoding.threads:
                        if (task := next(tasks, None)) is None:
                            if decoding.workers is not None:
                                not_begun = sum(not (each.running() or each.done()) for each in preparing)
                                decoding.workers.expect(not_begun)
                            break
                        preparing.add(pool.submit(decoding.prepare, task))
                    if not preparing and not len(self):
                        return
                    done, preparing = wait(preparing, 0 if len(self) else None, FIRST_COMPLETED)
                    rows: list[CaptionRow] = []
                    for future in done:
                        prepared = future.result()
                        if isinstance(prepared, Prepared):
                            self.add(prepared)
                        else:
                            rows += prepared
                    has_room = bool(preparing) and len(self) < batch_size
                    rows += self.step()
                    spent.on("decoding" if has_room else "model")
                    yield from rows
                    spent.on("output")
            finally:
                # A consumer that stops early leaves no work in the pool.
                pool.shutdown(wait=False, cancel_futures=True)
                self.close()

    def step(self) -> list[CaptionRow]:
        """Runs one engine step.

        Returns:
            The rows that this finished.
        """
        self._engine.step()
        # Another thread's step may complete more of this session's at any time.
        completed = [self._completed.popleft() for _ in range(len(self._completed))]
        return [row for each in completed if (row := self._finish(*each)) is not None]

    def close(self) -> None:
        """Drops what has no row yet."""
        self._engine.cancel([asked.sequence for asked in self._in_engine if asked.sequence is not None])
        self._in_engine.clear()
        self.is_closed = True

    def _request(self, asked: _Asked, generation: GenerationSettings) -> None:
        prepared = asked.prepared
        request = Request(
            prepared.task.clip.id,
            asked.prompt,
            prepared.pixels_P3SS,
            generation,
            prepared.picture_of_frame,
            pools=self._beside is not None and asked.is_first and asked.repair is None,
        )
        self._in_engine.add(asked)
        asked.sequence = self._engine.add(request, partial(self._complete, asked))

    def _complete(self, asked: _Asked, completion: Completion) -> None:
        self._completed.append((asked, completion))

    def _finish(self, asked: _Asked, completion: Completion) -> CaptionRow | None:
        """The row of a completed caption, or None if it came out badly and is made again."""
        self._in_engine.discard(asked)
        prepared, settings = asked.prepared, self._settings
        clip = prepared.task.clip
        if self._beside is not None and completion.pooled is not None:
            pooled = completion.pooled.numpy().astype("<f2", copy=False).tobytes()
            self._beside([self._rows.features(clip, pooled, len(prepared.picture_of_frame))])
        if completion.finish_reason == "error":
            # Another attempt may need more memory than there is: keep the original caption.
            if asked.repair is not None:
                return created_now(asked.repair.give_up())
            message = f"{clip.source_video}: {completion.error}"
            (row,) = self._rows.failed(ClipTask(clip, (asked.question,)), settings, "generate", message)
            return row
        row = self._rows.captioned(
            clip,
            asked.question,
            settings,
            prepared.frames,
            text=self._tokenizer.decode(completion.token_ids),
            finish_reason=completion.finish_reason,
            prompt_tokens=len(asked.prompt),
            output_tokens=len(completion.token_ids),
        )
        if not settings.repair:
            return row
        asked.repair = asked.repair or Repair(settings.generation)
        outcome = asked.repair.follow(row)
        if not isinstance(outcome, Attempt):
            return created_now(outcome)
        text = asked.question.text + outcome.more_prompt
        asked.prompt = self._preparer.prompt(prepared.frames, settings, text)
        self._request(asked, outcome.generation)
        return None


def answer(engine: Engine, tokenizer: CaptionTokenizer, request: Request) -> Iterator[str]:
    """The text of one request, piece by piece as it grows; what may still change is held back."""
    token_ids: list[int] = []
    sent = 0
    for token_id in engine.stream(request):
        token_ids.append(token_id)
        if piece := tokenizer.decode_settled(token_ids)[sent:]:
            yield piece
            sent += len(piece)
    yield tokenizer.decode(token_ids)[sent:]
