"""The scorers of these names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from framescribe.errors import UsageError
from framescribe.extras import require
from framescribe.scores.catalogue import SCORERS
from framescribe.scores.scorer import Scorer

__all__ = ["SCORERS", "scorers_named"]


def scorers_named(names: Literal["all"] | Iterable[str] = "all") -> tuple[Scorer, ...]:
    """The scorers of these names, in the registry's order; ``all`` gives the default ones.

    Raises:
        UsageError: there is no such scorer, or none is named, or its package is not installed.
    """
    if names == "all":
        chosen = tuple(each for each in SCORERS if each.is_default)
    else:
        wanted = (names,) if isinstance(names, str) else tuple(names)
        known = [each.name for each in SCORERS]
        for name in wanted:
            if name not in known:
                raise UsageError(f"there is no scorer {name!r}; choose of {', '.join(known)}")
        if not wanted:
            raise UsageError("`scores` names no scorer; leave it out for all")
        chosen = tuple(each for each in SCORERS if each.name in wanted)
    for scorer in chosen:
        if scorer.package is not None:
            require(scorer.package, f"the scorer {scorer.name}")
    return chosen
