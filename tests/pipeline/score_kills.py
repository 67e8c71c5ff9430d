"""Kills ``framescribe score`` again and again, for the test (few clips) and ``benchmarks/score_kills.py`` (many)."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import pyarrow.parquet as pq

from tests.cli.run import start


def score_rows(folder: Path) -> list[dict]:
    """All rows of all shards, by nothing of ours."""
    return [
        row
        for shard in sorted((folder / "scores").glob("*.parquet"))
        for row in pq.read_table(shard).to_pylist()
    ]


def kill_and_resume_scores(listed: Path, out: Path, kills: int, rows_per_shard: int) -> int:
    """Kills ``score`` so often, each time once another shard is there, then lets it end; how often it was alive."""
    killed = 0
    for kill in range(kills + 1):
        process = start("score", listed, "-o", out, "--scores", "video", "--shard-rows", rows_per_shard, "-q")
        if kill < kills:
            shards = len(list(out.glob("scores/*.parquet")))
            while process.poll() is None and len(list(out.glob("scores/*.parquet"))) <= shards:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.02)
            process.kill()
            killed += process.wait() == -9
        process.communicate(timeout=3600)
        score_rows(out)  # whatever a reader's glob meets is whole
    return killed
