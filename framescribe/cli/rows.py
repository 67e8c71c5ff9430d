"""``framescribe rows``: look at what ``caption`` wrote."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from framescribe.cli import options
from framescribe.cli.caption_options import names_of
from framescribe.errors import UsageError
from framescribe.quality.flags import Flag
from framescribe.shown import one_line, shown
from framescribe.types import CaptionStatus
from framescribe.views import span_name

if TYPE_CHECKING:
    from framescribe.dataset.dataset import Dataset

Row = dict[str, Any]
_LINE_COLUMNS = ("clip_id", "caption_status", "source_video", "caption", "error_message")
_SCORED_COLUMNS = ("clip_id", "source_video", "start_s", "end_s", "error_message")
_DUPLICATE = "duplicate"


def rows(
    source: Annotated[str, typer.Argument(metavar="OUT", help="Folder, .jsonl or .parquet file of rows.")],
    status: Annotated[CaptionStatus | None, typer.Option(help="Only rows of this status.")] = None,
    flag: Annotated[Flag | None, typer.Option(help="Only rows with this flag.")] = None,
    where: options.Where = None,
    order_by: Annotated[
        str | None,
        typer.Option("--order-by", metavar="SQL", help="Sort by SQL expressions, such as 'duration_s DESC'."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=0, help="Maximum number of rows to print.")] = None,
    offset: Annotated[int, typer.Option(min=0, help="Number of rows to skip.")] = 0,
    columns: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Print these columns, as in `source_video,motion,cuts`."),
    ] = None,
    count: Annotated[
        bool, typer.Option("--count", help="Count by status and flag instead of printing rows.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON, one row per line.")] = False,
) -> None:
    """Print, filter, sort and count caption rows: the last one of each clip and prompt.

    One line per row, `clip_id<TAB>status<TAB>source<TAB>caption or reason`. Conditions are SQL expressions over the
    columns of a row, as DuckDB has them: `duration_s > 2 AND caption LIKE '%kite%'`. Of a folder that has scores and no
    captions, one line per scored clip, `clip_id<TAB>scored or error<TAB>source<TAB>reason`.

    Examples:
        framescribe rows captions/ --count
        framescribe rows captions/ --status error
        framescribe rows captions/ --where "caption LIKE '%kite%'" --json
        framescribe rows captions/ --order-by 'output_tokens DESC' --limit 20
        framescribe rows scored/ --columns source_video,motion,cuts --order-by 'motion DESC'
    """
    from framescribe.dataset.dataset import Dataset

    conditions = list(where or ())
    if status is not None:
        conditions.append(f"caption_status = '{status}'")
    if flag not in (None, _DUPLICATE):
        conditions.append(f"list_contains(flags, '{flag}')")
    dataset = Dataset.either(source)
    _check_together(dataset, status, flag, columns, count)
    if count:
        _print_counts(dataset, conditions, only_duplicates=flag == _DUPLICATE, as_json=as_json)
        return
    if columns is not None or not dataset.has_captions:
        named = names_of(columns) or (None if as_json else _SCORED_COLUMNS)
        found = dataset.rows(conditions or None, order_by, limit, offset, named)
        _print_rows(found, as_json, names_of(columns))
        return
    needed = None if as_json else (*_LINE_COLUMNS, "prompt_index")
    if flag == _DUPLICATE:
        found = _flagged(dataset, dataset.rows(conditions or None, order_by, columns=needed))
        only = (row for row in found if "duplicate_of" in row)
        _print_rows(itertools.islice(only, offset, None if limit is None else offset + limit), as_json)
    else:
        found = dataset.rows(conditions or None, order_by, limit, offset, needed)
        _print_rows(_flagged(dataset, found) if as_json and _are_few(dataset) else found, as_json)


def _check_together(
    dataset: Dataset, status: str | None, flag: str | None, columns: str | None, count: bool
) -> None:
    if not dataset.has_captions and (status or flag):
        raise UsageError(f"{shown(dataset.name)} has no captions yet: leave out `status` and `flag`")
    if columns is not None and (count or flag == _DUPLICATE):
        raise UsageError(f"leave out `columns` where rows are counted, and with the flag {_DUPLICATE}")


def _flagged(dataset: Dataset, found: Iterable[Row]) -> Iterator[Row]:
    """Rows with the flag of near-duplicates, which is of the set and so not stored with a row."""
    first = dataset.duplicates()
    for row in found:
        key = row["clip_id"], row.get("prompt_index") or 0
        if key in first:
            yield {**row, "flags": [*(row.get("flags") or ()), _DUPLICATE], "duplicate_of": first[key]}
        else:
            yield row


def _print_rows(found: Iterable[Row], as_json: bool, columns: Sequence[str] = ()) -> None:
    for row in found:
        if as_json:
            print(json.dumps(row))
        elif columns:
            print(*(_cell(row[name]) for name in columns), sep="\t")
        else:
            text = one_line(row.get("caption") or row.get("error_message") or "")
            name = row["source_video"]
            if (state := row.get("caption_status")) is None:
                state = "error" if row["error_message"] else "scored"
                name = span_name(name, row["start_s"], row["end_s"])
            print(*(shown(str(text)) for text in (row["clip_id"], state, name, text)), sep="\t")


def _cell(value: Any) -> str:
    return (
        "" if value is None else f"{value:.6g}" if isinstance(value, float) else shown(one_line(str(value)))
    )


def _print_counts(dataset: Dataset, conditions: list[str], *, only_duplicates: bool, as_json: bool) -> None:
    statuses: Counter[str] = Counter()
    flags: Counter[str] = Counter()
    if not dataset.has_captions:
        failed = dataset.count([*conditions, "error_message IS NOT NULL"])
        statuses.update(scored=dataset.count(conditions or None) - failed, error=failed)
        _print_counted(+statuses, flags, as_json)
        return
    groups = list(dataset.count_by(("caption_status", "flags"), conditions or None))
    if only_duplicates or _are_few(dataset, None if conditions else sum(group["rows"] for group in groups)):
        first = dataset.duplicates()
        keys = dataset.rows(
            conditions or None, columns=("clip_id", "prompt_index", "caption_status", "flags")
        )
        repeated = [row for row in keys if (row["clip_id"], row["prompt_index"]) in first] if first else []
        flags[_DUPLICATE] = len(repeated)
        groups = [row | {"rows": 1} for row in repeated] if only_duplicates else groups
    for row in groups:
        statuses[row["caption_status"]] += row["rows"]
        for flag in row["flags"] or ():
            flags[flag] += row["rows"]
    _print_counted(statuses, +flags, as_json)


def _print_counted(statuses: Counter[str], flags: Counter[str], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"rows": statuses.total(), "status": statuses, "flags": flags}))
        return
    print("rows", statuses.total(), sep="\t")
    for kind, counts in (("status", statuses), ("flag", flags)):
        for name, number in counts.most_common():
            print(kind, name, number, sep="\t")


def _are_few(dataset: Dataset, number: int | None = None) -> bool:
    """Whether all captions may be compared with each other unasked; says so if not."""
    from framescribe.cli.console import err
    from framescribe.quality.duplicates import MAX_COMPARED

    if (dataset.count() if number is None else number) <= MAX_COMPARED:
        return True
    err.print(
        f"captions that nearly repeat another one are not looked for among more than {MAX_COMPARED:,} rows; "
        f"--flag {_DUPLICATE} does, in a minute or two for each million"
    )
    return False
