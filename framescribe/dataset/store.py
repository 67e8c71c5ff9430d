"""The folder of a dataset: its tables, what its runs were, and which clips they have captioned."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from framescribe.dataset.decision_log import DecisionLog
from framescribe.dataset.decision_state import DecisionStates
from framescribe.dataset.folder import Folder
from framescribe.dataset.schema import CAPTIONS, DECISIONS, FEATURES, REWRITES, SCORES
from framescribe.dataset.table import Table, shard_number
from framescribe.errors import UsageError
from framescribe.shown import shown

Redo = Literal["failed", "flagged", "rejected", "imported"]
IMPORTED = "imported"
"""In place of a run's fingerprint: these captions were made elsewhere."""
RUN_FILE, LOCK_FILE, CLIPS_FILE = "_run.json", "_lock", "_todo.parquet"
"""What lies beside the rows, under names that Arrow, and so pandas, skips when it reads the folder."""
OLD_NAMES = {RUN_FILE: "run.json", LOCK_FILE: "lock"}
"""As they were named at first."""


def row_key(clip_id: str, prompt_index: int | None) -> str:
    """Names a row: a clip's id, and behind it the prompt's place, unless that is the first."""
    return f"{clip_id}\0{prompt_index}" if prompt_index else clip_id


class RowFolder(Folder):
    """The folder of a dataset.

    Args:
        target: path or URL; need not exist yet.

    Attributes:
        table: the captions.
        scores: of its clips.
        features: of its clips.
        rewrites: of its captions.

    Raises:
        UsageError: no package is there to open such a URL, or it names another host.
    """

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.table = Table(self, CAPTIONS)
        self.scores = Table(self, SCORES)
        self.features = Table(self, FEATURES)
        self.rewrites = Table(self, REWRITES)
        self._tables = self.table, self.scores, self.features, self.rewrites

    def exists(self) -> bool:
        """Whether there is a run's description or a shard of captions."""
        return self.has(RUN_FILE) or self.has(OLD_NAMES[RUN_FILE]) or bool(self.table.shards())

    def has_any(self) -> bool:
        """Whether there are captions, or any other of a dataset's tables."""
        return self.exists() or any(table.shards() for table in self._tables)

    def prepare(self) -> None:
        """Makes the folder and the table of captions; removes nothing.

        Raises:
            UsageError: it cannot be made or written, or holds what no run wrote.
        """
        names = (table.schema.name for table in self._tables)
        ours = {*names, DECISIONS.name, RUN_FILE, LOCK_FILE, *OLD_NAMES.values()}
        others = (
            []
            if self.has_any()
            else [name for name in self.list() if name not in ours and name[0] not in "._"]
        )
        if others:
            raise UsageError(
                f"{shown(self.name)} holds {shown(others[0])}, but no rows; name a new or empty folder"
            )
        self.table.make()

    def clean(self) -> None:
        """Removes what killed runs left half written. Only who holds the folder's lock may, not the decisions'."""
        for name in ("", *(table.schema.name for table in self._tables)):
            self.remove_leftovers(name)

    def done(self, run: str, others: Collection[str] = ()) -> dict[str, str | None]:
        """Keys that ``run`` has rows for, which no row of ``others`` has replaced, and what their sources' bytes were.

        Args:
            run, others: fingerprints. A row of a run that is none of them, such as one that mended a caption, leaves a
                clip as done as it was; an imported one makes it done.

        The value is the hash; empty if the clip failed before there was one; None if none was asked for.

        Raises:
            UsageError: a shard is damaged, or written by a newer framescribe. So do the methods below.
        """
        found: dict[str, str | None] = {}
        wanted = ["clip_id", "prompt_index", "caption_status", "source_sha256"]
        for made_by, batch in self.table.all_batches(self.table.shards(), wanted):
            columns = [batch[name].to_pylist() for name in wanted]
            for clip_id, index, status, sha256 in zip(*columns, strict=True):
                key = row_key(clip_id, index)
                if made_by in others:
                    found.pop(key, None)
                elif made_by in (run, IMPORTED) or key in found:
                    found[key] = sha256 or ("" if status == "error" else None)
        return found

    def keys(self, since: int) -> set[str]:
        """Keys of all rows in the shards from number ``since`` on."""
        shards = [shard for shard in self.table.shards() if shard_number(shard) >= since]
        batches = self.table.all_batches(shards, ["clip_id", "prompt_index"])
        return {
            row_key(*key)
            for _, batch in batches
            for key in zip(batch["clip_id"].to_pylist(), batch["prompt_index"].to_pylist(), strict=True)
        }

    def chosen(self, redo: Redo) -> set[str]:
        """Keys of the rows that count and are to be captioned again.

        Of those that failed or have a flag, what people accepted or wrote stays; what they rejected is only what was
        rejected as it is now.
        """
        states = DecisionStates()
        states.take(DecisionLog(self).refresh())
        found = set()
        for row in self.table.rows(
            ["clip_id", "prompt_index", "caption", "caption_status", "flags", "imported_from"]
        ):
            decided, caption = states.of((row["clip_id"], row["prompt_index"])), row["caption"]
            verdict = decided.current_verdict(caption)
            stays = verdict == "accept" or decided.current_edit(caption) is not None
            if {
                "failed": row["caption_status"] == "error" and not stays,
                "flagged": bool(row["flags"]) and not stays,
                "rejected": verdict == "reject",
                "imported": row["imported_from"] is not None,
            }[redo]:
                found.add(row_key(row["clip_id"], row["prompt_index"]))
        return found
