"""Which captions the engine would end as loops: none of many good ones, and planted loops how soon?

    python -m benchmarks.loops TEXTS… --tokenizer FOLDER --json benchmarks/results/loops.json

Good ones: 20,000 captions of the synthetic world, the long captions of the tests, and the texts of the files named,
divided by lines of ``%`` (fortune files) or empty lines. White space becomes single spaces, as captions have it; texts
with drawn lines (a sign eight times in a row) or of less than six letters in ten characters are left out and counted.
``nearest`` is how near any comes: the longest stretch that is four times the same (96 tokens are certain), and the
fewest different tokens in 128 (12 are).

Planted: a word, phrase, sentence, paragraph or some characters, repeated after the beginning of a good caption to
2,048 tokens. ``late_at_most`` is how many tokens after the rule first holds they end. Tokens: the bundled model's, and
those of each FOLDER with a ``tokenizer.json``. Last line: JSON.
"""

from __future__ import annotations

import argparse
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import framescribe
from benchmarks.provenance import provenance, publish
from framescribe.engine.loops import CHECK_EVERY, certainly_loops
from framescribe.synthetic.captions import describe
from framescribe.synthetic.sampling import sample_facts
from framescribe.tokenizer import CaptionTokenizer
from tests.quality.captions import LONG_CAPTIONS

SYNTHETIC, PLANTED, LIMIT = 20_000, 1_000, 2048
DRAWN = re.compile(r"(\W)\1{7}")


def texts_of(path: Path) -> Iterator[str]:
    content = path.read_text(encoding="utf-8", errors="replace")
    divider = r"\n%+\n" if "\n%\n" in content else r"\n\s*\n"
    for text in re.split(divider, content):
        yield re.sub(r"\x1b\[[0-9;]*m", "", text)


def is_prose(text: str) -> bool:
    letters = sum(map(str.isalpha, text))
    return bool(text.strip()) and not DRAWN.search(text) and letters >= 0.6 * len("".join(text.split()))


def ends_at(ids: list[int], step: int) -> int | None:
    """After how many tokens the rule, looked at every ``step`` tokens, first holds."""
    return next((end for end in range(step, len(ids) + 1, step) if certainly_loops(ids[:end])), None)


def longest_repeat(ids: list[int]) -> int:
    """Of all stretches that are the same four times or more in a row, the longest, in tokens."""
    longest = 0
    for period in range(1, len(ids) // 4 + 1):
        run = 0
        for place in range(period, len(ids)):
            run = run + 1 if ids[place] == ids[place - period] else 0
            if run >= 3 * period:
                longest = max(longest, run + period)
    return longest


def fewest_in_128(ids: list[int]) -> int | None:
    return min((len(set(ids[end - 128 : end])) for end in range(128, len(ids) + 1)), default=None)


def plant(captions: list[str], rng: random.Random) -> tuple[str, str]:
    """A caption that loops, and the kind of its loop."""
    words = rng.choice(captions).split()
    head = " ".join(words[: rng.randrange(1, len(words))])
    kind = rng.choice(("word", "phrase", "sentence", "paragraph", "characters"))
    part = {
        "word": lambda: f" {rng.choice(words)}",
        "phrase": lambda: " " + " ".join(rng.choices(words, k=rng.randrange(2, 12))),
        "sentence": lambda: " " + rng.choice(captions).split(". ")[0] + ".",
        "paragraph": lambda: " " + " ".join(rng.choices(captions, k=3)),
        "characters": lambda: rng.choice(("a", "ha", "JEANS", "0x", "!", "的", "猫在跑")),
    }[kind]()
    return head + part * (4 * LIMIT // len(part)), kind


def measure(encode: Callable[[str], list[int]], good: dict[str, list[str]], seed: int) -> dict[str, Any]:
    cut: list[str] = []
    tokens = 0
    repeat: tuple[int, str] = (0, "")
    fewest: tuple[int, str] = (129, "")
    for texts in good.values():
        for text in texts:
            ids = encode(text)[:LIMIT]
            tokens += len(ids)
            if ends_at(ids, CHECK_EVERY):
                cut.append(text)
            repeat = max(repeat, (longest_repeat(ids[:256]), text[:80]))
            if (few := fewest_in_128(ids)) is not None:
                fewest = min(fewest, (few, text[:80]))
    rng = random.Random(seed)
    late, lengths, missed = Counter[str](), Counter[str](), Counter[str]()
    for _ in range(PLANTED):
        text, kind = plant([*LONG_CAPTIONS, *good["synthetic"][:1000]], rng)
        ids = encode(text)[:LIMIT]
        certain, end = ends_at(ids, 1), ends_at(ids, CHECK_EVERY)
        if certain is None or end is None:
            missed[kind] += 1
        else:
            late[kind] = max(late[kind], end - certain)
            lengths[kind] = max(lengths[kind], end)
    return {
        "good_texts": {name: len(texts) for name, texts in good.items()},
        "good_tokens": tokens,
        "good_cut": len(cut),
        "cut": [text[:60] for text in cut],
        "nearest": {"longest_repeat": repeat, "fewest_in_128": fewest},
        "planted": PLANTED,
        "planted_missed": dict(missed),
        "late_at_most": dict(late),
        "ended_after_at_most": dict(lengths),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("texts", nargs="*", type=Path)
    parser.add_argument("--tokenizer", nargs="*", type=Path, default=[])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    made_by = provenance()
    rng = random.Random(0)
    good = {
        "synthetic": [describe(sample_facts(rng), rng) for _ in range(SYNTHETIC)],
        "long": list(LONG_CAPTIONS),
    }
    left_out = 0
    for path in arguments.texts:
        texts = [text for text in texts_of(path) if text.strip()]
        good[path.name] = [" ".join(text.split()) for text in texts if is_prose(text)]
        left_out += len(texts) - len(good[path.name])
    folders = {"tiny": Path(framescribe.__file__).parent / "models" / "tiny"}
    folders |= {folder.name: folder for folder in arguments.tokenizer}
    results = {
        name: measure(CaptionTokenizer(folder).encode, good, seed)
        for seed, (name, folder) in zip(count(), folders.items(), strict=False)
    }
    publish(made_by | {"drawn_left_out": left_out, "tokenizers": results}, arguments.json)


if __name__ == "__main__":
    main()
