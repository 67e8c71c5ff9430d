"""Near-identical captions, against an exact comparison of all pairs."""

import random

from framescribe.quality.duplicates import THRESHOLD, DuplicateFinder
from tests.quality.captions import LONG_CAPTIONS, good_captions

Triples = set[tuple[str, str, str]]


def word_triples(caption: str) -> Triples:
    words = "".join(c if c.isalnum() else " " for c in caption.lower()).split()
    words = ["<", "<", *words, ">", ">"]
    return {(words[i], words[i + 1], words[i + 2]) for i in range(len(words) - 2)}


def jaccard(one: Triples, other: Triples) -> float:
    return len(one & other) / len(one | other)


def variants(caption: str, rng: random.Random, count: int) -> list[str]:
    """The caption with one or two words replaced."""
    spoilt = []
    for number in range(count):
        words = caption.split()
        for _ in range(1 + number % 2):
            words[rng.randrange(len(words))] = f"x{rng.randrange(1000)}"
        spoilt.append(" ".join(words))
    return spoilt


def test_what_is_found_is_what_comparing_all_pairs_finds():
    rng = random.Random(5)
    captions = [
        *good_captions(300, rng),
        *(v for caption in LONG_CAPTIONS for v in variants(caption, rng, 40)),
    ]
    rng.shuffle(captions)
    finder = DuplicateFinder()
    kept: dict[str, Triples] = {}
    missed = found = 0
    for index, caption in enumerate(captions):
        triples = word_triples(caption)
        near = [clip_id for clip_id, other in kept.items() if jaccard(triples, other) >= THRESHOLD]
        first = finder.add(str(index), caption)
        if first is None:
            kept[str(index)] = triples
            missed += bool(near)
        else:
            assert first == near[0], caption
            found += 1
    assert found > 100
    assert missed <= 0.01 * (found + missed)


def test_case_punctuation_and_space_make_no_difference():
    finder = DuplicateFinder()
    assert finder.add("a", "A cat sleeps, on a sofa.") is None
    assert finder.add("b", "a CAT sleeps on\na sofa") == "a"
    assert finder.add("c", "A dog sleeps on a sofa.") is None
    assert finder.add("d", "一只猫坐着。") is None
    assert finder.add("e", "一只猫坐着") == "d"


def test_what_is_no_utf8_is_compared_too():
    finder = DuplicateFinder()
    assert finder.add("\udcff", "A cat\ud800 sleeps on a sofa.") is None
    assert finder.add("b", "A cat\ud800 sleeps on a sofa.") == "\udcff"


def test_captions_of_one_pattern_take_no_time_to_speak_of_and_repeats_are_found_among_them():
    """Thousands that share bands: the suite's patience is the limit on what grows with the square."""
    finder = DuplicateFinder()
    captions = [f"Caption {number} has five words." for number in range(6000)]
    assert [finder.add(str(number), caption) for number, caption in enumerate(captions)] == [None] * 6000
    assert [finder.add("again", captions[number]) for number in (0, 777, 5999)] == ["0", "777", "5999"]


def test_captions_without_words_are_nobodys_duplicates():
    finder = DuplicateFinder()
    assert [finder.add(str(n), caption) for n, caption in enumerate(["", "!!!", "", "!!!"])] == [None] * 4
