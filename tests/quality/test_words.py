"""What a word is: against Unicode's own tables, and the same in Python as in queries."""

import unicodedata

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from framescribe.quality.budget import Budget
from framescribe.quality.cleanup import CleanupRules, clean
from framescribe.quality.words import bare_words, count_words, count_words_sql, word_ends


def is_written_without_spaces(character: str) -> bool:
    return unicodedata.name(character, "").startswith(
        ("CJK UNIFIED IDEOGRAPH-", "HIRAGANA", "KATAKANA LETTER")
    )


def ends(text: str) -> list[int]:
    found = []
    for place, character in enumerate(text):
        after = text[place + 1 : place + 2]
        if is_written_without_spaces(character) or (
            not character.isspace() and (not after or after.isspace() or is_written_without_spaces(after))
        ):
            found.append(place + 1)
    return found


@given(st.text("ab. é“\t\n\x0b\x1c\x1f\x85\xa0\u3000\u2028\u200b猫カひ–", max_size=20))
def test_words_end_at_white_space_and_at_each_chinese_or_japanese_character(text):
    assert word_ends(text) == ends(text)
    assert count_words(text) == len(ends(text))


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as connection:
        yield connection


@settings(max_examples=20)  # each is a query
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12), max_size=40
    )
)
@example(["", " ", "a", " a", "a ", "a  b", "a\u3000b", "a\x1fb", "猫が a", "x “y” z", "a\x85", "é ß"])
def test_queries_count_the_same_words(connection, captions):
    counted = connection.execute(
        f"SELECT list_transform(?::VARCHAR[], lambda caption: {count_words_sql('caption')})", [captions]
    ).fetchone()[0]
    assert counted == list(map(count_words, captions))


def test_bare_words_are_without_case_and_punctuation():
    assert bare_words("A “Red” coat – (STRASSE), 猫が!") == ["a", "red", "coat", "strasse", "猫", "が"]
    assert bare_words("Straße") == ["strasse"]
    assert bare_words("It's a well-fed बिल्ली.") == ["it's", "a", "well-fed", "बिल्ली"]


def test_a_long_chinese_sentence_is_cut_between_characters():
    assert clean("一只猫坐在窗台上。", CleanupRules(budget=Budget(4))) == "一只猫坐"
