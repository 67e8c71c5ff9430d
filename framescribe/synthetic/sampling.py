"""Draws the facts of clips from a random source, with the shares that training and evaluation use."""

from __future__ import annotations

import random
from functools import lru_cache

from framescribe.synthetic.facts import (
    BACKGROUNDS,
    CAMERAS,
    CLEAR,
    MOTIONS,
    STILL,
    WEATHERS_OF_BACKGROUND,
    Companion,
    Facts,
    is_held_out,
)
from framescribe.synthetic.staging import sides_with_room
from framescribe.synthetic.subjects import SUBJECTS

SHARE_OF_SEQUENCES = 0.4
SHARE_STATIC_CAMERA = 0.25
SHARE_CLEAR = 0.4  # where there is weather at all
SHARES_OF_COMPANION_COUNTS = (0.5, 0.3, 0.2)  # none, one, two, where there is room


def sample_facts(rng: random.Random, *, held_out: bool = False) -> Facts:
    """Draws the facts of one clip.

    Args:
        rng: decides everything.
        held_out: whether the main subject does something that training never shows it do (the first of two
        motions,
            or the second). Companions always come from the seen pairs.
    """
    subject = rng.choice(SUBJECTS)
    seen, unseen = _motions_by_split()[subject]
    if rng.random() < SHARE_OF_SEQUENCES:
        motions = tuple(rng.sample(seen, 2))
        if held_out:
            other = motions[0]
            motions = rng.choice(((rng.choice(unseen), other), (other, rng.choice(unseen))))
    else:
        motions = (rng.choice(unseen if held_out else seen),)
    camera = CAMERAS[0] if rng.random() < SHARE_STATIC_CAMERA else rng.choice(CAMERAS[1:])
    background = rng.choice(BACKGROUNDS)
    weathers = WEATHERS_OF_BACKGROUND[background]
    weather = CLEAR if len(weathers) == 1 or rng.random() < SHARE_CLEAR else rng.choice(weathers[1:])
    # Where nothing moves, no one could say which of several subjects is the main one.
    count = 0 if motions == (STILL,) else rng.choices((0, 1, 2), SHARES_OF_COMPANION_COUNTS)[0]
    companions = _sample_companions(rng, subject, motions, camera, count)
    return Facts(subject, motions, companions, background, weather, camera)


def _sample_companions(
    rng: random.Random, subject: str, motions: tuple[str, ...], camera: str, count: int
) -> tuple[Companion, ...]:
    while count and not sides_with_room(motions, camera, count):
        count -= 1
    if count == 0:
        return ()
    sides = rng.choice(sides_with_room(motions, camera, count))
    others: list[str] = []
    while len(others) < count:
        other = rng.choice(_resting_subjects())
        if other != subject and other not in others:
            others.append(other)
    return tuple(Companion(other, side) for other, side in zip(others, sides, strict=True))


@lru_cache(maxsize=1)
def _motions_by_split() -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Subject -> (its motions in training, its motions held out)."""
    return {
        subject: (
            tuple(motion for motion in MOTIONS if not is_held_out(subject, motion)),
            tuple(motion for motion in MOTIONS if is_held_out(subject, motion)),
        )
        for subject in SUBJECTS
    }


@lru_cache(maxsize=1)
def _resting_subjects() -> tuple[str, ...]:
    return tuple(subject for subject in SUBJECTS if not is_held_out(subject, STILL))
