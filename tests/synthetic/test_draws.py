"""The recipe of the bundled model draws the clips that it was trained on, before ``askew`` was a setting.

The digests are this file's ``digest`` in the checkouts of commits bfd0a5f (all upright) and fddd7af (a quarter askew),
with this file put there: ``print(digest(make_clips(1, 7, 128)), digest(make_clips(2, 7, 128)))``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from framescribe.synthetic.batches import SyntheticClip, make_clips
from framescribe.synthetic.staging import Actor
from framescribe.train.settings import TrainSettings

RECIPES = Path(__file__).parents[2] / "recipes" / "bundled"


def numbers(values: Sequence[object]) -> Iterator[str]:
    for value in values:
        if isinstance(value, Actor) and not any(value[7:]):
            yield from numbers(value[:7])  # upright ones had no angle at first
        elif isinstance(value, tuple):
            yield from numbers(value)
        else:
            yield f"{value:.6f}" if isinstance(value, float) else str(value)


def digest(clips: Sequence[SyntheticClip]) -> str:
    told = [(clip.caption, *numbers(clip.staging)) for clip in clips]
    return hashlib.sha256(repr(told).encode()).hexdigest()


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ("upright", "27222993d7c939e0a7b81968a506368f5044884783efba584eb2e1211c52ab30"),
        ("askew", "9abdf75487e90eba7533377a46981cdbb1020998f9beb2217466f69066e8dc1f"),
    ],
)
def test_the_recipe_draws_what_it_drew(recipe: str, expected: str) -> None:
    settings = TrainSettings.from_file(RECIPES / f"{recipe}.toml")
    assert digest(make_clips(settings.seed, 7, settings.batch_size, askew=settings.askew)) == expected
