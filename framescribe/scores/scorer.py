"""What a scorer says of itself: its name and version, its scores, and what it has to be given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from framescribe.scores.pictures import ClipPictures

Need = Literal["facts", "small", "tiny", "large", "large_grey", "vectors"]
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
        features_of: the name of the vector that ``features`` of the same module gives; None where it gives none.
        is_default: whether it is among the scorers of a run that names none.
    """

    name: str
    version: int
    scores: tuple[Score, ...]
    needs: tuple[Need, ...] = ()
    package: str | None = None
    features_of: str | None = None
    is_default: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """Of its scores."""
        return tuple(score.name for score in self.scores)

    def measure(self, pictures: ClipPictures) -> Mapping[str, float]:
        """Each of its scores by name; NaN where this clip has no such value (one frame has no motion)."""
        values: Mapping[str, float] = import_module(f"framescribe.scores.{self.name}").measure(pictures)
        return values

    def features(self, pictures: ClipPictures) -> bytes | None:
        """Its vector as little-endian float16, where it gives one."""
        if self.features_of is None:
            return None
        vector = import_module(f"framescribe.scores.{self.name}").features(pictures)
        content: bytes = vector.astype("<f2").tobytes()
        return content
