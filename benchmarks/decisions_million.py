"""A folder of a million captions with tens of thousands of decisions: how long do decisions and their columns take?

    python -m benchmarks.decisions_million FOLDER --json benchmarks/results/decisions_million.json

Makes the folder unless it is there, as ``dataset_million`` does, and gives it decisions in the log's own way unless it
has some: rejections and tags by a condition, edits in bulk, single ones. Measured are single decisions, the state of
all in a fresh process, commands with conditions on their columns as processes of their own, and the page of a review
over the folder, as ``review_million`` measures it. Last line: JSON, medians.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.dataset_million import make, measured, vocabulary
from benchmarks.provenance import provenance, publish
from benchmarks.review_million import measured as reviewed
from framescribe import Dataset, Decisions
from framescribe.decisions.text_edits import Prefix

REJECTED, TAGGED, EDITED = "hash(clip_id) % 100 = 0", "hash(clip_id) % 50 = 1", "hash(clip_id) % 100 = 2"
SINGLE = 200
_STATE = "from framescribe import Decisions; import sys; print(len(Decisions(sys.argv[1]).state()))"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    made_by = provenance()
    if not options.folder.exists():
        make(options.folder, options.rows, vocabulary())
    folder = str(options.folder)
    result: dict[str, Any] = {"rows": options.rows, "repeats": options.repeats}
    if not Decisions(folder).position:
        result["in_bulk_s"] = decided(folder)
    result["single_decision_s"] = single(folder)
    result["decisions"] = Decisions(folder).position
    rows = [sys.executable, "-m", "framescribe", "rows", folder]
    commands = {
        "state of all, in a fresh process": [sys.executable, "-c", _STATE, folder],
        "rows --where (captions only) --count": [*rows, "--where", "duration_s > 10", "--count"],
        "rows --where (decisions) --count": [*rows, "--where", "decision = 'reject'", "--count"],
        "rows --where (tags) --limit": [*rows, "--where", "list_contains(tags, 'slow')", "--limit", "20"],
    }
    result["commands"] = {name: measured(command, options.repeats) for name, command in commands.items()}
    with tempfile.TemporaryDirectory() as cache:
        result["review"] = reviewed(options.folder, cache, options.repeats)
    publish(result | made_by, options.json)


def decided(folder: str) -> dict[str, float]:
    """Decides on many at once; the seconds of each."""
    decisions, seconds = Decisions(folder, "ann"), {}
    for name, decide in {
        "reject": lambda: decisions.reject(where=REJECTED, reason="does not match"),
        "tag": lambda: decisions.tag(where=TAGGED, tags=["slow", "lecture"]),
        "edit": lambda: decisions.apply(decisions.preview(Prefix("Seen: "), where=EDITED)),
    }.items():
        start = time.perf_counter()
        group = decide()
        seconds[f"{name} {len(group.entries):,}"] = round(time.perf_counter() - start, 2)
    return seconds


def single(folder: str) -> float:
    """Seconds of one decision among many, until it is on the disk."""
    decisions = Decisions(folder, "ben")
    rows = list(Dataset(folder).rows(limit=SINGLE, columns=("clip_id", "prompt_index", "caption")))
    _ = decisions.position  # what there is already is read once
    start = time.perf_counter()
    for row in rows:
        decisions.accept(row)
    return round((time.perf_counter() - start) / SINGLE, 5)


if __name__ == "__main__":
    main()
