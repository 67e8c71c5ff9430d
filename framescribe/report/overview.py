"""What the page says of all rows: two passes over the dataset, the second into a table of facts, which are counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from framescribe.dataset.dataset import Dataset
from framescribe.quality.duplicates import MAX_COMPARED, SAME_TEXT_SQL, DuplicateFinder
from framescribe.quality.words import count_words_sql
from framescribe.report.charts import nice_step
from framescribe.report.decided import DECIDED_COLUMNS, Decided, decided_of, has_decisions

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Row = Mapping[str, Any]

_MAX_SETTINGS, _MAX_REPEATS, _MAX_RATE_BARS = 5, 10, 40
_REPEAT_CHARS = 61  # one more than are shown
_MADE_BY = (
    "model", "model_revision", "precision", "strategy", "num_frames", "sample_fps", "template", "prompt",
    "max_new_tokens", "temperature", "top_p", "repetition_penalty", "seed", "stop_loops", "engine_version",
)  # fmt: skip
_SHOWN = (
    "clip_id", "source_video", "caption", "caption_status", "flags", "repairs", "error_message", "start_s", "end_s",
    "duration_s", "covered_s", "width", "height", "fps", "codec", "prompt",
)  # fmt: skip

_IS_GOOD = "(caption_status = 'success' AND coalesce(len(flags), 0) = 0)"
_SETTINGS = f"""SELECT {", ".join(_MADE_BY)}, count(*) AS number,
    sum(count(*)) OVER () AS total, sum(count(*) FILTER ({_IS_GOOD})) OVER () AS good
FROM rows GROUP BY ALL ORDER BY number DESC LIMIT {_MAX_SETTINGS}"""

# All that is counted, without long texts; and all of the rows that may be shown, which their ids' hashes draw.
_FACTS = """CREATE TEMP TABLE facts AS SELECT
    caption_status AS status, {is_good} AS is_good, coalesce(flags, []) AS flags,
    coalesce(prompt_index, 0) AS prompt_index,
    duration_s, CASE WHEN duration_s > 0 THEN least(covered_s, duration_s) END AS covered_s,
    CASE WHEN caption <> '' THEN {words} END AS words,
    CASE WHEN caption <> '' AND caption_status = 'success' THEN {same_text} END AS text,
    CASE WHEN $all_texts THEN caption ELSE left(caption, {repeat_chars}) END AS caption,
    CAST(epoch(TRY_CAST(created_at AS TIMESTAMP)) AS BIGINT) AS second,
    CASE WHEN hash(clip_id) <= CASE WHEN {is_good} THEN $good_below ELSE $bad_below END
        THEN to_json({{{shown}}}) END AS row
FROM rows"""

# Rows whose caption an earlier one has, and which.
_REPEATS = "CREATE TEMP TABLE repeats (repeat BIGINT, first BIGINT)"
_SAME_TEXT = """INSERT INTO repeats SELECT facts.rowid, first
FROM facts JOIN (SELECT text, min(rowid) AS first FROM facts GROUP BY text HAVING count(*) > 1) USING (text)
WHERE facts.rowid <> first"""
_MOST_REPEATED = f"""SELECT caption, clips
FROM (SELECT first, count(*) + 1 AS clips FROM repeats GROUP BY first ORDER BY clips DESC, first LIMIT {_MAX_REPEATS})
JOIN facts ON facts.rowid = first ORDER BY clips DESC, first"""

_IS_REPEAT = "rowid IN (SELECT repeat FROM repeats)"
_TOTALS = f"""SELECT count(*) FILTER (len(flags) > 0 OR {_IS_REPEAT}),
    sum(duration_s) FILTER (covered_s IS NOT NULL AND prompt_index = 0), sum(covered_s) FILTER (prompt_index = 0),
    count(DISTINCT prompt_index)
FROM facts"""
_COUNTS = {
    "statuses": "SELECT status, count(*) FROM facts GROUP BY ALL",
    "flags": "SELECT flag, count(*) FROM (SELECT unnest(flags) AS flag FROM facts) GROUP BY flag",
    "words": "SELECT words, count(*) FROM facts WHERE words IS NOT NULL GROUP BY ALL",
    "coverage": """SELECT least(9, CAST(floor(10 * covered_s / duration_s) AS INTEGER)) AS tenth, count(*)
        FROM facts WHERE covered_s IS NOT NULL AND prompt_index = 0 GROUP BY ALL""",
}
_DRAWN = f"""SELECT row, {_IS_REPEAT}, is_good AND NOT {_IS_REPEAT} AS good FROM facts WHERE row IS NOT NULL
ORDER BY hash(row->>'clip_id')"""


@dataclass(frozen=True, slots=True)
class Rate:
    """When rows were made, in seconds since 1970: ``counts`` by the first second of each step, in order."""

    first_s: int
    last_s: int
    step_s: int
    counts: dict[int, int]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A caption that several clips have, or its beginning."""

    caption: str
    clips: int


@dataclass(frozen=True, slots=True)
class Overview:
    """A run, counted.

    Attributes:
        statuses, flags: rows that have each.
        flagged: rows with any flag.
        prompts: how many prompts a clip was asked.
        words: rows by the number of words in their caption.
        coverage: clips by the tenth of each, 0 to 9, that the frames stand for; 9 is all of it, too.
        duration_s, covered_s: of all clips together, and the part of it that the frames stand for.
        rate: when the rows were made; None where no row says.
        made_by: settings, and how many rows were made by them; the most frequent ones.
        repeats: the captions that the most clips have.
        decided: what people decided about the rows; None where they did not.
        is_near: whether captions that are nearly alike count as repeats, not only those of the same text.
        clips: rows to show.
    """

    statuses: Counter[str]
    flags: Counter[str]
    flagged: int
    prompts: int
    words: Counter[int]
    coverage: Counter[int]
    duration_s: float
    covered_s: float
    rate: Rate | None
    made_by: list[tuple[Row, int]]
    repeats: list[Repeat]
    decided: Decided | None
    is_near: bool
    clips: list[Row]

    @property
    def rows(self) -> int:
        return self.statuses.total()


def overview_of(dataset: Dataset, max_clips: int, max_compared: int = MAX_COMPARED) -> Overview:
    """Counts rows and picks clips to show: half of them good ones, half with a problem, as far as there are.

    Args:
        dataset: any number of rows.
        max_clips: how many clips to pick at most; the same ones every time.
        max_compared: of more good captions, only those of the same text are found to repeat each other.

    Raises:
        UsageError: the rows cannot be read.
    """
    with dataset.database((*_MADE_BY, "caption_status", "flags")) as rows:
        settings = rows.execute(_SETTINGS).fetchall()
    made_by: list[tuple[Row, int]] = [
        (dict(zip(_MADE_BY, made, strict=True)), number) for *made, number, _, _ in settings
    ]
    total, good = map(int, settings[0][-2:] if settings else (0, 0))
    columns = (*_SHOWN, *(DECIDED_COLUMNS if has_decisions(dataset) else ()))
    with dataset.database((*columns, "prompt_index", "created_at")) as rows:
        is_near = good <= max_compared
        below = {
            "good_below": _draw_below(good, max_clips),
            "bad_below": _draw_below(total - good, max_clips),
        }
        rows.execute(_facts(columns), {"all_texts": is_near, **below})
        _find_repeats(rows, is_near)
        counts = {name: Counter(dict(rows.execute(query).fetchall())) for name, query in _COUNTS.items()}
        if repeats := _one(rows, "SELECT count(*) FROM repeats")[0]:
            counts["flags"]["duplicate"] += repeats
        flagged, duration_s, covered_s, prompts = _one(rows, _TOTALS)
        return Overview(
            **counts,
            flagged=flagged,
            prompts=prompts,
            duration_s=duration_s or 0.0,
            covered_s=covered_s or 0.0,
            rate=_rate(rows),
            made_by=made_by,
            repeats=[Repeat(*found) for found in rows.execute(_MOST_REPEATED).fetchall()],
            decided=decided_of(dataset),
            is_near=is_near,
            clips=_draw(rows, max_clips),
        )


def _facts(shown: Sequence[str]) -> str:
    return _FACTS.format(
        is_good=_IS_GOOD,
        words=count_words_sql("caption"),
        same_text=SAME_TEXT_SQL,
        repeat_chars=_REPEAT_CHARS,
        shown=", ".join(f"{name}: {name}" for name in shown),
    )


def _draw_below(count: int, most: int) -> int:
    """The 64-bit number that the hashes of several times ``most`` of ``count`` rows do not exceed, or of all."""
    return min(2**64 - 1, 2**64 * (4 * most + 40) // max(count, 1)) if most else 0


def _one(rows: DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    answer = rows.execute(query).fetchone()
    assert answer is not None
    return answer


def _find_repeats(rows: DuckDBPyConnection, is_near: bool) -> None:
    """Fills the table ``repeats``."""
    rows.execute(_REPEATS)
    if not is_near:
        rows.execute(_SAME_TEXT)
        return
    finder = DuplicateFinder()
    captions = rows.execute(
        "SELECT rowid, caption FROM facts WHERE text IS NOT NULL ORDER BY rowid"
    ).fetchall()
    found = [(row, finder.add(str(row), caption)) for row, caption in captions]
    if repeats := [(row, int(first)) for row, first in found if first is not None]:
        rows.execute("INSERT INTO repeats SELECT unnest(?), unnest(?)", list(zip(*repeats, strict=True)))


def _rate(rows: DuckDBPyConnection) -> Rate | None:
    first, last = _one(rows, "SELECT min(second), max(second) FROM facts")
    if first is None:
        return None
    step = nice_step((last + 1 - first) / _MAX_RATE_BARS)
    counted = "SELECT (second - ?) // ?, count(*) FROM facts WHERE second IS NOT NULL GROUP BY ALL"
    counts = dict(rows.execute(counted, [first, step]).fetchall())
    starts = range(first, last + 1, step)
    return Rate(first, last, step, {start: counts.get(place, 0) for place, start in enumerate(starts)})


def _draw(rows: DuckDBPyConnection, most: int) -> list[Row]:
    """Rows to show, with the flag ``duplicate`` where it is due."""
    good: list[Row] = []
    bad: list[Row] = []
    for text, is_repeat, is_good in rows.execute(_DRAWN).fetchall():
        row = json.loads(text)
        if is_repeat:
            row["flags"] = [*(row["flags"] or ()), "duplicate"]
        (good if is_good else bad).append(row)
    num_bad = min(len(bad), max(most // 2, most - len(good)))
    return sorted(bad[:num_bad] + good[: most - num_bad], key=lambda row: str(row["clip_id"]))
