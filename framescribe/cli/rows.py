"""``framescribe rows``: look at what ``caption`` wrote."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from framescribe.cli import options
from framescribe.errors import UsageError
from framescribe.shown import shown
from framescribe.types import CaptionStatus

Row = Mapping[str, Any]


def rows(
    source: Annotated[str, typer.Argument(metavar="OUT", help="Folder, .jsonl or .parquet file of rows.")],
    status: Annotated[CaptionStatus | None, typer.Option(help="Only rows of this status.")] = None,
    flag: Annotated[
        str | None, typer.Option(autocompletion=options.flags, help="Only rows with this flag.")
    ] = None,
    where: options.Where = None,
    count: Annotated[bool, typer.Option("--count", help="Count by status and flag, print no rows.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one row a line.")] = False,
) -> None:
    """Print, filter and count caption rows: the last one of each clip.

    One line a row, `clip_id<TAB>status<TAB>source<TAB>caption or reason`.

    Examples:
        framescribe rows captions/ --count
        framescribe rows captions/ --status error
        framescribe rows captions/ --where 'caption~kite' --json
    """
    from framescribe.dataset.filters import chosen_rows
    from framescribe.dataset.sinks import CAPTION_COLUMNS, read_rows
    from framescribe.quality.duplicates import flag_duplicates
    from framescribe.quality.flags import FLAGS

    if flag is not None and flag not in FLAGS:
        raise UsageError(f"unknown --flag {flag!r}; choose one of {', '.join(FLAGS)}")
    found = read_rows(source, CAPTION_COLUMNS)
    if (
        count or as_json or flag == "duplicate"
    ):  # what shows flags; all rows are compared, whichever are chosen
        found = flag_duplicates(found)
    chosen = chosen_rows(found, where or ())
    if status is not None:
        chosen = (row for row in chosen if row["caption_status"] == status)
    if flag is not None:
        chosen = (row for row in chosen if flag in (row.get("flags") or ()))
    if count:
        _print_counts(chosen, as_json)
        return
    for row in chosen:
        if as_json:
            print(json.dumps(row))
        else:
            text = " ".join((row.get("caption") or row.get("error_message") or "").split())
            texts = (row["clip_id"], row["caption_status"], row["source_video"], text)
            print(*(shown(str(text)) for text in texts), sep="\t")


def _print_counts(chosen: Iterator[Row], as_json: bool) -> None:
    statuses: Counter[str] = Counter()
    flags: Counter[str] = Counter()
    for row in chosen:
        statuses[row["caption_status"]] += 1
        flags.update(row.get("flags") or ())
    if as_json:
        print(json.dumps({"rows": statuses.total(), "status": statuses, "flags": flags}))
        return
    print("rows", statuses.total(), sep="\t")
    for kind, counts in (("status", statuses), ("flag", flags)):
        for name, number in counts.most_common():
            print(kind, name, number, sep="\t")
