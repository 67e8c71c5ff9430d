"""A million rows of scores: how long does it take to count what eight thresholds keep, and to report them?

    python -m benchmarks.score_million FOLDER --json benchmarks/results/score_million.json

Makes two tables of scores below the folder unless they are there: a million clips with a row each, and an eighth of
them with the rows of eight scorers. Each command runs several times as a process of its own, its start included.
Last line: JSON, with the median of the seconds, the CPU seconds and the most memory of each.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.dataset_million import measured
from benchmarks.provenance import provenance, publish
from framescribe.dataset.lock import locked
from framescribe.dataset.store import RowFolder
from framescribe.score_row import ScoreRow

ROWS_PER_SHARD = 10_000
SCORES = (
    "motion", "static_share", "blur", "brightness", "saturation", "bits_per_pixel", "slide_share", "bad_exposure_share",
)  # fmt: skip
MISSING = 0.01
_FRAMESCRIBE = [sys.executable, "-m", "framescribe"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    made_by = provenance()
    result: dict[str, Any] = {"rows": options.rows, "thresholds": len(SCORES), "repeats": options.repeats}
    for scorers in (1, len(SCORES)):
        clips = options.rows // scorers
        folder = options.folder / f"{clips}-clips"
        if not folder.exists():
            make(folder, clips, scorers)
        thresholds = [word for name in SCORES for word in ("--set", f"{name}>=0.05")]
        page = folder.with_name(f"{folder.name}-report.html")
        commands = {
            "filter": [*_FRAMESCRIBE, "filter", str(folder), *thresholds, "--json"],
            "report": [*_FRAMESCRIBE, "report", str(folder), *thresholds, "-o", str(page), "--overwrite"],
        }
        found = {name: measured(command, options.repeats) for name, command in commands.items()}
        result[f"{clips} clips of {scorers} scorers"] = found
    publish(result | made_by, options.json)


def make(target: Path, clips: int, scorers: int) -> None:
    """Writes clips whose eight scores come from so many scorers, a row each."""
    folder = RowFolder(str(target))
    folder.prepare()
    folder.scores.make()
    draw = np.random.default_rng(0)
    shard: list[dict[str, Any]] = []
    number = 0
    with locked(folder):
        for each in rows(clips, scorers, draw):
            shard.append(each)
            if len(shard) == ROWS_PER_SHARD:
                folder.scores.append(shard, "0123456789abcdef", number)
                shard, number = [], number + 1
        if shard:
            folder.scores.append(shard, "0123456789abcdef", number)


def rows(clips: int, scorers: int, draw: np.random.Generator) -> Iterator[dict[str, Any]]:
    each = len(SCORES) // scorers
    values = draw.random((clips, len(SCORES)))
    values[draw.random(values.shape) < MISSING] = np.nan
    for clip in range(clips):
        for first in range(0, len(SCORES), each):
            yield ScoreRow(
                clip_id=f"{clip * 7919 % 2**64:016x}",
                source_video=f"/data/videos/clip-{clip:07}.mp4",
                start_s=0.0,
                end_s=None,
                scorer=SCORES[first],
                version=1,
                names=SCORES[first : first + each],
                values=tuple(values[clip, first : first + each].tolist()),
                engine_version="0.1.0",
                created_at="2026-11-26T00:00:00.000+00:00",
            ).to_dict()


if __name__ == "__main__":
    main()
