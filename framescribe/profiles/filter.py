"""What thresholds would keep and drop of the clips that a folder has scores of: a view, nothing is deleted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

from framescribe.dataset.dataset import Dataset
from framescribe.dataset.scored import CLIP_COLUMNS
from framescribe.errors import UsageError
from framescribe.profiles.profile import Missing, Profile, find_profile, near
from framescribe.profiles.threshold import Threshold, overridden
from framescribe.scores.catalogue import SCORERS
from framescribe.shown import shown_value


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one threshold does.

    Attributes:
        threshold: which.
        is_on: whether it counts. One on a score that is only the nearest to what its source measures does not, unless
            that is asked for.
        kept, dropped: clips on either side of it.
        unknown: clips that have no such value.
        dropped_alone: clips that it drops, and no other threshold that is on.
    """

    threshold: Threshold
    is_on: bool
    kept: int
    dropped: int
    unknown: int
    dropped_alone: int


@dataclass(frozen=True, slots=True)
class FilterReport:
    """What thresholds keep of a folder's scored clips.

    Every clip is one of three: kept, where all thresholds that are on hold; dropped, where one does not; unknown, where
    none is known to fail, but a value is missing.

    Attributes:
        profile: whose thresholds they are; None where they are only one's own.
        clips: how many there are.
        kept, dropped, unknown: of them.
        outcomes: of each threshold.
        where: the SQL condition for which ``caption``, ``rows`` and ``export`` take the clips that are kept, and the
            unknown ones where that was asked for; empty where no threshold is on.
    """

    profile: Profile | None
    clips: int
    kept: int
    dropped: int
    unknown: int
    outcomes: tuple[Outcome, ...]
    where: str

    @property
    def missing(self) -> tuple[Missing, ...]:
        """What the profile's source filters by as well, and is not measured here."""
        return self.profile.missing if self.profile else ()

    @property
    def to_measure(self) -> tuple[str, ...]:
        """Names of the scorers that would give thresholds a value, where no clip has one."""
        without = {each.threshold.score for each in self.outcomes if each.unknown == self.clips}
        return tuple(each.name for each in SCORERS if any(score.name in without for score in each.scores))


def filter(
    folder: str | PathLike[str],
    profile: str | PathLike[str] | Profile | None = None,
    thresholds: str | Iterable[str | Threshold] = (),
    *,
    use_nearest: bool = False,
    keep_unknown: bool = False,
) -> FilterReport:
    """Counts what a profile's thresholds, and one's own, would keep and drop. Nothing is changed.

    >>> report = framescribe.filter("captions/", "allegro", ["motion >= 2"])  # doctest: +SKIP
    >>> dataset.export("musubi", "set", where=report.where)  # doctest: +SKIP

    Args:
        folder: with scores, as ``framescribe.score`` writes them.
        profile: name of a published one, or the path of a ``.toml`` file; None: only ``thresholds``.
        thresholds: one's own, ``motion >= 2``: each takes the place of the profile's on the same side of its score.
        use_nearest: whether the profile's thresholds on scores that are only the nearest to what its source measures
            count too.
        keep_unknown: whether ``where`` takes clips as well that have no value for a threshold.

    Raises:
        UsageError: there is no such profile or score, no threshold is named, or the folder has no scores.
    """
    found = None if profile is None else find_profile(profile)
    chosen = chosen_thresholds(found, thresholds)
    if not chosen and found is None:
        raise UsageError("name a `profile`, or `thresholds` such as motion>=2")
    dataset = Dataset.scored(str(folder))
    check_scores(chosen, dataset.columns)
    on = [use_nearest or not each.instead_of for each in chosen]
    counts = _counts(dataset, chosen, on)
    outcomes = tuple(
        Outcome(each, is_on, *counts[4 * place + 4 : 4 * place + 8])
        for place, (each, is_on) in enumerate(zip(chosen, on, strict=True))
    )
    where = where_of((each.threshold for each in outcomes if each.is_on), keep_unknown=keep_unknown)
    clips, kept, dropped, unknown = counts[:4]
    return FilterReport(found, clips, kept, dropped, unknown, outcomes, where)


def chosen_thresholds(profile: Profile | None, own: str | Iterable[str | Threshold]) -> list[Threshold]:
    """A profile's thresholds with one's own.

    Raises:
        UsageError: one of these means none.
    """
    texts = [own] if isinstance(own, str) else own
    parsed = [each if isinstance(each, Threshold) else Threshold.parse(each) for each in texts]
    return overridden(profile.thresholds if profile else (), parsed)


def check_scores(thresholds: Iterable[Threshold], columns: Sequence[str]) -> None:
    """Raises UsageError for a threshold on a score that neither exists nor is among a folder's columns."""
    known = dict.fromkeys(score.name for scorer in SCORERS for score in scorer.scores)
    known |= dict.fromkeys(name for name in columns if name not in CLIP_COLUMNS)
    for each in thresholds:
        if each.score not in known:
            raise UsageError(
                f"there is no score {shown_value(each.score)}{near(each.score, known)}; there are {', '.join(known)}"
            )


def where_of(thresholds: Iterable[Threshold], *, keep_unknown: bool = False) -> str:
    """The SQL condition that holds where all thresholds do."""
    return " AND ".join(f"({each.sql}) IS NOT FALSE" if keep_unknown else each.sql for each in thresholds)


def _counts(dataset: Dataset, thresholds: Sequence[Threshold], on: Sequence[bool]) -> list[int]:
    """All clips, those kept, dropped and unknown; then of each threshold kept, dropped, unknown, and dropped alone.

    One pass over the scores. A score that no clip has is null.
    """
    present = set(dataset.columns)
    tests = [each.sql if each.score in present else "CAST(NULL AS BOOLEAN)" for each in thresholds]
    marked = ", ".join(f"{test} AS t{place}" for place, test in enumerate(tests))
    fails = " + ".join(["0", *(f"(t{place} IS FALSE)::INT" for place, is_on in enumerate(on) if is_on)])
    unknowns = " + ".join(["0", *(f"(t{place} IS NULL)::INT" for place, is_on in enumerate(on) if is_on)])
    sums = ["count(*)", "fails = 0 AND unknowns = 0", "fails > 0", "fails = 0 AND unknowns > 0"]
    for place, is_on in enumerate(on):
        alone = f"t{place} IS FALSE AND fails = {int(is_on)}"
        sums += [f"t{place} IS TRUE", f"t{place} IS FALSE", f"t{place} IS NULL", alone]
    counted = ", ".join(each if each == "count(*)" else f"count(*) FILTER ({each})" for each in sums)
    columns = [*dict.fromkeys(each.score for each in thresholds if each.score in present)] or ["clip_id"]
    selected = f"SELECT {marked or 'true AS t'} FROM rows"
    sql = f"SELECT {counted} FROM (SELECT *, {fails} AS fails, {unknowns} AS unknowns FROM ({selected}))"
    with dataset.database(columns) as rows:
        answer: Any = rows.execute(sql).fetchone()
    return [int(number) for number in answer]
