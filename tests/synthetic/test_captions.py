"""Facts to captions and back, for every fact that can be, and for texts that are no such captions."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framescribe.synthetic.batches import make_clips
from framescribe.synthetic.captions import (
    BACKGROUND_WORDINGS,
    CAMERA_WORDINGS,
    MOTION_WORDINGS,
    SIDE_WORDINGS,
    WEATHER_WORDINGS,
    ParsedCaption,
    describe,
    parse,
)
from framescribe.synthetic.facts import BACKGROUNDS, CAMERAS, MOTIONS, SIDES, WEATHERS, Companion, Facts
from framescribe.synthetic.subjects import SUBJECTS


@st.composite
def any_facts(draw: st.DrawFn) -> Facts:
    names = draw(st.lists(st.sampled_from(SUBJECTS), min_size=1, max_size=3, unique=True))
    sides = draw(st.permutations(SIDES))
    return Facts(
        subject=names[0],
        motions=tuple(draw(st.lists(st.sampled_from(MOTIONS), min_size=1, max_size=2, unique=True))),
        companions=tuple(Companion(name, side) for name, side in zip(names[1:], sides, strict=False)),
        background=draw(st.sampled_from(BACKGROUNDS)),
        weather=draw(st.sampled_from(WEATHERS)),
        camera=draw(st.sampled_from(CAMERAS)),
    )


def told(facts: Facts) -> ParsedCaption:
    return ParsedCaption(
        facts.subject,
        facts.motions,
        frozenset(facts.companions),
        facts.background,
        facts.weather,
        facts.camera,
    )


@given(any_facts(), st.integers(0, 2**32))
def test_parse_inverts_describe(facts: Facts, seed: int) -> None:
    assert parse(describe(facts, random.Random(seed))) == told(facts)


def test_parse_inverts_describe_on_many_drawn_clips() -> None:
    for held_out in (False, True):
        for clip in make_clips(11, 0, 3000, held_out=held_out):
            assert parse(clip.caption) == told(clip.facts), clip.caption


@given(st.text(max_size=300).map(lambda text: re.sub("[A-Za-z]", "", text)))
def test_text_without_letters_says_nothing(text: str) -> None:
    assert parse(text) == ParsedCaption(None, (), frozenset(), None, "clear", None)


@pytest.mark.parametrize(
    "text", ["", "nothing of this world", "The camera", "A zeppelin flies. The camera shakes."]
)
def test_what_is_not_said_is_none(text: str) -> None:
    said = parse(text)
    assert (said.subject, said.motions, said.background, said.camera) == (None, (), None, None)


def test_a_garbled_caption_keeps_what_can_be_read() -> None:
    said = parse(
        "A cat moves to the left, with a blob to its right, in a dense forest of tall tre. The camera pans."
    )
    assert said == ParsedCaption("cat", ("moves left",), frozenset(), None, "clear", None)


@pytest.mark.parametrize(
    "wordings", [MOTION_WORDINGS, BACKGROUND_WORDINGS, WEATHER_WORDINGS, CAMERA_WORDINGS, SIDE_WORDINGS]
)
def test_no_wording_is_part_of_another(wordings: dict[str, tuple[str, ...]]) -> None:
    every = [wording for several in wordings.values() for wording in several]
    for wording in every:
        assert sum(re.search(rf"\b{re.escape(wording)}\b", other) is not None for other in every) == 1


def test_everything_has_several_wordings() -> None:
    for values, wordings in (
        (MOTIONS, MOTION_WORDINGS),
        (BACKGROUNDS, BACKGROUND_WORDINGS),
        (WEATHERS[1:], WEATHER_WORDINGS),
        (SIDES, SIDE_WORDINGS),
        (CAMERAS, CAMERA_WORDINGS),
    ):
        assert tuple(wordings) == tuple(values)
        assert all(len(several) > 1 for several in wordings.values())


def test_captions_read_well() -> None:
    for clip in make_clips(1, 0, 1000):
        assert re.fullmatch(r"An? [^.]+\.( The [^.]+\.){0,2}", clip.caption), clip.caption
        assert not re.search(r"  |,,|,\.|the video", clip.caption, re.IGNORECASE)
        assert 14 <= len(clip.caption.split()) <= 70
