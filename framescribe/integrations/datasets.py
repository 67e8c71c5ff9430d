"""A dataset folder in Hugging Face's ``datasets``, and the card that captions are published with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from framescribe.dataset.dataset import Dataset
from framescribe.extras import require

# By number of rows, as the hub has them.
_SIZES = (
    (10**3, "n<1K"),
    (10**4, "1K<n<10K"),
    (10**5, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
)

_CARD = """---
pretty_name: {quoted_title}
license: {license}
task_categories:
- video-text-to-text
- text-to-video
language:
- en
size_categories:
- {size}
tags:
- video
- captions
- framescribe
configs:
- config_name: default
  data_files: rows/*.parquet
---

# {title}

{rows} captions of {clips} clips, written by framescribe. No video is part of this data set: `source_video`, `start_s`
and `end_s` say which clip a caption is of.

| model | revision | precision | prompt | template | strategy | captions |
| --- | --- | --- | --- | --- | --- | --- |
{runs}

| `caption_status` | captions |
| --- | --- |
{statuses}

A model wrote these captions: they can be wrong about what a clip shows, and they carry its biases. `flags` names what
is wrong with a caption as far as rules can tell. The model's license may limit what they can be used for.
"""


def as_datasets(folder: str | Path, columns: Sequence[str] | None = None) -> Any:
    """A dataset folder's rows as a ``datasets.Dataset``, in memory.

    Args:
        folder: as ``framescribe caption -o`` wrote it, or a file of rows.
        columns: to keep; None: all.

    Raises:
        UsageError: ``datasets`` is not installed, or what ``Dataset`` raises.
    """
    require("datasets", "as_datasets")
    import datasets
    import pyarrow

    rows = Dataset(folder)
    names = list(columns or rows.columns)
    batches = rows.batches(names)
    schema = pyarrow.schema([rows.schema.field(name) for name in names])
    table = pyarrow.Table.from_batches(batches, schema)
    return datasets.Dataset(datasets.table.InMemoryTable(table))


def card(folder: str | Path, title: str, license: str) -> str:
    """The ``README.md`` of a published dataset folder: what its captions are and how they were made.

    Args:
        folder: the dataset folder.
        title: of the data set.
        license: the hub's name of a license, such as ``cc-by-4.0``.
    """
    rows = Dataset(folder)
    count = rows.count()
    made_by = ("model", "model_revision", "precision", "prompt", "template", "strategy")
    return _CARD.format(
        title=title,
        quoted_title=json.dumps(title),  # as YAML has it too: a bare title may have a colon
        license=license,
        size=next((name for limit, name in _SIZES if count < limit), "n>10M"),
        rows=f"{count:,}",
        clips=f"{sum(1 for _ in rows.count_by(['clip_id'])):,}",
        runs=_lines(rows, made_by),
        statuses=_lines(rows, ("caption_status",)),
    )


def _lines(rows: Dataset, columns: Sequence[str]) -> str:
    cells = ([found[name] for name in (*columns, "rows")] for found in rows.count_by(columns))
    return "\n".join(f"| {' | '.join(_cell(value) for value in row)} |" for row in cells)


def _cell(value: object) -> str:
    text = "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
    return " ".join(text.replace("|", "\\|").split())
