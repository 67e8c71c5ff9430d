"""One limit on one score, as people write it: ``motion >= 2``."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from framescribe.errors import UsageError
from framescribe.shown import shown_value

Operator = Literal[">=", "<=", ">", "<"]
_WRITTEN = re.compile(r"\s*([A-Za-z_]\w*)\s*(>=|<=|>|<)\s*(\S+)\s*", re.ASCII)
_OPERATORS = get_args(Operator)


@dataclass(frozen=True, slots=True)
class Threshold:
    """A clip passes where its score lies on this side of the value.

    Attributes:
        score: name of a score.
        operator: ``>=``, ``<=``, ``>`` or ``<``.
        value: in the score's unit.
        published: what the source says, in its own words and unit; empty for a person's own.
        instead_of: what the source measures, where the score is only the nearest one that there is; empty otherwise.
    """

    score: str
    operator: Operator
    value: float
    published: str = ""
    instead_of: str = ""

    def __str__(self) -> str:
        return f"{self.score} {self.operator} {self.value:.12g}"

    @property
    def is_lower(self) -> bool:
        """Whether too small a score fails."""
        return self.operator in (">", ">=")

    @property
    def sql(self) -> str:
        """The condition; null for a clip without a value."""
        return str(self)

    @classmethod
    def parse(cls, text: str, published: str = "", instead_of: str = "") -> Threshold:
        """The threshold that a text such as ``motion >= 2`` means.

        Raises:
            UsageError: it means none.
        """
        found = _WRITTEN.fullmatch(text)
        try:
            value = float(found[3]) if found else math.nan
        except ValueError:
            value = math.nan
        if found is None or not math.isfinite(value):
            raise UsageError(
                f"a threshold is a score, one of {' '.join(_OPERATORS)} and a number, such as motion>=2, not "
                f"{shown_value(text)}"
            )
        operator: Operator = next(each for each in _OPERATORS if each == found[2])
        return cls(found[1], operator, value, published, instead_of)


def overridden(thresholds: Iterable[Threshold], own: Iterable[Threshold]) -> list[Threshold]:
    """Thresholds with a person's own: each takes the place of those on the same side of the same score."""
    own = list(own)
    sides = {(each.score, each.is_lower) for each in own}
    return [each for each in thresholds if (each.score, each.is_lower) not in sides] + own
