"""The scorers that there are: what each measures, in which unit, and what it has to be given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from framescribe.errors import UsageError
from framescribe.extras import require

if TYPE_CHECKING:
    from framescribe.scores.pictures import ClipPictures

Need = Literal["facts", "small", "tiny", "large", "vectors"]
"""A part of ``ClipPictures``; the facts are always there."""


@dataclass(frozen=True, slots=True)
class Score:
    """One number of a clip.

    Attributes:
        name: of the column; no other scorer has one of this name.
        unit: such as ``s``, ``px``, ``share`` (0 to 1); empty where there is none.
        higher: what a higher value means, in a few words.
        meaning: what it is, in one line.
    """

    name: str
    unit: str
    higher: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Scorer:
    """Measures one or several scores of a clip, by ``measure`` of the module ``framescribe.scores.NAME``.

    Attributes:
        name: of the scorer.
        version: raised whenever one of its scores changes its value for any clip; older rows are then measured anew.
        scores: what it gives, in the order of its rows.
        needs: what of ``ClipPictures`` it reads beside the facts.
        package: what it imports beside NumPy, if anything: an optional package.
        is_default: whether it is among the scorers of a run that names none.
    """

    name: str
    version: int
    scores: tuple[Score, ...]
    needs: tuple[Need, ...] = ()
    package: str | None = None
    is_default: bool = True

    def measure(self, pictures: ClipPictures) -> Mapping[str, float]:
        """Each of its scores by name; NaN where this clip has no such value (one frame has no motion)."""
        values: Mapping[str, float] = import_module(f"framescribe.scores.{self.name}").measure(pictures)
        return values


SCORERS: tuple[Scorer, ...] = (
    Scorer(
        "video",
        1,
        (
            Score("width", "px", "wider pictures", "width of the displayed picture"),
            Score("height", "px", "taller pictures", "height of the displayed picture"),
            Score("aspect", "", "wider than tall", "width divided by height"),
            Score("fps", "1/s", "more frames a second", "average frame rate"),
            Score("duration_s", "s", "longer", "length of the clip, as far as it can be read"),
            Score(
                "bits_per_pixel",
                "bit",
                "less compressed",
                "bits of the video's packets for each pixel of each frame",
            ),
        ),
    ),
)


def scorers_named(names: Iterable[str] | None = None) -> tuple[Scorer, ...]:
    """The scorers of these names, in the registry's order; None gives the default ones.

    Raises:
        UsageError: there is no such scorer, or none is named, or its package is not installed.
    """
    if names is None:
        chosen = tuple(each for each in SCORERS if each.is_default)
    else:
        wanted = (names,) if isinstance(names, str) else tuple(names)
        known = [each.name for each in SCORERS]
        for name in wanted:
            if name not in known:
                raise UsageError(f"there is no scorer {name!r}; choose of {', '.join(known)}")
        if not wanted:
            raise UsageError("`scorers` names none; leave it out for all")
        chosen = tuple(each for each in SCORERS if each.name in wanted)
    for scorer in chosen:
        if scorer.package is not None:
            require(scorer.package, f"the scorer {scorer.name}")
    return chosen
