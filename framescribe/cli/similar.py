"""``framescribe similar``: clips that are like examples."""

from __future__ import annotations

import json
from typing import Annotated

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
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of clips.")] = 20,
    features_of: FeaturesOf = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON, one clip per line.")] = False,
) -> None:
    """Find the clips that are most like a clip, or show what is in pictures.

    One line per clip, `similarity<TAB>clip_id<TAB>source`, the most similar first. Several examples are averaged.

    `--duplicates` takes what `framescribe score` measured, needs no features, and prints one group of copies per line,
    their ids apart by tabs; each clip gets the scores `near_duplicates` and `duplicate_number`.

    Examples:
        framescribe similar captions/ --like clips/kite.mp4
        framescribe similar captions/ --picture fox-1.png --picture fox-2.png --limit 50 --json
        framescribe similar captions/ --duplicates
    """
    if duplicates:
        if like or pictures:
            raise UsageError("`duplicates` compares all clips; leave out `like` and `pictures`")
        _print_duplicates(folder, as_json)
        return
    from framescribe.heads.similar import similar as find
    from framescribe.shown import shown
    from framescribe.views import span_name

    for row in find(folder, like=like or (), pictures=pictures or (), limit=limit, features_of=features_of):
        if as_json:
            print(json.dumps(row))
        else:
            name = span_name(row["source_video"], row["start_s"], row["end_s"])
            print(f"{row['similarity']:.3f}", shown(row["clip_id"]), shown(name), sep="\t")


def _print_duplicates(folder: str, as_json: bool) -> None:
    from framescribe.pipeline.near_duplicates import near_duplicates
    from framescribe.shown import shown

    found = near_duplicates(folder)
    for group in found.groups:
        print(json.dumps(group) if as_json else "\t".join(map(shown, group)))
    flat = f"; {found.num_flat:,} of one colour were not" if found.num_flat else ""
    typer.echo(
        f"{len(found.groups):,} groups of copies; {found.num_clips:,} clips were compared{flat}", err=True
    )
