"""What a run of rewriting is: one value, checked at once; and which captions it has still to rewrite."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from framescribe.dataset.dataset import Dataset
from framescribe.dataset.store import RowFolder
from framescribe.decision_row import RowKey, caption_digest
from framescribe.errors import UsageError
from framescribe.export.judged import COLUMNS, MENDED, Accept, exported_text
from framescribe.export.pair import Unusable
from framescribe.rewriting.recipe import Recipe

_READ = ("clip_id", "prompt_index", "caption", "caption_status", "flags", "error_message")
_MAX_CHARS = 20_000  # no caption is so long


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteRun:
    """A run; ``framescribe.rewrite`` says what each of its attributes does."""

    folder: str
    variant: str
    recipe: Recipe
    accept: Accept | None = None
    where: str | Sequence[str] = ()
    limit: int | None = None
    tries: int = 3
    redo: Literal["failed"] | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", self.variant) or self.variant == "caption":
            raise UsageError(
                f"`variant` is a name of a-z, 0-9 and _, other than caption, not {self.variant!r}"
            )
        for name in ("tries", "limit"):
            number = getattr(self, name)
            if number is not None and (type(number) is not int or number < 1):
                raise UsageError(f"`{name}` must be a whole number, at least 1, not {number!r}")
        if self.redo not in (None, "failed"):
            raise UsageError(f"`redo` takes failed, not {self.redo!r}")
        if self.accept not in (None, *get_args(Accept)):
            raise UsageError(f"`accept` takes {' or '.join(get_args(Accept))}, not {self.accept!r}")

    def captions(self) -> Iterator[tuple[RowKey, str]]:
        """The captions that may be rewritten: those that an export takes, whatever a rewrite mends."""
        dataset = Dataset(self.folder)
        decided = [name for name in COLUMNS if name in dataset.columns]
        for row in dataset.rows(self.where or None, columns=(*_READ, *decided)):
            try:
                text = exported_text(row, self.accept, MENDED)
            except Unusable:
                continue
            if len(text) <= _MAX_CHARS:
                yield (row["clip_id"], row["prompt_index"]), text

    def left(self, folder: RowFolder) -> Iterator[tuple[RowKey, str]]:
        """Those that have no row of this recipe yet, for the text that they have now."""
        done = {}
        columns = ["clip_id", "prompt_index", "variant", "caption_digest", "recipe", "text"]
        for row in folder.rewrites.rows(columns):
            if row["variant"] == self.variant and (row["text"] is not None or self.redo is None):
                done[row["clip_id"], row["prompt_index"]] = row["caption_digest"], row["recipe"]
        for key, text in self.captions():
            if done.get(key) != (caption_digest(text), self.recipe.digest):
                yield key, text
