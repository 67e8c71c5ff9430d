"""``framescribe teach``: labels to a head."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

FeaturesOf = Annotated[
    str | None, typer.Option(metavar="NAME", help="Which features, if there are those of several models.")
]


def teach(
    labels: Annotated[
        str,
        typer.Argument(
            metavar="LABELS",
            help="Labels as .csv or .jsonl, or a dataset folder with tagged clips.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The head to write: NAME.safetensors.")],
    features: Annotated[str, typer.Option(help="Dataset folder with the clips' features.")],
    features_of: FeaturesOf = None,
    hidden: Annotated[
        int,
        typer.Option(
            min=0, max=256, help="Units of a hidden layer for each label; 0 for a logistic regression."
        ),
    ] = 0,
) -> None:
    """Teach a small head labels from clips whose features are stored.

    LABELS names clips by `clip_id`, `source_video` or `file`, with a column `tags` or a column of 1 and 0 for each
    label. The head gives each label a calibrated probability. The table shows how it does on clips that were held
    out: area under the ROC curve, precision and recall at 0.5, calibration error.

    Examples:
        framescribe teach labels.csv -o lectures.safetensors --features captions/
        framescribe teach captions/ -o mine.safetensors --features captions/
    """
    from framescribe.cli.console import err, path_errors, tracked
    from framescribe.heads.teach import teach as teach_head

    with path_errors(), tracked("steps") as progress:
        lesson = teach_head(
            labels, output, features=features, features_of=features_of, hidden=hidden, progress=progress
        )
    print(lesson.table())
    for note in lesson.notes:
        err.print(note, markup=False)
