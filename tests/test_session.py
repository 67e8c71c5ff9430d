"""What a session asks an engine for, and what it makes of the answers; the engine here answers from a script."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest

from framescribe.checkpoint import open_checkpoint
from framescribe.engine.request import Completion, Request
from framescribe.prepare import Prepared, Preparer
from framescribe.rows import RowMaker
from framescribe.session import CaptionSession
from framescribe.task import ClipTask
from framescribe.types import CaptionSettings, Clip, Frames, GenerationSettings, VideoFacts

GOOD = "A cat sits on a red mat."
BAD = "A cat cat cat cat cat cat cat."
RUN, OWN = "What is there?", "Who sits there?"
ROWS = RowMaker("model", "revision", "fp32")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class ScriptedEngine:
    """Completes one request a step: with a text, or as the script says."""

    def __init__(self, tokenizer, script: Callable[[int], str | Completion]) -> None:
        self.tokenizer, self.script = tokenizer, script
        self.requests: list[Request] = []
        self.waiting: list[tuple[Request, Callable[[Completion], None]]] = []
        self.cancelled: list[object] = []
        self.last_at = ""

    def add(self, request, deliver):
        self.requests.append(request)
        self.waiting.append((request, deliver))
        return request

    def step(self):
        request, deliver = self.waiting.pop(0)
        answer = self.script(len(self.requests))
        if isinstance(answer, str):
            answer = Completion(request.id, tuple(self.tokenizer.encode(answer)), "stop")
        while now() == self.last_at:
            pass
        self.last_at = now()
        deliver(answer)

    def cancel(self, sequences):
        self.cancelled += sequences


@pytest.fixture
def preparer() -> Preparer:
    return Preparer(open_checkpoint("tiny-random"), ROWS)


def prepared(preparer: Preparer, settings: CaptionSettings, clip: Clip, *prompts: str) -> Prepared:
    facts = VideoFacts(8, 8, 1.0, 1.0, "h264", 1)
    frames = Frames(np.zeros((1, 3, 8, 8), np.uint8), (0,), (0.0,), 1.0, facts)
    return preparer.ready(ClipTask.of(clip, prompts or [RUN]), frames, settings)


def asked(tokenizer, request: Request) -> str:
    prompt = request.prompt
    return tokenizer.decode(
        [id for id, see in zip(prompt.input_ids, prompt.is_vision, strict=True) if not see]
    )


def run(tokenizer, preparer, script, **settings):
    """The rows of one clip with a prompt of its own, and the engine that it came from."""
    wanted = CaptionSettings(RUN, **settings)
    engine = ScriptedEngine(tokenizer, script)
    session = CaptionSession(engine, preparer, tokenizer, wanted)
    session.add(prepared(preparer, wanted, Clip("a.mp4", prompt=OWN)))
    rows = []
    while len(session):
        rows += session.step()
    return rows, engine


def test_a_repair_asks_the_clips_own_question(tokenizer, preparer):
    rows, engine = run(tokenizer, preparer, lambda times: GOOD if times == 5 else BAD, repair=True)
    briefly = " Answer briefly, in at most three sentences."
    plain = f"0Question: {OWN} Answer:"
    assert [asked(tokenizer, request) for request in engine.requests][
        -1
    ] == f"0Question: {OWN}{briefly} Answer:"
    assert {asked(tokenizer, request) for request in engine.requests[:-1]} == {plain}
    (row,) = rows
    assert (row.caption, row.caption_raw, row.caption_status) == (GOOD, BAD, "success")
    assert row.prompt == OWN
    assert len(row.repairs) == len(engine.requests) - 1
    assert row.output_tokens == len(tokenizer.encode(GOOD))


def test_a_clip_that_only_runs_into_its_limit_is_asked_for_shorter_at_once(tokenizer, preparer):
    def script(times):
        return (
            Completion(Clip("a.mp4", prompt=OWN).id, tuple(tokenizer.encode("A cat")), "length")
            if times == 1
            else GOOD
        )

    (row,), engine = run(tokenizer, preparer, script, repair=True)
    assert len(engine.requests) == 2
    assert engine.requests[1].settings.max_new_tokens == 256
    assert row.caption_status == "success"


def test_a_row_is_dated_when_its_last_repair_has_ended(tokenizer, preparer):
    (row,), engine = run(tokenizer, preparer, lambda times: BAD, repair=True)
    assert row.caption == BAD
    assert len(engine.requests) > 1
    assert row.created_at >= engine.last_at


def test_without_repair_there_is_one_try(tokenizer, preparer):
    (row,), engine = run(tokenizer, preparer, lambda times: BAD)
    assert (len(engine.requests), row.repairs) == (1, ())
    assert row.flags == ("looping",)


def test_the_questions_of_a_clip_have_a_row_each_and_are_repaired_each_for_itself(tokenizer, preparer):
    wanted = CaptionSettings(RUN, repair=True)
    engine = ScriptedEngine(tokenizer, lambda times: BAD if times == 2 else GOOD)
    session = CaptionSession(engine, preparer, tokenizer, wanted)
    session.add(prepared(preparer, wanted, Clip("a.mp4"), RUN, OWN))
    assert len(session) == 2
    rows = []
    while len(session):
        rows += session.step()
    rows.sort(key=lambda row: row.prompt_index)
    assert [(row.prompt_index, row.prompt, row.clip_id) for row in rows] == [
        (0, RUN, Clip("a.mp4").id), (1, OWN, Clip("a.mp4").id),
    ]  # fmt: skip
    assert sorted(len(row.repairs) for row in rows) == [0, 1]
    assert {row.caption for row in rows} == {GOOD}


def test_what_the_engine_says_of_a_loop_is_in_the_row(tokenizer, preparer):
    clip = Clip("a.mp4", prompt=OWN)
    tokens = tuple(tokenizer.encode(GOOD))
    (row,), _ = run(tokenizer, preparer, lambda times: Completion(clip.id, tokens, "loop"))
    assert (row.finish_reason, row.caption_status, row.flags) == ("loop", "repetitive", ("looping",))


def test_an_error_of_the_engine_is_a_row_whose_message_has_a_sane_length(tokenizer, preparer):
    clip = Clip("a.mp4", prompt=OWN)
    (row,), _ = run(tokenizer, preparer, lambda times: Completion(clip.id, (), "error", "x" * 10_000))
    assert (row.caption_status, row.error_stage) == ("error", "generate")
    assert row.error_message.startswith("a.mp4: xxx")
    assert len(row.error_message) == 2000
    assert row.prompt == OWN


def test_a_session_that_is_closed_takes_its_clips_out_of_the_engine(tokenizer, preparer):
    wanted = CaptionSettings(RUN, generation=GenerationSettings(3))
    engine = ScriptedEngine(tokenizer, lambda times: GOOD)
    session = CaptionSession(engine, preparer, tokenizer, wanted)
    for name in ("a.mp4", "b.mp4"):
        session.add(prepared(preparer, wanted, Clip(name)))
    (row,) = session.step()
    assert row.source_video == "a.mp4"
    session.close()
    assert [request.id for request in engine.cancelled] == [Clip("b.mp4").id]
    assert len(session) == 0
