import json
import shutil

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from framescribe.tokenizer import CaptionTokenizer
from tests.reference import TINY

PUBLISHED = PreTrainedTokenizerFast(tokenizer_file=str(TINY / "tokenizer.json"))
OURS = CaptionTokenizer(TINY)

# Where tidying, half characters and words meet.
PIECES = st.lists(
    st.sampled_from(
        [
            " ",
            "  ",
            "'",
            "' ",
            "n't",
            "s",
            "m",
            "ve",
            " re",
            ".",
            " ,",
            "?",
            "a",
            "dog",
            "é",
            "漢",
            "🐱",
            "\n",
        ]
    )
)
TIDIED = st.text(" 'nt'mvresd.,?!", max_size=14)
TOKENS = st.one_of(
    PIECES.map("".join).map(OURS.encode),
    st.lists(st.integers(0, 511), max_size=30),
    # A token for each character, as no text is encoded but a model may write.
    TIDIED.map(lambda text: [id for character in text for id in OURS.encode(character)]),
)


@given(st.text())
def test_encodes_as_transformers_does(text):
    assert OURS.encode(text) == PUBLISHED(text, add_special_tokens=False)["input_ids"]


@pytest.mark.skipif(
    not hasattr(PUBLISHED, "clean_up_tokenization"), reason="transformers 5.0 has no such method"
)
@given(TOKENS)
def test_decodes_as_transformers_does(token_ids):
    untidied = PUBLISHED.decode(token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert OURS.decode(token_ids) == PUBLISHED.clean_up_tokenization(untidied)


@pytest.mark.skipif(
    not hasattr(PUBLISHED, "clean_up_tokenization"), reason="transformers 5.0 has no such method"
)
@pytest.mark.parametrize(
    "text", ["a .", "a ?", "a !", "a ,", "a ' b", "is n't", "I 'm", "it 's", "I 've", "we 're"]
)
def test_each_untidy_text_is_tidied_as_published(text):
    assert OURS.decode(OURS.encode(text)) == PUBLISHED.clean_up_tokenization(text) != text


@pytest.mark.parametrize(("setting", "tidies"), [(None, True), (True, True), (False, False)])
def test_a_checkpoint_says_whether_its_text_is_tidied_and_published_ones_say_nothing(
    setting, tidies, tmp_path
):
    shutil.copy(TINY / "tokenizer.json", tmp_path)
    if setting is not None:
        config = json.dumps({"clean_up_tokenization_spaces": setting})
        (tmp_path / "tokenizer_config.json").write_text(config)
    tokenizer = CaptionTokenizer(tmp_path)
    assert tokenizer.decode(tokenizer.encode("A dog .")) == ("A dog." if tidies else "A dog .")


def test_special_tokens_that_a_tokenizer_would_add_by_itself_are_not_added(tmp_path):
    """Llama's file begins every text with BOS, where the prompt has one already."""
    values = json.loads((TINY / "tokenizer.json").read_text())
    bos = values["added_tokens"][0]
    begin = {"SpecialToken": {"id": bos["content"], "type_id": 0}}
    values["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [begin, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [begin, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {
            bos["content"]: {"id": bos["content"], "ids": [bos["id"]], "tokens": [bos["content"]]}
        },
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(values))
    assert (
        PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"))("A cat.")["input_ids"][0]
        == bos["id"]
    )
    assert CaptionTokenizer(tmp_path).encode("A cat.") == OURS.encode("A cat.")


@given(TOKENS)
@example([220, 220, 6, 220, 81, 68])
@settings(max_examples=500)
def test_settled_text_never_changes(token_ids):
    whole = OURS.decode(token_ids)
    for length in range(len(token_ids) + 1):
        assert whole.startswith(OURS.decode_settled(token_ids[:length]))


@pytest.mark.parametrize("text", ["A kitten plays with a ball of wool.", "小猫在玩球，", "🐱🐶"])
def test_settled_text_is_all_of_it_at_the_end_of_a_character(text):
    assert OURS.decode_settled(OURS.encode(text)) == text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer.json", "{}"),
        ("tokenizer.json", "[" * 100_000),
        ("tokenizer.json", "no json"),
        ("tokenizer_config.json", "{"),
        ("tokenizer_config.json", "[]"),
    ],
)
def test_malformed_files_are_named(name, content, tmp_path):
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(TINY / file, tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=f"{tmp_path / name} is not a tokenizer"):
        CaptionTokenizer(tmp_path)


def test_truncation_and_padding_of_a_training_are_left_out(tmp_path):
    """As a tokenizer is saved by whoever trained with them."""
    values = json.loads((TINY / "tokenizer.json").read_text())
    values["truncation"] = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    values["padding"] = {
        "strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0,
        "pad_token": "!",
    }  # fmt: skip
    (tmp_path / "tokenizer.json").write_text(json.dumps(values))
    text = "A kitten plays with a ball of wool."
    assert len(OURS.encode(text)) > 4
    assert CaptionTokenizer(tmp_path).encode(text) == OURS.encode(text)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"tokenizer.json is missing"):
        CaptionTokenizer(tmp_path)
