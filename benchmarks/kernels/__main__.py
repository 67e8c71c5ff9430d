"""Every kernel and matrix product of the forward pass on one GPU: right, and how near the machine's ceilings.

    python -m benchmarks.kernels --json benchmarks/results/kernels_h100.json

Official sizes, random data. Errors are relative (norms) to fp32 or fp64 of plain torch; outputs come from memory full
of NaN. Times are medians of CUDA graph replays. A variant that fails is a row with its error. About a minute; last
line: JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch

from benchmarks.kernels.attention import measure_attention
from benchmarks.kernels.decoding import measure_paged
from benchmarks.kernels.layers import measure_layers
from benchmarks.kernels.passes import measure_gelu, measure_steps
from benchmarks.kernels.products import measure_products
from benchmarks.kernels.report import (
    CUDA,
    Report,
    section,
)
from benchmarks.provenance import provenance
from benchmarks.speed.ceilings import measure_ceilings
from framescribe.model.precision import Precision


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="where the results go")
    parser.add_argument("--only", help="sections whose name holds this")
    parser.add_argument(
        "--sustained", type=float, default=0.0, metavar="SECONDS",
        help="time each work also after it has run for so long on end, at the power limit",
    )  # fmt: skip
    arguments = parser.parse_args()
    made_by = provenance()
    started = time.monotonic()
    torch.manual_seed(0)
    ceilings = measure_ceilings(Precision(CUDA, "bf16"))
    print(ceilings)
    report = Report(ceilings, arguments.sustained)
    for measure in (
        measure_layers, measure_paged, measure_attention, measure_gelu, measure_steps, measure_products,
    ):  # fmt: skip
        name = measure.__name__.removeprefix("measure_")
        if arguments.only is None or arguments.only in name:
            with section(report, name):
                measure(report)
    result = made_by | {
        "matmul_tflop_per_s": ceilings.matmul_flops_per_s / 1e12,
        "fp8_matmul_tflop_per_s": (ceilings.fp8_matmul_flops_per_s or 0) / 1e12,
        "copy_tb_per_s": ceilings.copy_bytes_per_s / 1e12,
        "seconds": time.monotonic() - started,
        "rows": report.rows,
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
