"""A folder of a million captions: how long do commands take to count, filter and report it, and with how much memory?

    python -m benchmarks.dataset_million FOLDER --json benchmarks/results/dataset_million.json

Makes the folder unless it is there: captions of about a hundred words, drawn as rare words are in text, in shards of a
thousand rows. Each command runs several times as a process of its own, its start included; beside them a bare DuckDB
query of the same Parquet files, in a process of its own too. Last line: JSON, with the median of the seconds, the CPU
seconds and the most memory of each.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.provenance import provenance, publish
from framescribe.caption_row import CaptionRow
from framescribe.dataset.lock import locked
from framescribe.dataset.store import RowFolder

ROWS_PER_SHARD = 1000
WORDS, RAREST = (70, 131), 4000
CONDITION = "duration_s > 10 AND caption LIKE '%{word}%'"
_FRAMESCRIBE = [sys.executable, "-m", "framescribe"]
_LAUNCH = """import json, os, sys
quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, used = os.wait4(child, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss / 1000]))"""
"""Runs a command and says its exit code, CPU seconds and peak MB, which Linux counts from its small parent on."""
_DUCKDB = [sys.executable, "-c", "import duckdb, sys; print(duckdb.sql(sys.argv[1]).fetchall())"]


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
    words = vocabulary()
    if not options.folder.exists():
        make(options.folder, options.rows, words)
    rows = str(options.folder)
    condition = CONDITION.format(word=words[300])
    files = f"read_parquet('{rows}/rows/*.parquet')"
    page = options.folder.with_name(f"{options.folder.name}-report.html")
    commands = {
        "rows --count": [*_FRAMESCRIBE, "rows", rows, "--count"],
        "DuckDB, the same count": [
            *_DUCKDB, f"SELECT caption_status, flags, count(*) FROM {files} GROUP BY ALL",
        ],
        "rows --where --count": [*_FRAMESCRIBE, "rows", rows, "--where", condition, "--count"],
        "rows --where": [*_FRAMESCRIBE, "rows", rows, "--where", condition, "--limit", "20"],
        "DuckDB, the same condition": [*_DUCKDB, f"SELECT count(*) FROM {files} WHERE {condition}"],
        "rows --order-by --limit": [
            *_FRAMESCRIBE, "rows", rows, "--order-by", "duration_s DESC, clip_id", "--limit", "20",
        ],
        "report": [*_FRAMESCRIBE, "report", rows, "-o", str(page), "--overwrite", "--clips", "0"],
    }  # fmt: skip
    result = {
        "rows": options.rows,
        "shards_mb": round(sum(path.stat().st_size for path in options.folder.glob("rows/*")) / 1e6, 1),
        "repeats": options.repeats,
        "condition": condition,
        "sha256_of_shards_s": hashed(options.folder),
        "commands": {name: measured(command, options.repeats) for name, command in commands.items()},
    }
    publish(result | made_by, options.json)


def vocabulary() -> list[str]:
    """Words that can be spoken, the short ones first."""
    draw = random.Random(1)
    starts = [*"bcdfghjklmnprstvw", "br", "ch", "dr", "fl", "gr", "pl", "sh", "st", "tr"]
    vowels, ends = [*"aeiou", "ai", "ea", "ee", "oa", "ou"], ["", *"nrstl", "ng", "nd"]
    words: dict[str, None] = {}
    while len(words) < RAREST:
        syllables = draw.choice((1, 1, 2, 2, 3))
        words["".join(draw.choice(part) for _ in range(syllables) for part in (starts, vowels, ends))] = None
    return sorted(words, key=lambda word: (len(word), word))


def captions(draw: np.random.Generator, words: list[str], number: int) -> Iterator[str]:
    """Texts whose words are as frequent as in a language: the n-th one of n."""
    chances = 1 / np.arange(2, len(words) + 2)
    lengths = draw.integers(*WORDS, number)
    drawn = np.array(words)[draw.choice(len(words), lengths.sum(), p=chances / chances.sum())]
    for length, end in zip(lengths, lengths.cumsum(), strict=True):
        text = drawn[end - length : end]
        yield ". ".join(" ".join(text[at : at + 17]).capitalize() for at in range(0, length, 17)) + "."


def make(target: Path, rows: int, words: list[str]) -> None:
    draw = np.random.default_rng(0)
    folder = RowFolder(str(target))
    with locked(folder):
        for number in range(-(-rows // ROWS_PER_SHARD)):
            first = number * ROWS_PER_SHARD
            texts = captions(draw, words, min(ROWS_PER_SHARD, rows - first))
            shard = [row(first + place, caption, draw).to_dict() for place, caption in enumerate(texts)]
            folder.table.append(shard, "0123456789abcdef", number)


def row(number: int, caption: str, draw: np.random.Generator) -> CaptionRow:
    source = f"/data/videos/{number % 997:03}/clip-{number:07}.mp4"
    duration_s = float(np.round(draw.uniform(2, 30), 3))
    frames = min(24, int(duration_s) + 1)
    minute = f"{1 + number // 40000:02}T{number // 1667 % 24:02}:{number // 28 % 60:02}"
    problem = draw.choice(["", "cut_off", "looping", "opener"], p=[0.94, 0.02, 0.01, 0.03])
    return CaptionRow(
        clip_id=hashlib.sha256(source.encode()).hexdigest()[:16], source_video=source, start_s=0.0, end_s=None,
        duration_s=duration_s, width=1280, height=720, fps=29.97, codec="h264", missing_s=0.0, caption=caption,
        caption_raw=f" {caption}\n", flags=(str(problem),) if problem else (), finish_reason="stop",
        caption_status={"cut_off": "truncated", "looping": "repetitive"}.get(str(problem), "success"),  # type: ignore[arg-type]
        frame_indices=tuple(range(0, 30 * frames, 30)), frame_timestamps_s=tuple(map(float, range(frames))),
        covered_s=min(duration_s, 24.0), strategy="chat", num_frames=24, template="chat",
        prompt="Please describe this video in detail.", model="THUDM/cogvlm2-llama3-caption", model_revision="main",
        precision="bf16", max_new_tokens=2048, temperature=0.0, top_p=1.0, repetition_penalty=1.0, seed=0,
        stop_loops=True, engine_version="0.1.0", prompt_tokens=1700, output_tokens=len(caption) // 5,
        created_at=f"2026-11-{minute}:{number % 60:02}.000+00:00",
    )  # fmt: skip


def hashed(folder: Path) -> float:
    """Seconds that SHA-256 of all shards takes on one thread, their reading included."""
    start = time.perf_counter()
    for path in folder.glob("rows/*"):
        hashlib.sha256(path.read_bytes()).digest()
    return round(time.perf_counter() - start, 3)


def measured(command: list[str], repeats: int) -> dict[str, float]:
    seconds, cpu_s, most_mb = [], [], 0.0
    for _ in range(repeats + 1):
        start = time.perf_counter()
        launched = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _LAUNCH, *command], stdout=subprocess.PIPE, check=True
        )
        seconds.append(time.perf_counter() - start)
        code, used_s, peak_mb = json.loads(launched.stdout)
        assert code == 0, command
        cpu_s.append(used_s)
        most_mb = max(most_mb, peak_mb)
    # The first one finds the files on the disk, the others in memory.
    return {
        "seconds": round(statistics.median(seconds[1:]), 2),
        "fastest_s": round(min(seconds[1:]), 2),
        "cpu_s": round(statistics.median(cpu_s[1:]), 2),
        "memory_mb": round(most_mb),
    }


if __name__ == "__main__":
    main()
