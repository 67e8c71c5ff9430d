"""Which captions are decided on: rows that are named, or chosen by a condition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from framescribe.dataset.dataset import Dataset
from framescribe.dataset.store import RowFolder
from framescribe.decision_row import RowKey, caption_digest
from framescribe.errors import UsageError
from framescribe.shown import shown, shown_value

Row = str | tuple[str, int] | Mapping[str, Any]
Rows = Row | Iterable[Row] | None
Where = str | Sequence[str] | None
_COLUMNS = ("clip_id", "prompt_index", "caption")


@dataclass(frozen=True, slots=True)
class Selected:
    """A caption that is decided on.

    Attributes:
        key: clip id and prompt index of its row.
        caption: as the row has it.
    """

    key: RowKey
    caption: str | None

    @property
    def digest(self) -> str:
        return caption_digest(self.caption)


def select(folder: RowFolder, rows: Rows, where: Where) -> list[Selected]:
    """The captions that are meant, each once.

    Raises:
        UsageError: neither or both of ``rows`` and ``where`` are given, or there is no such row.
    """
    if (rows is None) == (where is None):
        raise UsageError("give `rows` or `where`")
    if where is not None:
        return [_selected(row) for row in Dataset(folder.name).rows(where, columns=_COLUMNS)]
    given = [rows] if isinstance(rows, str | Mapping) or _is_key(rows) else list(rows)  # type: ignore[arg-type]
    if all(isinstance(row, Mapping) and row.keys() >= {"clip_id", "caption"} for row in given):
        return list({each.key: each for each in map(_selected, given)}.values())
    wanted = dict.fromkeys(map(_key, given))
    found = {each.key: each for each in _all(folder) if each.key in wanted}
    if missing := next((key for key in wanted if key not in found), None):
        raise UsageError(f"{shown(folder.name)} has no row of clip {shown(missing[0])}, prompt {missing[1]}")
    return [found[key] for key in wanted]


def _all(folder: RowFolder) -> Iterator[Selected]:
    return map(_selected, folder.table.rows(list(_COLUMNS)))


def _selected(row: Any) -> Selected:
    return Selected(_key(row), row["caption"])


def _is_key(value: object) -> bool:
    return (
        isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str) and type(value[1]) is int
    )


def _key(row: object) -> RowKey:
    if isinstance(row, str):
        return row, 0
    if isinstance(row, Mapping) and isinstance(row.get("clip_id"), str):
        return row["clip_id"], row.get("prompt_index") or 0
    if isinstance(row, tuple) and _is_key(row):
        return row
    raise UsageError(
        f"`rows` takes clip ids, pairs of clip id and prompt index, or rows, not {shown_value(row)}"
    )
