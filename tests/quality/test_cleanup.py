"""Clean-up rules: what a trainer's loader reads is one line, and says what the rules ask for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framescribe.quality.budget import Budget
from framescribe.quality.cleanup import CleanupRules, Replacement, clean

TEXT = "The video shows Mr. Fox in a red coat. He waves at a friend. They leave."


@given(st.text())
def test_every_caption_becomes_one_line(caption):
    cleaned = clean(caption, CleanupRules())
    assert len(cleaned.splitlines()) <= 1
    assert cleaned == cleaned.strip()
    assert cleaned.split() == caption.split()


@given(st.text(), st.text(), st.text())
def test_rules_never_bring_a_line_break_back(caption, prefix, found):
    rules = CleanupRules(
        prefix=prefix, suffix=prefix, replacements=(Replacement(found or "a", "\u2028\x85\n"),)
    )
    assert len(clean(caption, rules).splitlines()) <= 1


@pytest.mark.parametrize(
    "separator", ["\n", "\r\n", "\x0b", "\x0c", "\x1c", "\x1e", "\x85", "\u2028", "\u2029"]
)
def test_breaks_that_loaders_split_at_become_spaces(separator):
    assert clean(f"one{separator}two ") == "one two"


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("The video shows a cat.", "A cat."),
        ("In this video, we can see a dog running.", "A dog running."),
        ("This clip depicts élan.", "Élan."),
        ("The video begins with a close-up of a hand.", "A close-up of a hand."),
        ("Throughout the video, the camera stays.", "The camera stays."),
        ("A short video of two cats.", "Two cats."),
        ("A cat looks at the video.", "A cat looks at the video."),
        ("In the video game arcade, a boy plays.", "In the video game arcade, a boy plays."),
        ("The video camera stands on a tripod.", "The video camera stands on a tripod."),
        ("The video shows", "The video shows"),
    ],
)
def test_openers_go_and_the_rest_begins_with_a_capital(caption, expected):
    assert clean(caption, CleanupRules(strip_openers=True)) == expected


def test_replacements_are_literal_or_regular_expressions_in_order():
    rules = CleanupRules(
        replacements=(
            Replacement("red (", "blue ("),
            Replacement(r"\b(\w+) \1\b", r"\1", is_regex=True),
            Replacement("coat", "hat"),
        )
    )
    assert clean("a a red (dark) coat", rules) == "a blue (dark) hat"


@pytest.mark.parametrize(
    "replacement", [("(", "", True), ("a", r"\1", True), ("a", r"\g<x>", True), ("", "b", False)]
)
def test_a_replacement_that_cannot_be_is_refused(replacement):
    with pytest.raises(ValueError, match=r"nothing to find|→"):
        Replacement(*replacement)


def test_prefix_suffix_and_trigger_word():
    rules = CleanupRules(prefix="Film still: ", suffix=" 4k", trigger_word="sks")
    assert clean("A cat.", rules) == "sks, Film still: A cat. 4k"
    assert clean("A sks cat.", rules) == "Film still: A sks cat. 4k"
    assert clean("Asks a cat.", rules) == "sks, Film still: Asks a cat. 4k"


def test_an_empty_caption_stays_empty():
    assert clean(" \u2028 ", CleanupRules(prefix="x", suffix="y", trigger_word="z")) == ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (100, TEXT),
        (16, TEXT),
        (15, "The video shows Mr. Fox in a red coat. He waves at a friend."),
        (9, "The video shows Mr. Fox in a red coat."),
        (8, "The video shows Mr. Fox in a red"),
        (4, "The video shows Mr."),
    ],
)
def test_a_long_caption_ends_with_the_last_sentence_that_fits(words, expected):
    assert clean(TEXT, CleanupRules(budget=Budget(words))) == expected


def test_the_budget_counts_what_is_put_around_the_caption():
    rules = CleanupRules(prefix="one two ", trigger_word="sks", budget=Budget(12))
    assert clean(TEXT, rules) == "sks, one two The video shows Mr. Fox in a red coat."
    with pytest.raises(ValueError, match="no room"):
        clean(TEXT, CleanupRules(prefix="one two ", budget=Budget(2)))


def test_chinese_is_cut_at_its_own_full_stop_and_counted_by_character():
    assert clean("一只猫坐着。它在看雨。", CleanupRules(budget=Budget(8))) == "一只猫坐着。"
