"""``framescribe filter``: what thresholds would keep and drop."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from framescribe.cli import filter_options as given
from framescribe.shown import shown

if TYPE_CHECKING:
    from framescribe.profiles.filter import FilterReport, Outcome

Folder = Annotated[str, typer.Argument(metavar="FOLDER", help="Folder with scores, as `score` writes them.")]


def filter(
    folder: Folder,
    profile: given.ProfileName = None,
    thresholds: given.Thresholds = None,
    use_nearest: given.UseNearest = False,
    keep_unknown: Annotated[
        bool,
        typer.Option("--keep-unknown", help="Print a condition that also takes clips without a value."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show what thresholds would keep and drop of a folder's scored clips. Nothing is deleted.

    Each threshold is a line of its own: clips that it keeps, drops, has no value for, and drops alone. One in
    parentheses does not count, as its score is only the nearest to what the profile's source measures; --nearest counts
    it. The last line is the condition to give to `caption`, `rows` and `export` with --where.

    Profiles: allegro, cogvideox, easyanimate, goku-480p, goku-720p, goku-1080p, hunyuanvideo, lvd-2m, magi-1,
    movie-gen, nvidia, open-sora, open-sora-plan, panda-70m, ultravideo.

    Examples:
        framescribe filter captions/ --profile allegro
        framescribe filter captions/ --profile cogvideox --set 'motion>=2' --set 'text_area_share<=0.02'
        framescribe filter captions/ --profile my.toml --nearest --json
    """
    from framescribe.cli.console import path_errors
    from framescribe.profiles.filter import filter as filtered

    with path_errors():
        report = filtered(
            folder, profile, thresholds or (), use_nearest=use_nearest, keep_unknown=keep_unknown
        )
    if as_json:
        print(json.dumps(asdict(report)))
    else:
        _print(report, shown(folder))


def _print(report: FilterReport, folder: str) -> None:
    from rich.table import Table
    from rich.text import Text

    from framescribe.cli.console import err, out

    table = Table(box=None, pad_edge=False)
    table.add_column("threshold", no_wrap=True)
    for name in ("kept", "dropped", "no value", "dropped alone"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in report.outcomes:
        numbers = each.kept, each.dropped, each.unknown, each.dropped_alone
        table.add_row(Text(_written(each)), *(f"{number:,}" for number in numbers))
    together = report.kept, report.dropped, report.unknown
    table.add_row(f"all of {report.clips:,}", *(f"{number:,}" for number in together))
    out.print(table)
    for each in report.outcomes:
        if each.threshold.instead_of:
            err.print(f"{_written(each)}: the source measures {each.threshold.instead_of}", markup=False)
    for missing in report.missing:
        advice = f"; nearest: {missing.advice}" if missing.advice else ""
        err.print(f"not measured: {missing.name} ({missing.published}){advice}", markup=False)
    if report.to_measure:
        scorers = ",".join(report.to_measure)
        err.print(
            f"no clip has these scores yet: `framescribe score {folder} --scores {scorers}` measures them",
            markup=False,
        )
    if report.where:
        out.print(f"--where {_quoted(report.where)}", markup=False, soft_wrap=True)


def _written(outcome: Outcome) -> str:
    return str(outcome.threshold) if outcome.is_on else f"({outcome.threshold})"


def _quoted(where: str) -> str:
    import shlex

    return shlex.quote(where)
