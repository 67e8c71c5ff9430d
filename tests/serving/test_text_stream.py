"""Text as it grows: pieces that add up to what all tokens decode to, up to a stop text."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from framescribe.serving.text_stream import TextStream
from framescribe.tokenizer import CaptionTokenizer
from tests.reference import TINY

TEXTS = st.lists(
    st.sampled_from(
        [
            "the",
            " kite",
            " .",
            ".",
            " ,",
            "it 's",
            " n't",
            " ' ",
            "日本",
            "é",
            "🎥",
            "\n",
            "  ",
            "a",
            " x9",
            "!",
        ]
    ),
    max_size=150,
).map("".join)


@pytest.fixture(scope="module", params=[False, True], ids=["as it is", "tidied"])
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CaptionTokenizer:
    folder = tmp_path_factory.mktemp("tokenizer")
    (folder / "tokenizer.json").write_bytes((Path(TINY) / "tokenizer.json").read_bytes())
    (folder / "tokenizer_config.json").write_text(
        f'{{"clean_up_tokenization_spaces": {str(request.param).lower()}}}'
    )
    return CaptionTokenizer(folder)


def streamed(
    tokenizer: CaptionTokenizer, ids: list[int], step: int, stop: tuple[str, ...]
) -> tuple[str, bool]:
    stream, text = TextStream(tokenizer, stop), ""
    for end in range(step, len(ids), step):
        text += stream.push(ids[:end])
    text += stream.push(ids, is_all=True)
    return text, stream.is_stopped


@given(text=TEXTS, step=st.integers(1, 9))
@example(text="kite" + " n't kite" * 60, step=1)
@example(text="日" * 100, step=1)
def test_pieces_add_up(tokenizer: CaptionTokenizer, text: str, step: int) -> None:
    ids = tokenizer.encode(text)
    assert streamed(tokenizer, ids, step, ()) == (tokenizer.decode(ids).lstrip(), False)


@given(
    text=TEXTS, step=st.integers(1, 9), stop=st.sampled_from([".", "kite.", "it's", "日", "the the", "\n"])
)
def test_a_stop_text_is_never_sent(tokenizer: CaptionTokenizer, text: str, step: int, stop: str) -> None:
    ids = tokenizer.encode(text)
    whole = tokenizer.decode(ids).lstrip()
    before, found, _ = whole.partition(stop)
    assert streamed(tokenizer, ids, step, (stop, "never")) == (before, bool(found))
