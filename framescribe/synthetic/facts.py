"""What happens in a clip of the synthetic world: the facts that its caption tells.

A clip lasts 7 s. One subject, the main one, has one motion, or two in sequence (half the clip each); up to
two others rest beside it. A tenth of the (subject, motion) pairs is held out: training never shows them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from framescribe.synthetic.subjects import SUBJECTS

STILL = "stays still"
MOTIONS: tuple[str, ...] = (
    STILL,
    "moves left",
    "moves right",
    "moves up",
    "moves down",
    "spins",
    "grows",
    "shrinks",
    "bounces",
    "circles",
    "sways",
)
SIDES: tuple[str, ...] = ("left", "right", "above", "below")
CAMERAS: tuple[str, ...] = (
    "static",
    "pans left",
    "pans right",
    "tilts up",
    "tilts down",
    "zooms in",
    "zooms out",
)
CLEAR = "clear"
WEATHERS: tuple[str, ...] = (CLEAR, "rain", "snow", "fog", "sunset", "night")
_OUTDOORS = WEATHERS
_NO_WEATHER = (CLEAR,)
# Where a weather would not show (snow on snow) or makes no sense (fog in a room), it does not occur.
WEATHERS_OF_BACKGROUND: dict[str, tuple[str, ...]] = {
    "meadow": _OUTDOORS,
    "desert": _OUTDOORS,
    "beach": _OUTDOORS,
    "snow field": (CLEAR, "sunset", "night"),
    "city": _OUTDOORS,
    "forest": _OUTDOORS,
    "mountains": _OUTDOORS,
    "lava field": (CLEAR, "rain", "fog"),
    "brick wall": (CLEAR, "rain", "snow", "sunset", "night"),
    "underwater": _NO_WEATHER,
    "outer space": _NO_WEATHER,
    "living room": _NO_WEATHER,
    "wooden floor": _NO_WEATHER,
}
BACKGROUNDS: tuple[str, ...] = tuple(WEATHERS_OF_BACKGROUND)


@dataclass(frozen=True, slots=True)
class Companion:
    """A subject at rest; ``side`` is where it stands as seen from the main subject, for the whole clip."""

    subject: str
    side: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What a caption tells. Every value is one of this module's words; the order of companions says nothing.

    Attributes:
        subject: the main subject.
        motions: one motion, or two that follow each other.
        companions: none, one or two, on different sides.
        background, weather, camera: one word each.
    """

    subject: str
    motions: tuple[str, ...]
    companions: tuple[Companion, ...]
    background: str
    weather: str
    camera: str

    def to_dict(self) -> dict[str, Any]:
        """The facts as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Facts:
        """The inverse of ``to_dict``, also after a round trip through JSON."""
        companions = tuple(Companion(**companion) for companion in values["companions"])
        return cls(**{**values, "motions": tuple(values["motions"]), "companions": companions})


def is_held_out(subject: str, motion: str) -> bool:
    """Whether training never shows this subject in this motion: every tenth pair, diagonally.

    So every subject lacks one motion or two, and every motion lacks a tenth of the subjects.
    """
    return (_subject_index()[subject] + MOTIONS.index(motion)) % 10 == 3


def has_held_out_pair(facts: Facts) -> bool:
    """Whether training must not show this clip."""
    main = any(is_held_out(facts.subject, motion) for motion in facts.motions)
    return main or any(is_held_out(companion.subject, STILL) for companion in facts.companions)


@lru_cache(maxsize=1)
def _subject_index() -> dict[str, int]:
    return {subject: index for index, subject in enumerate(SUBJECTS)}
