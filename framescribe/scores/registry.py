"""The scorers of these names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from framescribe.errors import UsageError
from framescribe.extras import require
from framescribe.scores.catalogue import SCORERS
from framescribe.scores.scorer import Scorer

__all__ = ["SCORERS", "scorers_named"]

_DEFAULT = "all"


def scorers_named(names: Literal["all"] | Iterable[str] = "all") -> tuple[Scorer, ...]:
    """The scorers of these names, in the registry's order; ``all``, also among others, gives the default ones.

    Raises:
        UsageError: there is no such scorer, or none is named, or its package is not installed.
    """
    wanted = (names,) if isinstance(names, str) else tuple(names)
    known = [each.name for each in SCORERS]
    for name in wanted:
        if name not in known and name != _DEFAULT:
            raise UsageError(f"there is no scorer {name!r}; choose from {_DEFAULT}, {', '.join(known)}")
    if not wanted:
        raise UsageError("`scores` names no scorer; leave it out for all")
    chosen = tuple(
        each for each in SCORERS if each.name in wanted or (each.is_default and _DEFAULT in wanted)
    )
    for scorer in chosen:
        if scorer.package is not None:
            require(scorer.package, f"the scorer {scorer.name}")
    return chosen
