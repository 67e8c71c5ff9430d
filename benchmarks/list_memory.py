"""Memory of ``framescribe caption`` over a long list, from the preflight to the last row.

    python -m benchmarks.list_memory --entries 100000 --json benchmarks/results/list_memory.json

The paths of the list do not exist, so that each entry goes all the way to its error row without time for decoding; the
bundled random model is loaded. Linux only. Last line: JSON, with the resident memory of the main process in MB: at the
preflight's end, at the first row, the highest from then on.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.provenance import provenance, publish
from framescribe.dataset.dataset import Dataset

SAMPLE_EVERY = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    made_by = provenance()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), options.entries) | made_by
    publish(result, options.json)


def measure(work: Path, entries: int) -> dict[str, Any]:
    listed = work / "list.txt"
    listed.write_text("".join(f"folder {number // 1000}/clip {number:07}.mp4\n" for number in range(entries)))
    began = time.monotonic()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "framescribe", "caption", listed, "-o", work / "out"),
            *("--model", "tiny-random", "--device", "cpu"),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    preflight_mb = first_mb = highest_mb = 0.0
    rows = 0
    for line in process.stderr:
        if line.startswith("disk: "):
            preflight_mb = resident_mb(process.pid)
        if not line.startswith("error "):
            continue
        rows += 1
        if rows == 1:
            first_mb = resident_mb(process.pid)
        if rows == 1 or rows % SAMPLE_EVERY == 0:
            highest_mb = max(highest_mb, resident_mb(process.pid))
    process.wait()
    seconds = time.monotonic() - began
    written = Dataset(work / "out").count()
    assert rows == written == entries, (rows, written)
    return {
        "entries": entries,
        "seconds": round(seconds, 1),
        "preflight_mb": round(preflight_mb),
        "first_row_mb": round(first_mb),
        "highest_mb": round(highest_mb),
        "growth_mb": round(highest_mb - first_mb),
    }


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
