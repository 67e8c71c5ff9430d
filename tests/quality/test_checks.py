"""Each check, on what it must find and on what it must leave alone, in several languages."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from framescribe.quality.budget import Budget
from framescribe.quality.checks import caption_status, check
from framescribe.quality.sentences import sentence_ends
from framescribe.quality.words import count_words
from tests.reference import TINY

GOOD = (
    "A cat sleeps.",
    "A cat on a sofa",
    "1girl, red hair, green eyes, a park, looking at viewer, best quality, sunset light",
    "Over and over and over and over again, he tries.",
    "It is a very, very, very long way.",
    'A sign reads "出口 入口" beside the door.',
    "The character 福 hangs on the door.",
    "The café's naïve façade is 5 µm thick, at −3 °C.",
    "A dog 🐕 runs after a ball ⚽. 🎉",
    "He counts to 1000000 and shouts: stop!!",
    "“Come,” she says, and he comes (at last).",
    "一只猫坐在窗台上，看着外面的雨。雨水顺着玻璃流下来。",
    "穿着T恤的男人在用iPhone拍照。",
    "Кошка сидит на подоконнике и смотрит на дождь.",
    "猫が窓辺に座って、雨を見ています。",
    "قطة تجلس على النافذة وتنظر إلى المطر.",
    "एक बिल्ली खिड़की पर बैठी है और बारिश देख रही है।",
    "แมวนั่งอยู่บนขอบหน้าต่างและมองดูสายฝนที่กำลังตกลงมาในสวน",
    "고양이가 창가에 앉아 비를 바라보고 있다.",
    "Η γάτα κάθεται στο παράθυρο και κοιτάζει τη βροχή.",
)


@pytest.mark.parametrize("caption", GOOD)
def test_a_good_caption_has_no_flag(caption):
    assert check(caption) == ()


@pytest.mark.parametrize(
    ("caption", "flag"),
    [
        ("", "empty"),
        (" \n\u3000", "empty"),
        ("\u200b\ufeff", "empty"),
        ("A man walks. He sits down on the", "cut_off"),
        ("A man walks. He sits", "cut_off"),
        ("A man, a dog and", "cut_off"),
        ("A man walks along the beach with his dog on a rainy day in the winter", "cut_off"),
        ("一只猫坐在窗台上。它在看", "cut_off"),
        ("A pair of JEANS JEANS JEANS JEANS JEANS JEANS.", "looping"),
        ("A man and a dog and a dog and a dog and a dog and a dog.", "looping"),
        ("A dog runs fast. A dog runs fast.", "looping"),
        ("A man sits. He looks up. A dog runs. He looks up. A man waves. He looks up.", "looping"),
        ("A loooooooooooooooong road.", "looping"),
        ("A hahahahahahahahaha.", "looping"),
        ("猫在跑猫在跑猫在跑猫在跑猫在跑。", "looping"),
        ("แมวนั่งแมวนั่งแมวนั่งแมวนั่งแมวนั่งแมวนั่งแมวนั่ง", "looping"),
        ("!!!!!!!!!!!!!!!!", "exclamation"),
        ("A dog! ! ! ! !", "exclamation"),
        ("什么！！！！！", "exclamation"),
        ("A man\ufffds hat.", "non_text"),
        ("A man\x00.", "non_text"),
        ("A man \ue000.", "non_text"),
        ("%$ §% /& =* a #", "non_text"),
        ("🎉🎉🎉", "non_text"),
        ("The man обо walks 的 down the street.", "non_text"),
        ("The man walkинг down the street.", "non_text"),
        (f"A {'very ' * 2}long {' '.join(map(str, range(120)))}.", "over_budget"),
        ("猫" * 0 + "".join(map(chr, range(0x4E00, 0x4E00 + 120))) + "。", "over_budget"),
        ("The video shows a cat.", "opener"),
        ("In this video, a cat sleeps.", "opener"),
        ("This clip depicts a cat.", "opener"),
    ],
)
def test_a_flaw_is_flagged(caption, flag):
    assert flag in check(caption)


@given(st.text(max_size=300))
def test_no_text_breaks_a_check(caption):
    flags = check(caption)
    assert len(set(flags)) == len(flags)
    assert check(caption, is_truncated=True) in (
        ("empty",),
        ("cut_off", *(f for f in flags if f != "cut_off")),
    )


@pytest.mark.parametrize("unit", ["a", "a ", "a.", "!", ". ", "的", "ab cd ", '"', "("])
def test_a_very_long_loop_takes_no_time_to_speak_of(unit):
    """A caption of 2,048 tokens; the suite's patience is the limit on what grows with the square."""
    assert check(unit * (40_000 // len(unit)))


def test_what_the_engine_ended_as_a_loop_is_one_whatever_it_looks_like():
    assert check("A cat sleeps.", loops=True) == ("looping",)


@pytest.mark.parametrize(
    ("caption", "sentences"),
    [("Dr. Fox met J. R. Ewing. He left.", 2), ("He saw e.g. cats. They slept.", 2), ("It was fine. A. B. C.", 2),
     ("一只猫。它在看雨！", 2), ("“Stop!” he said.", 2)],
)  # fmt: skip
def test_where_sentences_end(caption, sentences):
    assert len(sentence_ends(caption)) == sentences


def test_the_status_is_what_is_worst():
    assert caption_status(("empty",), is_truncated=True) == "empty"
    assert caption_status(("cut_off", "looping"), is_truncated=True) == "repetitive"
    assert caption_status(("exclamation",), is_truncated=False) == "repetitive"
    assert caption_status(("cut_off",), is_truncated=True) == "truncated"
    assert caption_status(("cut_off", "opener"), is_truncated=False) == "success"


def test_words_are_counted_in_every_script():
    assert count_words("A cat, 2 dogs – well-fed.") == 6
    assert count_words("一只猫") == 3


def test_tokens_are_counted_by_the_given_tokenizer_whatever_its_file_says_of_truncation(tmp_path: Path):
    tokenizer = Tokenizer.from_file(str(TINY / "tokenizer.json"))
    caption = "A cat sleeps on a sofa by the window."
    tokens = len(tokenizer.encode(caption).ids)
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=400)
    file = tmp_path / "tokenizer.json"
    tokenizer.save(str(file))
    assert Budget(None, tokens, file).holds(caption)
    assert not Budget(None, tokens - 1, file).holds(caption)
    assert "over_budget" in check(caption, budget=Budget(max_tokens=tokens - 1, tokenizer_file=file))


def test_a_budget_that_cannot_be_is_refused(tmp_path):
    broken = tmp_path / "tokenizer.json"
    broken.write_text(json.dumps({"a": 1}))
    with pytest.raises(ValueError, match="at least 1"):
        Budget(0)
    with pytest.raises(ValueError, match="needs both"):
        Budget(max_tokens=77)
    with pytest.raises(ValueError, match=r"not a tokenizer\.json"):
        Budget(max_tokens=77, tokenizer_file=broken)
    with pytest.raises(ValueError, match="cannot be read"):
        Budget(max_tokens=77, tokenizer_file=tmp_path / "none.json")
