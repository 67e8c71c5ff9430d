"""Caption figures against values worked out by hand."""

from __future__ import annotations

import math

import pytest

from framescribe.eval.metrics import overlap_figures, text_figures
from framescribe.quality.words import bare_words


def test_words() -> None:
    assert bare_words("A T-shirt doesn't move; it GLIDES (slowly).") == [
        "a", "t-shirt", "doesn't", "move", "it", "glides", "slowly"
    ]  # fmt: skip


def test_text_figures() -> None:
    assert text_figures(["A cat.", "a cat", "A dog runs fast."]) == {
        "captions": 3,
        "words_mean": pytest.approx(8 / 3),
        "words_min": 2,
        "words_max": 4,
        "vocabulary": 5,
        "repeated": pytest.approx(2 / 3),
    }
    with pytest.raises(ValueError, match="no captions"):
        text_figures([])


class TestOverlap:
    @pytest.fixture(autouse=True)
    def _library(self) -> None:
        pytest.importorskip("pycocoevalcap", reason="needs the eval extra")

    def test_equal_captions_reach_the_top(self) -> None:
        captions = {"1": "a red cat runs over the lawn", "2": "two dogs sleep under an old tree"}
        figures = overlap_figures(captions, {clip: [text.upper() + "."] for clip, text in captions.items()})
        assert figures["cider"] == pytest.approx(10)
        assert figures["bleu_4"] == pytest.approx(1)
        assert figures["rouge_l"] == pytest.approx(1)

    def test_nothing_in_common(self) -> None:
        figures = overlap_figures(
            {"1": "a b c d e", "2": "f g h i j"}, {"1": ["k l m n o"], "2": ["p q r s t"]}
        )
        assert figures["cider"] == 0
        assert figures["bleu_4"] < 1e-6
        assert figures["rouge_l"] == 0

    def test_bleu_and_rouge_by_hand(self) -> None:
        figures = overlap_figures({"1": "a b c d e f"}, {"1": ["a b c d e x y"]})
        # 5/6, 4/5, 3/4 and 2/3 of the 1- to 4-grams are right; the caption is a word short.
        assert figures["bleu_4"] == pytest.approx((1 / 3) ** 0.25 * math.exp(1 - 7 / 6), rel=1e-3)
        precision, recall, beta = 5 / 6, 5 / 7, 1.2
        expected = (1 + beta**2) * precision * recall / (recall + beta**2 * precision)
        assert figures["rouge_l"] == pytest.approx(expected)

    def test_the_best_of_several_references_counts_for_rouge(self) -> None:
        assert overlap_figures({"1": "a b c"}, {"1": ["x y", "a b c"]})["rouge_l"] == pytest.approx(1)

    def test_other_clips_are_refused(self) -> None:
        with pytest.raises(ValueError, match="same clips"):
            overlap_figures({"1": "a"}, {"2": ["a"]})
