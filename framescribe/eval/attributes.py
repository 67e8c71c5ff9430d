"""How much of what synthetic clips show is told right: shares of attributes, seen and held-out clips apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from framescribe.synthetic.captions import parse
from framescribe.synthetic.facts import Facts, has_held_out_pair

ATTRIBUTES = ("subject", "motion", "order", "background", "camera", "exact")
SPLITS = ("seen", "held_out")
_RESAMPLES = 10_000


def judge(caption: str | None, facts: Facts) -> dict[str, bool | None]:
    """Which attributes a caption has right; a clip without a caption has none.

    Returns:
        For each of ``ATTRIBUTES``, right or wrong: ``subject``, all subjects, the main one as such; ``motion``, the
        main subject's motions, in any order; ``order``, their order as well, None where there is only one;
        ``background``; ``camera``; ``exact``, all of it and weather and sides too.
    """
    said = parse(caption or "")
    others_said = {companion.subject for companion in said.companions}
    others = {companion.subject for companion in facts.companions}
    right = {
        "subject": said.subject == facts.subject and others_said == others,
        "motion": sorted(said.motions) == sorted(facts.motions),
        "background": said.background == facts.background,
        "camera": said.camera == facts.camera,
    }
    in_order = said.motions == facts.motions
    sides = said.companions == frozenset(facts.companions)
    exact = all(right.values()) and in_order and sides and said.weather == facts.weather
    return {**right, "order": in_order if len(facts.motions) > 1 else None, "exact": exact}


@dataclass(frozen=True, slots=True)
class Share:
    """Right answers among those asked for, with a 95 % bootstrap interval; all None where none was asked for."""

    count: int
    share: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.share is None or self.low is None or self.high is None:
            return "-"
        return f"{100 * self.share:.1f} ({100 * self.low:.1f} to {100 * self.high:.1f}) of {self.count}"


@dataclass(frozen=True, slots=True)
class AttributeReport:
    """``shares[split][attribute]`` for each of ``SPLITS`` and ``ATTRIBUTES``."""

    shares: dict[str, dict[str, Share]]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: the shares under ``seen`` and ``held_out``; ``intervals`` and ``counts`` likewise inside."""

        def each(value: Any) -> dict[str, Any]:
            return {
                split: {name: value(share) for name, share in by_name.items()}
                for split, by_name in self.shares.items()
            }

        return {
            **each(lambda share: share.share),
            "intervals": each(lambda share: None if share.share is None else [share.low, share.high]),
            "counts": each(lambda share: share.count),
        }


def score_attributes(captions: Iterable[tuple[str | None, Facts]], *, seed: int = 0) -> AttributeReport:
    """Judges captions against facts.

    Args:
        captions: each clip's caption (None where it has none, which is wrong in everything) and facts.
        seed: of the bootstrap.
    """
    verdicts: dict[str, list[dict[str, bool | None]]] = {split: [] for split in SPLITS}
    for caption, facts in captions:
        verdicts["held_out" if has_held_out_pair(facts) else "seen"].append(judge(caption, facts))
    rng = np.random.default_rng(seed)
    return AttributeReport(
        {
            split: {
                name: _share([verdict[name] for verdict in verdicts[split] if verdict[name] is not None], rng)
                for name in ATTRIBUTES
            }
            for split in SPLITS
        }
    )


def _share(answers: Sequence[bool | None], rng: np.random.Generator) -> Share:
    count = len(answers)
    if count == 0:
        return Share(0, None, None, None)
    share = sum(map(bool, answers)) / count
    # Drawing as many answers again, with replacement, is a binomial draw.
    resampled = rng.binomial(count, share, _RESAMPLES) / count
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Share(count, share, float(low), float(high))
