"""``framescribe similar``: clips that are like examples."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from framescribe.cli.teach import FeaturesOf
from framescribe.errors import UsageError


def similar(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="Dataset folder with features.")],
    like: Annotated[
        list[str] | None,
        typer.Option(metavar="CLIP", help="A clip of the dataset, by its id or source. Repeatable."),
    ] = None,
    pictures: Annotated[
        list[str] | None,
        typer.Option("--picture", metavar="FILE", help="A picture or video from elsewhere. Repeatable."),
    ] = None,
    duplicates: Annotated[
        bool,
        typer.Option(
            "--duplicates", help="Find clips that are copies of one another, by their fingerprints."
        ),
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Maximum number of clips, by default 20.")] = None,
    features_of: FeaturesOf = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON, one clip per line.")] = False,
) -> None:
    """Find the clips that are most like a clip, or show what is in pictures.

    One line per clip, `similarity<TAB>clip_id<TAB>source`, the most similar first. Several examples are averaged.

    `--duplicates` takes what `framescribe score` measured, and needs no features. It prints one line per clip that has
    copies, `group<TAB>clip_id<TAB>source`; each clip gets the scores `near_duplicates` and `duplicate_number`.

    Examples:
        framescribe similar captions/ --like clips/kite.mp4
        framescribe similar captions/ --picture fox-1.png --picture fox-2.png --limit 50 --json
        framescribe similar captions/ --duplicates
    """
    if duplicates:
        if like or pictures or limit or features_of:
            raise UsageError(
                "`duplicates` compares all clips; leave out `like`, `pictures`, `limit` and `features_of`"
            )
        _print_duplicates(folder, as_json)
        return
    from framescribe.heads.similar import similar as find

    rows = find(folder, like=like or (), pictures=pictures or (), limit=limit or 20, features_of=features_of)
    for row in rows:
        _print_clip(row, f"{row['similarity']:.3f}", as_json)


def _print_duplicates(folder: str, as_json: bool) -> None:
    from framescribe.pipeline.near_duplicates import near_duplicates

    found = near_duplicates(folder)
    for row in found.rows:
        _print_clip(row, str(row["group"]), as_json)
    groups = "1 group" if len(found.groups) == 1 else f"{len(found.groups):,} groups"
    flat = f"; of one colour and not compared: {found.num_flat:,}" if found.num_flat else ""
    typer.echo(f"{groups} of copies among {found.num_clips:,} clips{flat}", err=True)


def _print_clip(row: dict[str, Any], first: str, as_json: bool) -> None:
    from framescribe.shown import shown
    from framescribe.views import span_name

    if as_json:
        print(json.dumps(row))
    else:
        name = span_name(row["source_video"], row["start_s"], row["end_s"])
        print(first, shown(row["clip_id"]), shown(name), sep="\t")
