"""Decisions as columns beside the captions that they were made on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from framescribe.dataset.decision_log import DecisionLog
from framescribe.dataset.decision_state import Decided, DecisionStates
from framescribe.dataset.folder import Folder
from framescribe.dataset.schema import DECISIONS
from framescribe.decision_row import RowKey

if TYPE_CHECKING:
    import pyarrow


KEYS = ("clip_id", "prompt_index", "caption")
"""What a decision on a caption is found by."""
_OF_A_CAPTION = {"edited_caption", "decision_is_stale"}
"""What also depends on the text of the caption, which takes long to read."""


class DecisionColumns:
    """What was decided about captions, read anew for each answer; no columns where there are no decisions.

    ``decision`` and the columns that go with it say what was decided last, also on an earlier caption of the row:
    ``decision_is_stale`` says so. ``edited_caption`` is the text that counts in place of the caption, so that there is
    none once the row is a newer one.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._log = DecisionLog(folder)
        self._states = DecisionStates()
        self._counting: tuple[int, dict[RowKey, Decided], list[str]] = 0, {}, []

    def fields(self) -> list[pyarrow.Field]:
        import pyarrow as pa

        if not self._folder.has(DECISIONS.name):
            return []
        text = pa.string()
        return [
            pa.field("decision", text),
            pa.field("decision_reason", text),
            pa.field("edited_caption", text),
            pa.field("tags", pa.list_(text)),
            pa.field("reviewer", text),
            pa.field("decided_at", text),
            pa.field("decision_is_stale", pa.bool_()),
        ]

    def keys(self, names: Sequence[str]) -> tuple[str, ...]:
        return KEYS if not _OF_A_CAPTION.isdisjoint(names) else KEYS[:2]

    def of(self, keys: pyarrow.RecordBatch, names: Sequence[str]) -> list[pyarrow.Array]:
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        decided, clips = self._counted()
        are_decided = pc.is_in(keys["clip_id"], value_set=pa.array(clips, pa.string()))
        rows = np.flatnonzero(are_decided.to_numpy(zero_copy_only=False))
        columns: dict[str, list[Any]] = {name: [_UNDECIDED[name]] * len(keys) for name in names}
        for number, key in zip(rows.tolist(), keys.take(pa.array(rows)).to_pylist(), strict=True):
            state = decided.get((key["clip_id"], key["prompt_index"]))
            if state is not None:
                values = decided_values(state, key.get("caption"))
                for name in names:
                    columns[name][number] = values[name]
        types = {field.name: field.type for field in self.fields()}
        return [pa.array(columns[name], types[name]) for name in names]

    def _counted(self) -> tuple[dict[RowKey, Decided], list[str]]:
        """What counts now by caption, and the clips; folded anew only after further entries."""
        entries = self._log.refresh()
        if len(entries) > self._counting[0]:
            self._states.take(entries)
            decided = self._states.all()
            self._counting = len(entries), decided, list({clip_id for clip_id, _ in decided})
        return self._counting[1:]


_UNDECIDED: dict[str, Any] = {
    "decision": None, "decision_reason": None, "edited_caption": None, "tags": (), "reviewer": None,
    "decided_at": None, "decision_is_stale": False,
}  # fmt: skip


def decided_values(state: Decided, caption: str | None) -> dict[str, Any]:
    """The columns of a row whose caption is now ``caption``."""
    return {
        "decision": state.verdict,
        "decision_reason": state.reason,
        "edited_caption": state.current_edit(caption),
        "tags": state.tags,
        "reviewer": state.reviewer,
        "decided_at": state.decided_at,
        "decision_is_stale": state.is_stale(caption),
    }
