"""What people decided about captions, counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from framescribe.dataset.dataset import Dataset

DECIDED_COLUMNS = ("decision", "decision_reason", "edited_caption", "tags", "decision_is_stale")
_MOST = 10

_TABLE = """CREATE TEMP TABLE decided AS SELECT
    CASE WHEN decision_is_stale THEN 'stale' WHEN decision = 'accept' THEN 'accepted'
        WHEN decision = 'reject' THEN 'rejected' END AS verdict,
    decision_reason AS reason, edited_caption IS NOT NULL AS is_edited, tags
FROM rows WHERE decision IS NOT NULL OR edited_caption IS NOT NULL OR len(tags) > 0 OR decision_is_stale"""
_VERDICTS = "SELECT verdict, count(*) FROM decided WHERE verdict IS NOT NULL GROUP BY ALL"
_EDITED = "SELECT 'edited', count(*) FROM decided WHERE is_edited HAVING count(*) > 0"
_REASONS = f"""SELECT coalesce(reason, 'no reason given') AS said, count(*) AS rows FROM decided
WHERE verdict = 'rejected' GROUP BY ALL ORDER BY rows DESC, said LIMIT {_MOST}"""
_TAGS = f"""SELECT tag, count(*) AS rows FROM (SELECT unnest(tags) AS tag FROM decided)
GROUP BY ALL ORDER BY rows DESC, tag LIMIT {_MOST}"""


@dataclass(frozen=True, slots=True)
class Decided:
    """Rows by what was decided about them.

    Attributes:
        verdicts: rows that are accepted, rejected, stale (captioned anew since), and edited, as far as there are any.
        reasons: rejected rows by the reason; the most frequent ones.
        tags: rows by their tags; the most frequent ones.
    """

    verdicts: Counter[str]
    reasons: Counter[str]
    tags: Counter[str]


def has_decisions(dataset: Dataset) -> bool:
    """Whether its rows have what a folder says of decisions, and no columns of anyone's by these names."""
    kinds = {field.name: str(field.type) for field in dataset.schema}
    return set(DECIDED_COLUMNS) <= set(kinds) and kinds["tags"].startswith("list")


def decided_of(dataset: Dataset) -> Decided | None:
    """The counts; None where nothing was decided."""
    if not has_decisions(dataset):
        return None
    with dataset.database(DECIDED_COLUMNS) as rows:
        rows.execute(_TABLE)
        verdicts, edited, reasons, tags = (
            dict(rows.execute(query).fetchall()) for query in (_VERDICTS, _EDITED, _REASONS, _TAGS)
        )
    decided = Decided(Counter(verdicts | edited), Counter(reasons), Counter(tags))
    return decided if decided.verdicts or decided.tags else None
