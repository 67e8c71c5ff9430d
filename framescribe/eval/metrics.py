"""Captions against references: CIDEr, BLEU-4 and ROUGE-L by pycocoevalcap; and lengths, vocabulary, repeats.

Words are compared without case and punctuation (``quality/words.py``). pycocoevalcap's own tokenizer needs Java and
splits a few words otherwise ("don't"), so published figures can differ slightly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from framescribe.errors import UsageError
from framescribe.extras import require
from framescribe.quality.words import bare_words

OVERLAP_PACKAGE = "pycocoevalcap"


def text_figures(captions: Sequence[str]) -> dict[str, Any]:
    """What captions look like by themselves.

    Returns:
        ``captions``, their number; ``words_mean``, ``words_min``, ``words_max`` of their lengths; ``vocabulary``, the
        number of different words; ``repeated``, the share of captions that some other caption equals, word for word.

    Raises:
        UsageError: there are none.
    """
    if not captions:
        raise UsageError("there are no captions to measure")
    tokenized = [tuple(bare_words(caption)) for caption in captions]
    lengths = [len(tokens) for tokens in tokenized]
    repeats = sum(times for times in Counter(tokenized).values() if times > 1)
    return {
        "captions": len(captions),
        "words_mean": sum(lengths) / len(lengths),
        "words_min": min(lengths),
        "words_max": max(lengths),
        "vocabulary": len({word for tokens in tokenized for word in tokens}),
        "repeated": repeats / len(captions),
    }


def overlap_figures(captions: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """How much captions share with their references.

    Args:
        captions: clip -> caption.
        references: the same clips -> one reference or more.

    Returns:
        ``cider`` (0..10; word rarity counted over these references), ``bleu_4`` and ``rouge_l`` (0..1).

    Raises:
        UsageError: pycocoevalcap is not installed, or the clips differ.
    """
    require(OVERLAP_PACKAGE, "CIDEr, BLEU and ROUGE")
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    if not captions or captions.keys() != references.keys():
        raise UsageError("captions and references must be of the same clips, and at least one")
    said = {clip: [" ".join(bare_words(caption))] for clip, caption in captions.items()}
    expected = {clip: [" ".join(bare_words(text)) for text in texts] for clip, texts in references.items()}
    bleu, _ = Bleu(4).compute_score(expected, said, verbose=0)
    cider, _ = Cider().compute_score(expected, said)
    rouge, _ = Rouge().compute_score(expected, said)
    return {"cider": float(cider), "bleu_4": float(bleu[3]), "rouge_l": float(rouge)}
