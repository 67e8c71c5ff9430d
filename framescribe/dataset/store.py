"""The folder of a dataset: its tables, what its runs were, and which clips they have captioned."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from framescribe.dataset.folder import Folder
from framescribe.dataset.schema import CAPTIONS
from framescribe.dataset.table import Table, shard_number
from framescribe.errors import UsageError
from framescribe.shown import shown

Redo = Literal["failed", "flagged"]
RUN_FILE, LOCK_FILE, CLIPS_FILE = "_run.json", "_lock", "_todo.parquet"
"""What lies beside the rows, under names that Arrow, and so pandas, skips when it reads the folder."""
OLD_NAMES = {RUN_FILE: "run.json", LOCK_FILE: "lock"}
"""As they were named at first."""


class RowFolder(Folder):
    """The folder of a dataset.

    Args:
        target: path or URL; need not exist yet.

    Attributes:
        table: the captions.

    Raises:
        UsageError: no package is there to open such a URL, or it names another host.
    """

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.table = Table(self, CAPTIONS)
        self.append, self.shards, self.next_number = (
            self.table.append,
            self.table.shards,
            self.table.next_number,
        )
        self.num_rows, self.size_bytes = self.table.num_rows, self.table.size_bytes

    def exists(self) -> bool:
        """Whether there is a run's description or a shard."""
        return self.has(RUN_FILE) or self.has(OLD_NAMES[RUN_FILE]) or bool(self.shards())

    def prepare(self) -> None:
        """Makes the folder; removes nothing.

        Raises:
            UsageError: it cannot be made or written, or holds what no run wrote.
        """
        ours = {CAPTIONS.name, RUN_FILE, LOCK_FILE, *OLD_NAMES.values()}
        others = (
            []
            if self.exists()
            else [name for name in self.list() if name not in ours and name[0] not in "._"]
        )
        if others:
            raise UsageError(
                f"{shown(self.name)} holds {shown(others[0])}, but no rows; name a new or empty folder"
            )
        self.make(CAPTIONS.name)

    def clean(self) -> None:
        """Removes what killed runs left half written. Only who holds the folder's lock may."""
        for name in ("", CAPTIONS.name):
            self.remove_leftovers(name)

    def done(self, run: str, others: Collection[str] = (), prompts: int = 1) -> dict[str, str | None]:
        """Clips that ``run`` has all rows for, which no row of ``others`` has replaced, with their sources' hashes.

        Args:
            run, others: fingerprints. A row of a run that is none of them, such as one that mended a caption, leaves a
                clip as done as it was.
            prompts: how many rows a clip has.

        The value is the hash; empty if the clip failed before there was one; None if none was asked for.

        Raises:
            UsageError: a shard is damaged, or written by a newer framescribe. So do the methods below.
        """
        found: list[dict[str, str | None]] = [{} for _ in range(prompts)]
        wanted = ["clip_id", "prompt_index", "caption_status", "source_sha256"]
        for made_by, batch in self.table.all_batches(self.shards(), wanted):
            columns = [batch[name].to_pylist() for name in wanted]
            for clip_id, prompt_index, status, sha256 in zip(*columns, strict=True):
                if not 0 <= prompt_index < prompts:
                    continue
                of_prompt = found[prompt_index]
                if made_by in others:
                    of_prompt.pop(clip_id, None)
                elif made_by == run or clip_id in of_prompt:
                    of_prompt[clip_id] = sha256 or ("" if status == "error" else None)
        first, *more = found
        return {clip_id: sha256 for clip_id, sha256 in first.items() if all(clip_id in each for each in more)}

    def clip_ids(self, since: int) -> set[str]:
        """Ids of all clips in the shards from number ``since`` on."""
        shards = [shard for shard in self.shards() if shard_number(shard) >= since]
        batches = self.table.all_batches(shards, ["clip_id"])
        return {id for _, batch in batches for id in batch["clip_id"].to_pylist()}

    def chosen(self, redo: Redo) -> set[str]:
        """Ids of the clips whose last row failed or has a flag."""
        rows = self.table.rows(["clip_id", "caption_status", "flags"])
        if redo == "failed":
            return {row["clip_id"] for row in rows if row["caption_status"] == "error"}
        return {row["clip_id"] for row in rows if row["flags"]}
