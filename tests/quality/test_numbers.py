"""The numbers that the documentation promises, as numbers, and what they mean at their edges."""

import pytest

from framescribe.quality.budget import CLIP_TEXT_TOKENS, T5_TOKENS, Budget
from framescribe.quality.checks import check
from framescribe.quality.cleanup import CleanupRules, clean
from framescribe.quality.duplicates import DuplicateFinder
from framescribe.quality.flags import DEFECTS, FLAGS
from framescribe.quality.loops import is_looping
from framescribe.quality.repair import Attempt, Repair
from framescribe.quality.words import count_words
from framescribe.types import GenerationSettings
from tests.dataset.test_row_file import row


def words(count: int, start: int = 0) -> list[str]:
    return [f"w{number}" for number in range(start, start + count)]


def test_budgets():
    assert (T5_TOKENS, CLIP_TEXT_TOKENS, Budget().max_words) == (226, 77, 100)
    assert Budget().holds(" ".join(words(100)))
    assert not Budget().holds(" ".join(words(101)))
    assert count_words("猫" * 100) == 100


def test_defects_are_what_is_decoded_again():
    assert sorted(DEFECTS) == ["cut_off", "empty", "exclamation", "looping", "non_text"]
    assert set(FLAGS) - DEFECTS == {"over_budget", "opener", "duplicate"}
    for flag in DEFECTS:
        repair = Repair(GenerationSettings())
        assert isinstance(repair.follow(row(flags=(flag,))), Attempt)
    for flag in set(FLAGS) - DEFECTS:
        assert not isinstance(Repair(GenerationSettings()).follow(row(flags=(flag,))), Attempt)


@pytest.mark.parametrize(("period", "times"), [(1, 5), (2, 4), (3, 4), (4, 3), (12, 3), (60, 3)])
def test_how_often_a_phrase_is_a_loop(period, times):
    phrase = words(period)
    around = words(3, 500), words(2, 600)
    assert is_looping(" ".join([*around[0], *phrase * times, *around[1]]))
    fewer = [*around[0], *phrase * times][:-1]
    if period < 12:  # of longer phrases twice is a stretch of nothing new, a rule of its own
        assert not is_looping(" ".join([*fewer, *around[1]]))


def test_a_stretch_in_which_half_is_stale():
    """Of 40 trigrams in a row 20 came before; trigrams of n words in a row that came before are n - 2."""
    first = words(22)
    assert is_looping(" ".join([*first, *words(3, 100), *first]))
    assert not is_looping(" ".join([*first, *words(3, 100), *first[:21]]))
    # Ten here and ten there, with so much between them that no forty hold more than 13.
    one, other = words(12), words(12, 50)
    assert not is_looping(" ".join([*one, "x", *other, *words(20, 100), *one, *words(25, 200), *other]))


@pytest.mark.parametrize(("text", "loops"), [("ab" * 6, True), ("ab" * 5 + "cd", False), ("a" * 11, False)])
def test_characters_six_times_in_a_word_of_twelve(text, loops):
    assert is_looping(f"A {text} road.") is loops


@pytest.mark.parametrize(
    ("marks", "found"), [("!!!", False), ("!!!!", True), ("! ? ! ?", True), ("？！！", False)]
)
def test_four_exclamation_marks_in_a_row(marks, found):
    assert ("exclamation" in check(f"A dog{marks}")) is found


@pytest.mark.parametrize(("text", "found"), [("abcdef%$&#", False), ("abcde%$&#=", True)])
def test_six_letters_in_ten_characters(text, found):
    assert ("non_text" in check(text)) is found


def test_eight_words_are_a_phrase_and_four_a_tag():
    assert "cut_off" not in check(" ".join(words(8)))
    assert "cut_off" in check(" ".join(words(9)))
    assert "cut_off" not in check(", ".join([" ".join(words(4)), " ".join(words(4)), "park"]))
    assert "cut_off" in check(", ".join([" ".join(words(5)), " ".join(words(4)), "park"]))


@pytest.mark.parametrize(("count", "first"), [(35, "a"), (34, None)])
def test_captions_are_nearly_alike_from_85_percent_of_their_trigrams_on(count, first):
    """A word changed in the middle of n takes three of n + 2 trigrams: (n - 1) of (n + 5) are shared."""
    caption = words(count)
    changed = [*caption[:17], "x", *caption[18:]]
    finder = DuplicateFinder()
    assert finder.add("a", " ".join(caption)) is None
    assert finder.add("b", " ".join(changed)) == first


def test_a_caption_that_lost_its_last_words_is_nearly_alike_too():
    """38 trigrams of 40 and of 42 are shared: 0.86 of 44."""
    finder = DuplicateFinder()
    assert finder.add("a", " ".join(words(40))) is None
    assert finder.add("b", " ".join(words(38))) == "a"
    assert finder.add("c", " ".join(words(42))) == "a"


@pytest.mark.parametrize(
    ("trigger", "caption", "expected"),
    [
        ("s.k", "An sxk cat.", "s.k, An sxk cat."),
        ("s.k", "An s.k cat.", "An s.k cat."),
        ("(x", "A cat.", "(x, A cat."),
    ],
)
def test_a_trigger_word_is_no_pattern(trigger, caption, expected):
    assert clean(caption, CleanupRules(trigger_word=trigger)) == expected
