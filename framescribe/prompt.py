"""Question, history and frame count to token ids, vision slots and positions: the sole owner of the prompt's layout.

The layout is the published one: BOS, then the frames (``chat`` writes each frame's second behind it as text), then the
text. Positions are not consecutive: inside a run of vision slots only the first (boi) and last (eoi) have positions of
their own, all between share one. In ``base`` and ``vqa`` all frames are one run.

Knows nothing of models or tensors: it needs a tokenizer, the ids of BOS, EOS and padding, and the slots per frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Protocol

from framescribe.errors import UsageError
from framescribe.types import IGNORED_LABEL, TEMPLATES, Prompt, Template

History = Sequence[tuple[str, str]]


def render(question: str, template: Template, history: History = ()) -> str:
    """The prompt's text in the published words: earlier turns, then the question.

    ``base`` is the bare question and, as published, leaves history out.

    Raises:
        UsageError: no such template.
    """
    if template not in TEMPLATES:
        raise UsageError(f"unknown template {template!r}; choose one of {', '.join(TEMPLATES)}")
    if template == "base":
        return question
    answer = "Short answer" if template == "vqa" else "Answer"
    turns = "".join(f"Question: {asked} {answer}: {answered}\n" for asked, answered in history)
    return f"{turns}Question: {question} {answer}:"


class Encoder(Protocol):
    """A tokenizer, as far as prompts need one."""

    def encode(self, text: str) -> list[int]:
        """Token ids of ``text``; no BOS, no EOS."""
        ...


@dataclass(frozen=True, slots=True)
class PromptBuilder:
    """Builds prompts for one model.

    Attributes:
        tokenizer: the model's.
        bos_token_id, eos_token_id: what starts a prompt and ends an answer.
        slot_token_id: the id that fills the vision slots (the model replaces its embedding).
        tokens_per_frame: vision slots per frame, boi and eoi included.
    """

    tokenizer: Encoder
    bos_token_id: int
    eos_token_id: int
    slot_token_id: int
    tokens_per_frame: int

    def build(
        self,
        question: str,
        template: Template,
        seconds: Sequence[int],
        *,
        history: History = (),
        answer: str | None = None,
    ) -> Prompt:
        """One prompt, or one labelled training example.

        Args:
            question: what is asked about the clip.
            template: ``chat``, ``base`` or ``vqa``.
            seconds: the number that ``chat`` writes behind each frame; its length is the number of frames, 0 for
                text only. The published numbers are 0, 1, 2, …
            history: earlier (question, answer) turns.
            answer: for training: the caption (see ``with_answer``).
        """
        input_ids = [self.bos_token_id]
        is_vision = [False]

        def append(ids: Sequence[int], vision: bool) -> None:
            input_ids.extend(ids)
            is_vision.extend([vision] * len(ids))

        for second in seconds:
            append([self.slot_token_id] * self.tokens_per_frame, True)
            if template == "chat":
                append(self.tokenizer.encode(str(second)), False)
        append(self.tokenizer.encode(render(question, template, history)), False)
        positions = position_ids(is_vision)
        prompt = Prompt(tuple(input_ids), tuple(positions), tuple(is_vision), positions[-1] + 1)
        return prompt if answer is None else self.with_answer(prompt, answer)

    def with_answer(self, prompt: Prompt, answer: str) -> Prompt:
        """The training example that ends with ``answer`` and EOS; only these have labels."""
        answer_ids = (*self.tokenizer.encode(answer), self.eos_token_id)
        end = prompt.next_position + len(answer_ids)
        return Prompt(
            prompt.input_ids + answer_ids,
            (*prompt.position_ids, *range(prompt.next_position, end)),
            prompt.is_vision + (False,) * len(answer_ids),
            end,
            (IGNORED_LABEL,) * len(prompt) + answer_ids,
        )


def position_ids(is_vision: Sequence[bool]) -> list[int]:
    """Positions as published: every token opens a new one, unless it and its predecessor are inner vision slots.

    Inner means: neither the first (boi) nor the last (eoi) of its run of vision slots.
    """
    padded = (False, *is_vision, False)
    inner = [all(padded[place : place + 3]) for place in range(len(is_vision))]
    opens = [not (this and previous) for previous, this in pairwise(inner)]
    return list(accumulate(opens, initial=0))
