"""Facts to a caption, and back.

A caption runs subject – motion – scene – camera, in one to three sentences; each fact has several wordings.
Every wording stands for one value, and none occurs within another value's, so that ``parse`` finds the facts
again in what a model wrote. Where nothing is said of the weather it is clear.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from framescribe.synthetic.facts import CLEAR, Companion, Facts
from framescribe.synthetic.subjects import SUBJECTS, with_article

MOTION_WORDINGS: dict[str, tuple[str, ...]] = {
    "stays still": ("stays still", "remains motionless", "rests without moving"),
    "moves left": ("moves to the left", "glides leftward", "travels steadily left"),
    "moves right": ("moves to the right", "glides rightward", "travels steadily right"),
    "moves up": ("moves upward", "rises steadily", "floats up"),
    "moves down": ("moves downward", "descends steadily", "sinks down"),
    "spins": ("spins around", "rotates in place", "keeps turning about its center"),
    "grows": ("grows larger and larger", "swells in size", "becomes steadily bigger"),
    "shrinks": ("shrinks more and more", "dwindles in size", "becomes steadily smaller"),
    "bounces": ("bounces up and down", "hops again and again", "keeps jumping up and down"),
    "circles": ("moves in circles", "loops around in a circle", "traces a round path"),
    "sways": ("sways from side to side", "swings back and forth", "slides from side to side"),
}
_SEQUENCES = ("first {0}, then {1}", "{0} at first and then {1}", "{0} for a while before it {1}")
BACKGROUND_WORDINGS: dict[str, tuple[str, ...]] = {
    "meadow": (
        "in a green meadow dotted with small flowers and bushes",
        "over a grassy meadow full of wildflowers below the sky",
    ),
    "desert": (
        "in a sandy desert scattered with brown stones",
        "among the golden dunes of a wide and dry desert",
    ),
    "beach": (
        "on a sandy beach beside the blue sea",
        "at the seashore, where gentle waves meet the sand",
    ),
    "snow field": (
        "in a snowy field dotted with small fir trees",
        "over a wide white snowfield with dark firs here and there",
    ),
    "city": (
        "on a city street lined with tall buildings",
        "in front of a city skyline that stands above a gray road",
    ),
    "forest": (
        "in a dense forest of tall trees with green leaves",
        "among the brown trunks of a shady forest",
    ),
    "mountains": (
        "in front of rocky mountains capped with snow",
        "before a range of steep gray peaks and a stony slope",
    ),
    "lava field": (
        "over dark rock veined with glowing orange lava",
        "above black ground crossed by streams of hot lava",
    ),
    "brick wall": (
        "in front of a red brick wall with a few posters",
        "against a weathered wall of red bricks hung with posters",
    ),
    "underwater": (
        "underwater, above a sandy seabed with colorful weeds",
        "deep under the sea, where bubbles hang in the blue water",
    ),
    "outer space": (
        "in outer space among bright stars and small planets",
        "in the dark of space, surrounded by countless stars",
    ),
    "living room": (
        "in a living room with a sofa and a window",
        "inside a cozy room with a sofa and pictures on the wall",
    ),
    "wooden floor": (
        "on a floor of wooden planks with visible grain",
        "over brown wooden floorboards full of knots",
    ),
}
WEATHER_WORDINGS: dict[str, tuple[str, ...]] = {
    "rain": ("in pouring rain", "while rain streaks down"),
    "snow": ("in falling snow", "while snowflakes drift down"),
    "fog": ("in thick fog", "veiled by pale mist"),
    "sunset": ("in the orange light of sunset", "under a warm evening glow"),
    "night": ("in the blue dark of night", "under dim moonlight"),
}
SIDE_WORDINGS: dict[str, tuple[str, ...]] = {
    "left": ("with {0} to its left", "with {0} standing on its left side"),
    "right": ("with {0} to its right", "with {0} standing on its right side"),
    "above": ("with {0} above it", "with {0} resting higher up"),
    "below": ("with {0} below it", "with {0} resting lower down"),
}
CAMERA_WORDINGS: dict[str, tuple[str, ...]] = {
    "static": ("stays fixed all the time", "holds its position throughout", "does not move at all"),
    "pans left": ("slowly pans left across the scene", "sweeps gently to the left"),
    "pans right": ("slowly pans right across the scene", "sweeps gently to the right"),
    "tilts up": ("slowly tilts up over the scene", "turns gently upward"),
    "tilts down": ("slowly tilts down over the scene", "turns gently downward"),
    "zooms in": ("slowly zooms in on the scene", "moves closer from start to end"),
    "zooms out": ("slowly zooms out from the scene", "pulls back from start to end"),
}
_CAPTIONS = (
    "{subject} {motion}{comma} {place}. The camera {shot}.",
    "{subject} {motion}{comma} {place}, and the camera {shot}.",
    "{subject} {motion}. The scene is set {place}. The camera {shot}.",
)


@dataclass(frozen=True, slots=True)
class ParsedCaption:
    """What a caption says, as far as it can be read: None, or nothing, where it says nothing.

    The attributes are those of ``Facts``; ``companions`` is a set, as their order says nothing.
    """

    subject: str | None
    motions: tuple[str, ...]
    companions: frozenset[Companion]
    background: str | None
    weather: str
    camera: str | None


def describe(facts: Facts, rng: random.Random) -> str:
    """A caption of these facts; ``rng`` chooses the wording."""
    choose = rng.choice
    motions = [choose(MOTION_WORDINGS[motion]) for motion in facts.motions]
    motion = motions[0] if len(motions) == 1 else choose(_SEQUENCES).format(*motions)
    if facts.companions:
        beside = [choose(SIDE_WORDINGS[c.side]).format(with_article(c.subject)) for c in facts.companions]
        motion += ", " + " and ".join(beside)
    place = choose(BACKGROUND_WORDINGS[facts.background])
    if facts.weather != CLEAR:
        place += ", " + choose(WEATHER_WORDINGS[facts.weather])
    return choose(_CAPTIONS).format(
        subject="A" + with_article(facts.subject)[1:],
        motion=motion,
        comma="," if facts.companions else "",
        place=place,
        shot=choose(CAMERA_WORDINGS[facts.camera]),
    )


def parse(caption: str) -> ParsedCaption:
    """Reads the facts out of a caption: the inverse of ``describe``; of other texts it reads what it can."""
    scene, _, shot = " ".join(caption.split()).partition("he camera ")
    subject = _MAIN_SUBJECT.match(scene)
    beside = frozenset(
        Companion(found[1], side) for side, pattern in _BESIDE for found in pattern.finditer(scene)
    )
    return ParsedCaption(
        subject=subject[1] if subject else None,
        motions=tuple(_MOTION.values(scene)),
        companions=beside,
        background=_BACKGROUND.first(scene),
        weather=_WEATHER.first(scene) or CLEAR,
        camera=_CAMERA.first(shot),
    )


class _Reader:
    """Finds wordings in a text and says which values they stand for."""

    def __init__(self, wordings: Mapping[str, Iterable[str]]) -> None:
        self._value_of = {wording: value for value, several in wordings.items() for wording in several}
        self._pattern = re.compile(rf"\b(?:{_any_of(self._value_of)})\b")

    def values(self, text: str) -> list[str]:
        """The values in the order in which the text names them."""
        return [self._value_of[wording] for wording in self._pattern.findall(text)]

    def first(self, text: str) -> str | None:
        """The value named first, or None."""
        return next(iter(self.values(text)), None)


def _any_of(words: Iterable[str]) -> str:
    """A pattern for any of these texts, the longest that fits."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_SUBJECT = rf"({_any_of(SUBJECTS)})\b"
_MAIN_SUBJECT = re.compile(rf"\s*An? {_SUBJECT}")
_BESIDE = [
    (side, re.compile(rf"\b{wording.format(f'an? {_SUBJECT}')}\b"))
    for side, wordings in SIDE_WORDINGS.items()
    for wording in wordings
]
_MOTION = _Reader(MOTION_WORDINGS)
_BACKGROUND = _Reader(BACKGROUND_WORDINGS)
_WEATHER = _Reader(WEATHER_WORDINGS)
_CAMERA = _Reader(CAMERA_WORDINGS)
