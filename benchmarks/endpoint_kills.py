"""Captions through a server that fails one request of five, killed at random moments and started again.

    python -m benchmarks.endpoint_kills --clips 2000 --kills 20 --json benchmarks/results/endpoint_kills.json

The server fails in each way of ``tests/endpoint/server.py``; with ``--own tiny-random`` it is ``framescribe serve`` of
that model, without faults (its captions are noise, of which no two are the same). Rows are compared with those of an
uninterrupted run without faults. Last line: JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from pathlib import Path

from benchmarks.provenance import provenance, publish
from tests.endpoint.kill_resume import FAULTY_SHARE, kill_and_resume


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows-per-shard", type=int, default=50)
    parser.add_argument("--own", metavar="MODEL")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    made_by = provenance()
    with tempfile.TemporaryDirectory() as folder:
        outcome = kill_and_resume(
            Path(folder), options.clips, options.kills, options.seed, options.rows_per_shard, options.own
        )
    settings = {
        "server": "faulty" if options.own is None else f"framescribe serve, {options.own}",
        "faulty_share": FAULTY_SHARE if options.own is None else 0.0,
        "seed": options.seed,
        "rows_per_shard": options.rows_per_shard,
    }
    publish(dataclasses.asdict(outcome) | settings | made_by, options.json)


if __name__ == "__main__":
    main()
