"""Rewritten captions as columns beside the captions that they were made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from framescribe.dataset.decided import KEYS, DecisionColumns
from framescribe.dataset.table import Table
from framescribe.decision_row import caption_digest

if TYPE_CHECKING:
    import pyarrow

PREFIX = "variant_"
"""What the column of a variant is named, before the variant's name."""


class RewriteColumns:
    """A column of text for each variant, null where there is none, or only one of what the caption was before.

    Args:
        table: of rewrites.
        decisions: which have the edited captions.
    """

    def __init__(self, table: Table, decisions: DecisionColumns) -> None:
        self._table, self._decisions = table, decisions
        self._names: tuple[list[str], list[str]] = [], []
        self._texts: tuple[list[str], dict[str, dict[tuple[str, int], tuple[str, str]]]] = [], {}

    def fields(self) -> list[pyarrow.Field]:
        import pyarrow as pa

        shards = self._table.shards()
        if shards != self._names[0]:
            names: dict[str, None] = {}
            for batch in self._table.batches(["variant"]):
                names |= dict.fromkeys(batch["variant"].unique().to_pylist())
            self._names = shards, list(names)
        return [pa.field(f"{PREFIX}{name}", pa.string()) for name in self._names[1]]

    def keys(self, names: Sequence[str]) -> tuple[str, ...]:
        return KEYS

    def of(self, keys: pyarrow.RecordBatch, names: Sequence[str]) -> list[pyarrow.Array]:
        import pyarrow as pa

        texts = self._read()
        captions = keys["caption"].to_pylist()
        if self._decisions.fields():
            (edited,) = self._decisions.of(keys, ["edited_caption"])
            captions = [
                new if new is not None else old for new, old in zip(edited.to_pylist(), captions, strict=True)
            ]
        row_keys = list(zip(keys["clip_id"].to_pylist(), keys["prompt_index"].to_pylist(), strict=True))
        columns = []
        for name in names:
            of_variant = texts.get(name.removeprefix(PREFIX), {})
            found: list[Any] = [None] * len(keys)
            for number, (key, caption) in enumerate(zip(row_keys, captions, strict=True)):
                if (made := of_variant.get(key)) is not None and made[0] == caption_digest(caption):
                    found[number] = made[1]
            columns.append(pa.array(found, pa.string()))
        return columns

    def _read(self) -> dict[str, dict[tuple[str, int], tuple[str, str]]]:
        """By variant and caption: digest of what was rewritten, and the text; read once for the same shards."""
        shards = self._table.shards()
        if shards != self._texts[0]:
            texts: dict[str, dict[tuple[str, int], tuple[str, str]]] = {}
            for row in self._table.rows(["clip_id", "prompt_index", "variant", "caption_digest", "text"]):
                of_variant = texts.setdefault(row["variant"], {})
                if row["text"] is not None:
                    of_variant[row["clip_id"], row["prompt_index"]] = row["caption_digest"], row["text"]
            self._texts = shards, texts
        return self._texts[1]
