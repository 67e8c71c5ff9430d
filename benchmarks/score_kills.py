"""Scores that are killed and started again, against the clips that there are.

    python -m benchmarks.score_kills --clips 2000 --kills 20 --json benchmarks/results/score_kills.json

A tenth of the clips is broken, in each way that ``tests/awkward/`` knows to spoil a file. Last line: JSON.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.provenance import provenance, publish
from framescribe import score
from tests.pipeline.kill_resume import make_list
from tests.pipeline.score_kills import kill_and_resume_scores, score_rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--rows-per-shard", type=int, default=50)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    made_by = provenance()
    with tempfile.TemporaryDirectory() as folder:
        listed, _ = make_list(Path(folder) / "clips", options.clips, random.Random(0))
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        uninterrupted = score(listed, whole, scores=["video"], progress=False)
        kills = kill_and_resume_scores(listed, killed, options.kills, options.rows_per_shard)
        expected = {row["clip_id"]: (str(row["values"]), row["error_message"]) for row in score_rows(whole)}
        found = score_rows(killed)
    times = Counter(row["clip_id"] for row in found)
    by_id = {row["clip_id"]: (str(row["values"]), row["error_message"]) for row in found}
    figures = {
        "clips": len(expected),
        "kills": kills,
        "lost": len(expected.keys() - times.keys()),
        "scored_twice": sum(number > 1 for number in times.values()),
        "unequal": sum(by_id.get(clip) != values for clip, values in expected.items()),
        "statuses": dict(uninterrupted.statuses),
        "uninterrupted_s": round(uninterrupted.seconds, 1),
        "rows_per_shard": options.rows_per_shard,
    }
    publish(figures | made_by, options.json)


if __name__ == "__main__":
    main()
