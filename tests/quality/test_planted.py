"""Flaws planted among 500 good captions: at least 99 % are found, at most 1 % of the good ones are accused."""

import random

import pytest

from framescribe.quality.checks import check
from framescribe.quality.duplicates import flag_duplicates
from tests.quality.captions import cut_off, good_captions, nearly_the_same, with_loop

GOOD = 500
FLAWS = {"looping": with_loop, "cut_off": cut_off}


@pytest.fixture(params=[1, 2, 3])
def rng(request):
    return random.Random(request.param)


@pytest.mark.parametrize("flag", FLAWS)
def test_planted_flaws_are_flagged(flag, rng):
    spoilt = [FLAWS[flag](caption, rng) for caption in good_captions(GOOD, rng)]
    missed = [caption for caption in spoilt if flag not in check(caption)]
    assert len(missed) <= 0.01 * len(spoilt), missed


def test_good_captions_are_not_flagged(rng):
    accused = [(caption, flags) for caption in good_captions(GOOD, rng) if (flags := check(caption))]
    assert len(accused) <= 0.01 * GOOD, accused


def test_planted_duplicates_are_flagged_with_the_first_and_good_captions_are_not(rng):
    good = good_captions(GOOD, rng)
    captions = [(f"good{index}", caption) for index, caption in enumerate(good)]
    copied = rng.choices(range(GOOD), k=200)
    captions += [
        (f"copy{n}-of-good{index}", nearly_the_same(good[index], rng)) for n, index in enumerate(copied)
    ]
    rows = [
        {"clip_id": clip_id, "caption": caption, "caption_status": "success", "flags": []}
        for clip_id, caption in captions
    ]
    flags = {row["clip_id"]: (row["flags"], row.get("duplicate_of")) for row in flag_duplicates(rows)}
    accused = [clip_id for clip_id, (found, _) in flags.items() if clip_id.startswith("good") and found]
    assert len(accused) <= 0.01 * GOOD, accused
    found = [
        clip_id for clip_id, found in flags.items()
        if clip_id.startswith("copy") and found == (["duplicate"], clip_id.split("-of-")[1])
    ]  # fmt: skip
    assert len(found) >= 0.99 * len(copied), set(flags) - set(found)
