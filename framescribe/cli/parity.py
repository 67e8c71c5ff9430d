"""``framescribe parity``: the distance from the published model's recorded outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def parity(
    checkpoint: Annotated[str, typer.Argument(help="Folder, bundled name or repository id.")],
    cases: Annotated[Path, typer.Argument(help="Folder with cases.json and the recorded tensors.")],
    device: Annotated[str, typer.Option(help="Where to compute, in fp32.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Compare a checkpoint with recorded outputs of the published code.

    Prints the largest difference of each kind, also that of both from the same computation in fp64; the exit code is 1
    if one is out of bounds.

    Examples:
        framescribe parity tiny-random tests/data/reference/cases
    """
    from framescribe.bench.provenance import computed_on
    from framescribe.cli.console import out
    from framescribe.eval.parity import BOUNDS, measure_parity

    report = measure_parity(checkpoint, cases, device)
    largest = report.largest
    if as_json:
        bounds = {kind: BOUNDS[kind] for kind in largest}
        verdict = {"within_bounds": report.within_bounds, "largest": largest, "bounds": bounds}
        made_on = {"device": device, **computed_on()}
        print(json.dumps(verdict | {"cases": report.cases, "made_on": made_on}, indent=2))
    else:
        from rich.table import Table

        table = Table("kind", "largest difference", "bound", "")
        for kind, value in largest.items():
            verdict_mark = "ok" if value <= BOUNDS[kind] else "[red]out of bounds[/red]"
            table.add_row(kind, f"{value:.3g}", f"{BOUNDS[kind]:g}", verdict_mark)
        out.print(table)
        out.print(f"{len(report.cases)} cases")
    if not report.within_bounds:
        raise typer.Exit(1)
