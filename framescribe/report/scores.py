"""What the page says of scores: their histograms with thresholds, and the clips just inside and outside of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from framescribe.dataset.dataset import Dataset
from framescribe.dataset.scored import CLIP_COLUMNS
from framescribe.profiles.filter import FilterReport, Outcome
from framescribe.profiles.threshold import Threshold
from framescribe.report.charts import Bar, Histogram
from framescribe.report.overview import Row
from framescribe.report.scales import Scale, Spread, written
from framescribe.scores.catalogue import SCORERS
from framescribe.scores.scorer import Score

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

EDGE_CLIPS = 3
"""Clips that are shown on either side of a threshold."""

_CLIP = ("clip_id", "source_video", "start_s", "end_s")
_KNOWN = {score.name: score for scorer in SCORERS for score in scorer.scores}
_OPPOSITE = {">=": "<", ">": "<=", "<=": ">", "<": ">="}


@dataclass(frozen=True, slots=True)
class Edge:
    """Clips on one side of a threshold, nearest first."""

    is_inside: bool
    clips: list[Row]


@dataclass(frozen=True, slots=True)
class Limit:
    """A threshold with what it does, and the clips beside it."""

    outcome: Outcome
    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class ScoreChart:
    """One score of all clips.

    Attributes:
        score: what it means.
        clips: that have it.
        histogram: None where no clip has it.
        limits: the thresholds on it.
    """

    score: Score
    clips: int
    histogram: Histogram | None
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class Scores:
    """What the page says of scores.

    Attributes:
        clips: that were scored.
        failed: of them, those that a scorer failed of.
        filter: what the chosen thresholds do; None where none are chosen.
        limited: scores with thresholds.
        others: the other ones.
    """

    clips: int
    failed: int
    filter: FilterReport | None
    limited: list[ScoreChart]
    others: list[ScoreChart]

    @property
    def shown(self) -> Iterator[Row]:
        """The clips beside thresholds; some may be there more than once."""
        limits = chain.from_iterable(chart.limits for chart in self.limited)
        return (clip for limit in limits for edge in limit.edges for clip in edge.clips)


def scores_of(dataset: Dataset, chosen: FilterReport | None) -> Scores:
    """Counts the scores of a folder's clips.

    Args:
        dataset: of scored clips.
        chosen: what thresholds do with them.
    """
    names = [name for name in dataset.columns if name not in CLIP_COLUMNS]
    outcomes = chosen.outcomes if chosen else ()
    limited = list(dict.fromkeys(each.threshold.score for each in outcomes))
    with dataset.database([*_CLIP, "error_message", *names]) as rows:
        rows.execute("CREATE TEMP TABLE scored AS SELECT * FROM rows")
        clips, failed = _one(rows, "SELECT count(*), count(error_message) FROM scored")
        return Scores(
            clips,
            failed,
            chosen,
            [
                _chart(rows, name, [each for each in outcomes if each.threshold.score == name], names)
                for name in limited
            ],
            [_chart(rows, name, [], names) for name in names if name not in limited],
        )


def _one(rows: DuckDBPyConnection, query: str) -> Any:
    return rows.execute(query).fetchone()


def _chart(
    rows: DuckDBPyConnection, name: str, outcomes: Sequence[Outcome], present: Sequence[str]
) -> ScoreChart:
    score = _KNOWN.get(name, Score(name, "", "", ""))
    thresholds = [each.threshold for each in outcomes]
    values, scale, counts = _counted(rows, name, thresholds) if name in present else (0, None, {})
    if scale is None:
        return ScoreChart(score, values, None, tuple(Limit(each, ()) for each in outcomes))
    on = [each.threshold for each in outcomes if each.is_on]
    bars = [_marked(bar, on) for bar in scale.bars(counts)]
    marks = [(each.value, f"{each.operator} {written(each.value)}") for each in thresholds]
    limits = tuple(Limit(each, _edges(rows, each.threshold)) for each in outcomes)
    return ScoreChart(score, values, Histogram(bars, scale.ticks(bars), marks), limits)


def _counted(
    rows: DuckDBPyConnection, name: str, thresholds: Sequence[Threshold]
) -> tuple[int, Scale | None, dict[int, int]]:
    values, *spread = _one(
        rows,
        f"""SELECT count(x), min(x), max(x), quantile_disc(x, 0.01), quantile_disc(x, 0.99)
        FROM (SELECT "{name}" AS x FROM scored WHERE isfinite("{name}"))""",
    )
    if not values:
        return 0, None, {}
    scale = Scale.of(Spread(*spread), [each.value for each in thresholds])
    # What lies beyond the scale is counted together, however far away it is.
    place = f'least(greatest(floor("{name}" / {scale.width}), {scale.first - 1}), {scale.last + 1})'
    counted = f'SELECT CAST({place} AS BIGINT), count(*) FROM scored WHERE isfinite("{name}") GROUP BY ALL'
    return values, scale, dict(rows.execute(counted).fetchall())


def _marked(bar: Bar, thresholds: Sequence[Threshold]) -> Bar:
    """The bar, dropped where all of it lies beyond a threshold."""
    near = (bar.end - bar.start) * 1e-6
    is_dropped = any(
        bar.end <= each.value + near if each.is_lower else bar.start >= each.value - near
        for each in thresholds
    )
    return replace(bar, is_dropped=is_dropped)


def _edges(rows: DuckDBPyConnection, threshold: Threshold) -> tuple[Edge, ...]:
    """Clips just outside, then just inside."""
    inside = Edge(True, _nearest(rows, threshold, threshold.operator))
    outside = Edge(False, _nearest(rows, threshold, _OPPOSITE[threshold.operator]))
    return outside, inside


def _nearest(rows: DuckDBPyConnection, threshold: Threshold, operator: str) -> list[Row]:
    score, value = threshold.score, threshold.value
    found = rows.execute(
        f"""SELECT {", ".join(_CLIP)}, "{score}" AS value FROM scored WHERE "{score}" {operator} {value!r}
        ORDER BY abs("{score}" - {value!r}), clip_id LIMIT {EDGE_CLIPS}"""
    ).fetchall()
    return [dict(zip((*_CLIP, "value"), clip, strict=True)) for clip in found]
