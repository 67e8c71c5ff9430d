"""Prepared clips in, rows out: generation, text, checks and repair of captions under one setting."""

from __future__ import annotations

import dataclasses
from collections import deque

from framescribe.engine.engine import Engine
from framescribe.engine.request import Completion, Request
from framescribe.engine.sequence import Sequence
from framescribe.prepare import Prepared, Preparer
from framescribe.quality.repair import Attempt, Repair
from framescribe.rows import RowMaker, created_now
from framescribe.tokenizer import CaptionTokenizer
from framescribe.types import CaptionRow, CaptionSettings, GenerationSettings


class CaptionSession:
    """Captions prepared clips as they come, in completion order. For one thread at a time.

    Args:
        engine: generates; may serve other sessions too.
        preparer, tokenizer, rows: of the same model.
        settings: the same for all clips.
    """

    def __init__(
        self,
        engine: Engine,
        preparer: Preparer,
        tokenizer: CaptionTokenizer,
        rows: RowMaker,
        settings: CaptionSettings,
    ) -> None:
        self._engine = engine
        self._preparer = preparer
        self._tokenizer = tokenizer
        self._rows = rows
        self._settings = settings
        self._in_engine: dict[str, tuple[Prepared, Sequence]] = {}
        self._completed: deque[Completion] = deque()
        self._repairs: dict[str, Repair] = {}

    def __len__(self) -> int:
        """Clips that were added and have no row yet."""
        return len(self._in_engine)

    def add(self, prepared: Prepared) -> None:
        """Queues a clip; no two of the same id at a time."""
        self._request(prepared, self._settings.generation)

    def step(self) -> list[CaptionRow]:
        """Lets the engine work a little.

        Returns:
            The rows of clips that this finished.
        """
        self._engine.step()
        # Another thread's step may complete more of this session's at any time.
        completed = [self._completed.popleft() for _ in range(len(self._completed))]
        return [row for row in map(self._finish, completed) if row is not None]

    def close(self) -> None:
        """Drops what has no row yet."""
        self._engine.cancel([sequence for _, sequence in self._in_engine.values()])
        self._in_engine.clear()

    def _request(self, prepared: Prepared, generation: GenerationSettings) -> None:
        request = Request(prepared.clip.id, prepared.prompt, prepared.pixels_F3SS, generation)
        sequence = self._engine.add(request, self._completed.append)
        self._in_engine[prepared.clip.id] = (prepared, sequence)

    def _finish(self, completion: Completion) -> CaptionRow | None:
        """The row of a completed clip, or None if its caption came out badly and is made again."""
        (prepared, _), settings = self._in_engine[completion.id], self._settings
        if completion.finish_reason == "error":
            del self._in_engine[completion.id]
            # Another attempt may need more memory than there is: the caption that it was to better is still one.
            if (repair := self._repairs.pop(completion.id, None)) is not None:
                return created_now(repair.give_up())
            message = f"{prepared.clip.source_video}: {completion.error}"
            return self._rows.failed(prepared.clip, settings, "generate", message)
        row = self._rows.captioned(
            prepared.clip,
            settings,
            prepared.frames,
            text=self._tokenizer.decode(completion.token_ids),
            finish_reason=completion.finish_reason,
            prompt_tokens=len(prepared.prompt),
            output_tokens=len(completion.token_ids),
        )
        if settings.repair:
            repair = self._repairs.setdefault(completion.id, Repair(settings.generation))
            outcome = repair.follow(row)
            if isinstance(outcome, Attempt):
                self._request(self._asking(prepared, outcome), outcome.generation)
                return None
            del self._repairs[completion.id]
            row = created_now(outcome)
        del self._in_engine[completion.id]
        return row

    def _asking(self, prepared: Prepared, attempt: Attempt) -> Prepared:
        """The same clip with the prompt of another attempt."""
        question = (prepared.clip.prompt or self._settings.prompt) + attempt.more_prompt
        prompt = self._preparer.prompt(prepared.frames, self._settings, question)
        return dataclasses.replace(prepared, prompt=prompt)
