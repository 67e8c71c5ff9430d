"""Captions that are killed at random moments and started again, against an uninterrupted run.

    python -m benchmarks.kill_resume --clips 2000 --kills 20 --json benchmarks/results/kill_resume.json

A tenth of the clips is broken, in each way that ``tests/awkward/`` knows to spoil a file. Last line: JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from pathlib import Path

from benchmarks.provenance import provenance, publish
from tests.pipeline.kill_resume import kill_and_resume


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows-per-shard", type=int, default=50)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    made_by = provenance()
    with tempfile.TemporaryDirectory() as folder:
        outcome = kill_and_resume(
            Path(folder), options.clips, options.kills, options.seed, options.rows_per_shard, model="tiny"
        )
    settings = {"model": "tiny", "seed": options.seed, "rows_per_shard": options.rows_per_shard}
    publish(dataclasses.asdict(outcome) | settings | made_by, options.json)


if __name__ == "__main__":
    main()
