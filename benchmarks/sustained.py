"""What matrix products reach when a GPU has had nothing else to do for ten seconds: its power limit, not its units.

    python -m benchmarks.sustained --json benchmarks/results/sustained_h100.json

8192 x 8192 x 8192 bf16 products of normal random numbers, second by second, beside clock and power as the driver tells
them. Last line: JSON.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from pathlib import Path

import torch

from benchmarks.provenance import provenance, publish

SIDE, SECONDS, AT_ONCE = 8192, 10, 40


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="where the results go")
    arguments = parser.parse_args()
    made_by = provenance()
    a, b = (torch.randn(SIDE, SIDE, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    out = torch.empty_like(a)
    query = "--query-gpu=clocks.sm,power.draw,temperature.gpu"
    began = time.monotonic()
    seconds: list[dict[str, object]] = []
    while time.monotonic() - began < SECONDS:
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for _ in range(AT_ONCE):
            torch.mm(a, b, out=out)
        end.record()
        said = subprocess.run(
            ["nvidia-smi", query, "--format=csv,noheader,nounits"], capture_output=True, text=True, check=True
        )
        end.synchronize()
        clock_mhz, power_w, celsius = map(float, said.stdout.splitlines()[0].split(","))
        tflop_per_s = 2 * SIDE**3 * AT_ONCE / start.elapsed_time(end) / 1e9
        seconds.append(
            {
                "at_s": round(time.monotonic() - began, 2), "tflop_per_s": round(tflop_per_s, 1),
                "clock_mhz": clock_mhz, "power_w": power_w, "celsius": celsius,
            }
        )  # fmt: skip
    report = made_by | {"seconds": seconds}
    publish(report, arguments.json)


if __name__ == "__main__":
    main()
