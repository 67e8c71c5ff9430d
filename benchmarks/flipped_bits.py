"""What becomes of a shard of rows when one of its bits flips: is it refused by name, or are the rows as they were?

    python -m benchmarks.flipped_bits --flips 10000 --json benchmarks/results/flipped_bits.json

Flips one bit after the other, drawn from the whole file, and reads all rows, some columns, and what is done, in a
process that may die of it. Last line: JSON, with the flips by what became of them: refused with the file's name,
without effect, other rows, another error, the process's end.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.provenance import provenance, publish
from framescribe.dataset.store import RowFolder
from framescribe.errors import UsageError
from tests.dataset.test_row_file import row

ROWS = 40
FLIPS_PER_PROCESS = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--flips", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    made_by = provenance()
    with tempfile.TemporaryDirectory() as name:
        result = measure(Path(name), options.flips, options.seed) | made_by
    publish(result, options.json)


def measure(work: Path, flips: int, seed: int) -> dict[str, Any]:
    rows = [row(number).to_dict() for number in range(ROWS)]
    folder = RowFolder(str(work))
    folder.prepare()
    folder.table.append(rows, "run", 0)
    (shard,) = map(Path, folder.table.shards())
    content = shard.read_bytes()
    bits = random.Random(seed).sample(range(8 * len(content)), flips)
    outcomes: Counter[str] = Counter()
    for start in range(0, flips, FLIPS_PER_PROCESS):
        outcomes.update(in_process(work, shard, content, bits[start : start + FLIPS_PER_PROCESS]))
    return {
        "shard_bytes": len(content),
        "rows": ROWS,
        "flips": flips,
        "seed": seed,
        "outcomes": dict(outcomes),
    }


def in_process(work: Path, shard: Path, content: bytes, bits: list[int]) -> Counter[str]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=try_bits, args=(work, shard, content, bits, theirs))
    process.start()
    theirs.close()
    found: Counter[str] = Counter()
    for _ in bits:
        try:
            found[ours.recv()] += 1
        except EOFError:
            found["the process ended"] += 1
            break
    process.join()
    shard.write_bytes(content)
    return found


def try_bits(work: Path, shard: Path, content: bytes, bits: list[int], answers: Any) -> None:
    folder = RowFolder(str(work))
    right = read(folder)
    for bit in bits:
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        shard.write_bytes(changed)
        try:
            answers.send("without effect" if read(folder) == right else "other rows")
        except UsageError as error:
            answers.send("refused by name" if shard.name in str(error) else "refused without the name")
        except Exception as error:  # noqa: BLE001 - what is counted
            answers.send(f"another error: {type(error).__name__}")


def read(folder: RowFolder) -> tuple[Any, ...]:
    return list(folder.table.rows()), folder.done("run"), folder.chosen("failed"), folder.table.num_rows()


if __name__ == "__main__":
    main()
