"""Captions that came out badly are decoded again, in other ways: with the same settings the same would come out."""

from __future__ import annotations

from dataclasses import dataclass, replace

from framescribe.caption_row import CaptionRow
from framescribe.quality.flags import DEFECTS
from framescribe.types import GenerationSettings

_SHORTER = " Answer briefly, in at most three sentences."
_SHORTER_TOKENS = 256


@dataclass(frozen=True, slots=True)
class Attempt:
    """One more decoding of a clip.

    Attributes:
        generation: how to decode.
        more_prompt: what to ask besides the question.
        name: how ``CaptionRow.repairs`` tells of it: all that differs from the run's settings.
    """

    generation: GenerationSettings
    name: str
    more_prompt: str = ""


def plan_attempts(generation: GenerationSettings, flags: tuple[str, ...]) -> list[Attempt]:
    """What to try, in this order: a repetition penalty, a stronger one, sampling, a shorter caption.

    Args:
        generation: the settings that gave the caption; what they have already is left out.
        flags: of that caption. One that is merely cut off is only asked for shorter.
    """
    penalties = [penalty for penalty in (1.1, 1.2) if penalty > generation.repetition_penalty]
    penalty = max(1.1, generation.repetition_penalty)
    changes: list[dict[str, float]] = [{"repetition_penalty": each} for each in penalties]
    changes.append({"repetition_penalty": penalty, "temperature": 0.7, "top_p": 0.9})
    attempts = [] if DEFECTS & set(flags) == {"cut_off"} else [_attempt(generation, each) for each in changes]
    shorter = {
        "repetition_penalty": penalty,
        "max_new_tokens": min(generation.max_new_tokens, _SHORTER_TOKENS),
    }
    attempts.append(_attempt(generation, shorter, _SHORTER))
    return [each for each in attempts if each.generation != generation or each.more_prompt]


class Repair:
    """One clip's way from the first caption to the one that is kept.

    Args:
        generation: the run's settings.
    """

    def __init__(self, generation: GenerationSettings) -> None:
        self._generation = generation
        self._first: CaptionRow | None = None
        self._left: list[Attempt] = []
        self._tried: tuple[str, ...] = ()

    def follow(self, row: CaptionRow) -> CaptionRow | Attempt:
        """What comes after this row of the clip: the row to keep, or what to try next.

        The first row without a defect is kept, with ``caption_raw`` of the very first one; without any, that one is.
        """
        if self._first is None:
            self._first = row
            self._left = plan_attempts(self._generation, row.flags)
        if DEFECTS.isdisjoint(row.flags):
            return replace(row, caption_raw=self._first.caption_raw, repairs=self._tried)
        if not self._left:
            return self.give_up()
        attempt = self._left.pop(0)
        self._tried += (attempt.name,)
        return attempt

    def give_up(self) -> CaptionRow:
        """The first row, with what was tried since."""
        assert self._first is not None, "nothing to go back to"
        return replace(self._first, repairs=self._tried)


def _attempt(generation: GenerationSettings, changes: dict[str, float], more_prompt: str = "") -> Attempt:
    changed = replace(generation, **changes)  # type: ignore[arg-type]
    differing = [f"{name}={value}" for name, value in changes.items() if value != getattr(generation, name)]
    if more_prompt:
        differing.append(f"prompt+={more_prompt.strip()}")
    return Attempt(changed, " ".join(differing), more_prompt)
