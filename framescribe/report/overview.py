"""Rows to what the page says of all of them: a few queries, whose answers are counts and a handful of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from framescribe.quality.duplicates import DuplicateFinder
from framescribe.quality.words import count_words_sql
from framescribe.report.charts import nice_step

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Row = Mapping[str, Any]

MAX_COMPARED = 50_000
"""Up to so many captions are compared with each other; of more, only those of the same text are found."""

_MAX_SETTINGS, _MAX_REPEATS, _MAX_RATE_BARS = 5, 10, 40
_MADE_BY = (
    "model", "model_revision", "precision", "strategy", "num_frames", "template", "prompt",
    "max_new_tokens", "temperature", "top_p", "repetition_penalty", "seed", "stop_loops", "engine_version",
)  # fmt: skip
_KEY = "clip_id"

# All that is counted, without the texts, so that these are read once.
_FACTS = f"""CREATE TEMP TABLE facts AS SELECT
    {_KEY}, caption_status AS status, coalesce(flags, []) AS flags,
    duration_s, CASE WHEN duration_s > 0 THEN least(covered_s, duration_s) END AS covered_s,
    CASE WHEN caption <> '' THEN {count_words_sql("caption")} END AS words,
    CASE WHEN caption <> '' AND caption_status = 'success' THEN hash(lower(caption)) END AS text,
    CAST(epoch(TRY_CAST(created_at AS TIMESTAMP)) AS BIGINT) AS second
FROM rows"""

# Rows whose caption an earlier one has, and which.
_REPEATS = "CREATE TEMP TABLE repeats (row BIGINT, first BIGINT)"
_SAME_TEXT = """INSERT INTO repeats SELECT facts.rowid, first
FROM facts JOIN (SELECT text, min(rowid) AS first FROM facts GROUP BY text HAVING count(*) > 1) USING (text)
WHERE facts.rowid <> first"""
_GOOD_CAPTIONS = f"""SELECT facts.rowid, caption FROM facts JOIN rows USING ({_KEY})
WHERE text IS NOT NULL ORDER BY facts.rowid"""
_MOST_REPEATED = f"""SELECT rows.clip_id, caption, clips
FROM (SELECT first, count(*) + 1 AS clips FROM repeats GROUP BY first ORDER BY clips DESC, first LIMIT {_MAX_REPEATS})
JOIN facts ON facts.rowid = first JOIN rows USING ({_KEY}) ORDER BY clips DESC, first"""

_IS_FLAGGED = "(len(flags) > 0 OR rowid IN (SELECT row FROM repeats))"
_TOTALS = f"""SELECT count(*) FILTER ({_IS_FLAGGED}), sum(duration_s) FILTER (covered_s IS NOT NULL), sum(covered_s)
FROM facts"""
_COUNTS = {
    "statuses": "SELECT status, count(*) FROM facts GROUP BY ALL",
    "flags": "SELECT flag, count(*) FROM (SELECT unnest(flags) AS flag FROM facts) GROUP BY flag",
    "words": "SELECT words, count(*) FROM facts WHERE words IS NOT NULL GROUP BY ALL",
    "coverage": """SELECT least(9, CAST(floor(10 * covered_s / duration_s) AS INTEGER)) AS tenth, count(*)
        FROM facts WHERE covered_s IS NOT NULL GROUP BY ALL""",
}
# Clip ids are hashes: the smallest ones are a fair draw, and the same one every time.
_DRAWN = (
    f"SELECT rowid FROM facts WHERE {{}} (status = 'success' AND NOT {_IS_FLAGGED}) ORDER BY {_KEY} LIMIT ?"
)
_CLIPS = f"""SELECT facts.rowid IN (SELECT row FROM repeats), rows.* FROM facts JOIN rows USING ({_KEY})
WHERE facts.rowid IN (SELECT unnest(?))"""


@dataclass(frozen=True, slots=True)
class Rate:
    """When rows were made, in seconds since 1970: ``counts`` by the first second of each step, in order."""

    first_s: int
    last_s: int
    step_s: int
    counts: dict[int, int]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A caption that several clips have; ``clip_id`` is the first one's."""

    clip_id: str
    caption: str
    clips: int


@dataclass(frozen=True, slots=True)
class Overview:
    """A run, counted.

    Attributes:
        statuses, flags: rows that have each.
        flagged: rows with any flag.
        words: rows by the number of words in their caption.
        coverage: rows by the tenth of their clip, 0 to 9, that the frames stand for; 9 is all of it, too.
        duration_s, covered_s: of all clips together, and the part of it that the frames stand for.
        rate: when the rows were made; None where no row says.
        made_by: settings, and how many rows were made by them; the most frequent ones.
        repeats: the captions that the most clips have.
        is_near: whether captions that are nearly alike count as repeats; see ``MAX_COMPARED``.
        clips: rows to show, by clip id.
    """

    statuses: Counter[str]
    flags: Counter[str]
    flagged: int
    words: Counter[int]
    coverage: Counter[int]
    duration_s: float
    covered_s: float
    rate: Rate | None
    made_by: list[tuple[Row, int]]
    repeats: list[Repeat]
    is_near: bool
    clips: list[Row]

    @property
    def rows(self) -> int:
        return self.statuses.total()


def overview_of(rows: DuckDBPyConnection, max_clips: int) -> Overview:
    """Counts rows and picks clips to show: half of them good ones, half with a problem, as far as there are.

    Args:
        rows: a connection that has a view ``rows``, with the columns of ``CaptionRow``; tables are added to it.
        max_clips: how many clips to pick at most; the same ones every time.
    """
    rows.execute(_FACTS)
    is_near = _find_repeats(rows)
    counts = {name: Counter(dict(rows.execute(query).fetchall())) for name, query in _COUNTS.items()}
    if repeats := _one(rows, "SELECT count(*) FROM repeats")[0]:
        counts["flags"]["duplicate"] += repeats
    flagged, duration_s, covered_s = _one(rows, _TOTALS)
    return Overview(
        **counts,
        flagged=flagged,
        duration_s=duration_s or 0.0,
        covered_s=covered_s or 0.0,
        rate=_rate(rows),
        made_by=_made_by(rows),
        repeats=[Repeat(*found) for found in rows.execute(_MOST_REPEATED).fetchall()],
        is_near=is_near,
        clips=_draw(rows, max_clips),
    )


def _one(rows: DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    answer = rows.execute(query).fetchone()
    assert answer is not None
    return answer


def _find_repeats(rows: DuckDBPyConnection) -> bool:
    """Fills the table ``repeats``; whether with captions that are nearly alike."""
    rows.execute(_REPEATS)
    if _one(rows, "SELECT count(text) FROM facts")[0] > MAX_COMPARED:
        rows.execute(_SAME_TEXT)
        return False
    finder = DuplicateFinder()
    found = [(row, finder.add(str(row), caption)) for row, caption in rows.execute(_GOOD_CAPTIONS).fetchall()]
    if repeats := [(row, int(first)) for row, first in found if first is not None]:
        rows.execute("INSERT INTO repeats SELECT unnest(?), unnest(?)", list(zip(*repeats, strict=True)))
    return True


def _rate(rows: DuckDBPyConnection) -> Rate | None:
    first, last = _one(rows, "SELECT min(second), max(second) FROM facts")
    if first is None:
        return None
    step = nice_step((last + 1 - first) / _MAX_RATE_BARS)
    counted = "SELECT (second - ?) // ?, count(*) FROM facts WHERE second IS NOT NULL GROUP BY ALL"
    counts = dict(rows.execute(counted, [first, step]).fetchall())
    starts = range(first, last + 1, step)
    return Rate(first, last, step, {start: counts.get(place, 0) for place, start in enumerate(starts)})


def _made_by(rows: DuckDBPyConnection) -> list[tuple[Row, int]]:
    counted = f"SELECT {', '.join(_MADE_BY)}, count(*) AS number FROM rows GROUP BY ALL"
    found = rows.execute(f"FROM ({counted}) ORDER BY number DESC LIMIT {_MAX_SETTINGS}").fetchall()
    return [(dict(zip(_MADE_BY, made, strict=True)), number) for *made, number in found]


def _draw(rows: DuckDBPyConnection, most: int) -> list[Row]:
    """Rows to show, with the flag ``duplicate`` where it is due."""
    good, bad = (rows.execute(_DRAWN.format(kind), [most]).fetchall() for kind in ("", "NOT"))
    num_bad = min(len(bad), max(most // 2, most - len(good)))
    drawn = [row for (row,) in bad[:num_bad] + good[: most - num_bad]]
    found = rows.execute(_CLIPS, [drawn])
    names = [column[0] for column in found.description or ()]
    clips = []
    for is_repeat, *values in found.fetchall():
        row = dict(zip(names[1:], values, strict=True))
        clips.append(row | {"flags": [*(row["flags"] or ()), "duplicate"]} if is_repeat else row)
    return sorted(clips, key=lambda row: str(row[_KEY]))
