"""What is measured of a kernel, and the data that all are measured on: official sizes, random numbers."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import triton
from torch import Tensor, nn

from benchmarks.speed.ceilings import Ceilings
from framescribe.bench.official import OFFICIAL_CONFIG
from framescribe.model.fp8 import Fp8Linear, UnscaledProduct

CUDA, BF16 = torch.device("cuda"), torch.bfloat16
VISION = OFFICIAL_CONFIG.vision_config
TOKENS = 96 * VISION.num_positions
PREFILL = 8192


class Report:
    """Rows of results, printed as they come."""

    def __init__(self, ceilings: Ceilings, sustain_s: float = 0.0) -> None:
        self.ceilings = ceilings
        self.sustain_s = sustain_s
        self.rows: list[dict[str, Any]] = []

    def measure(
        self,
        name: str,
        work: Callable[[], Any],
        *,
        expected: Callable[[], Tensor] | None = None,
        found: Callable[[Any], Tensor] = lambda out: out,
        flops: float = 0,
        fp8: bool = False,
        moved: float = 0,
    ) -> None:
        """Runs ``work`` once for its error (``found`` of its result against ``expected``), then for its time.

        ``flops`` and ``moved`` bytes are what it must do; the larger of their times is the floor.
        """
        row: dict[str, Any] = {"name": name}
        try:
            if expected is not None:
                poison()
                row["error"] = relative_error(found(work()), expected())
            seconds = triton.testing.do_bench_cudagraph(work, rep=10, return_mode="median") / 1e3
            row["us"] = seconds * 1e6
            if self.sustain_s:
                row["sustained_us"] = sustained_seconds(work, self.sustain_s, seconds) * 1e6
            peak = (self.ceilings.fp8_matmul_flops_per_s if fp8 else None) or self.ceilings.matmul_flops_per_s
            floor = max(flops / peak, moved / self.ceilings.copy_bytes_per_s)
            if flops:
                row["tflop_per_s"] = flops / seconds / 1e12
            if moved:
                row["tb_per_s"] = moved / seconds / 1e12
            if floor:
                row["share_of_floor"] = floor / seconds
        except Exception as error:  # noqa: BLE001 - one variant's failure is a result, not the end
            row["failed"] = f"{type(error).__name__}: {error}"[:400]
        self.rows.append(row)
        print("  ".join(f"{key} {_short(value)}" for key, value in row.items()), flush=True)


def sustained_seconds(work: Callable[[], Any], total_s: float, once_s: float) -> float:
    """Of one call among many, once the power limit has slowed a GPU down that has nothing else to do."""
    count = max(10, round(total_s / once_s))
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    for number in range(2 * count):
        if number == count:
            start.record()
        work()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1e3 / count


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@contextmanager
def section(report: Report, name: str) -> Iterator[None]:
    """A group of rows; what fails while its data is made costs that group only."""
    started = time.monotonic()
    try:
        yield
    except Exception as error:  # noqa: BLE001 - see above
        report.rows.append({"name": name, "failed": f"{type(error).__name__}: {error}"[:400]})
        print(report.rows[-1])
    torch.cuda.empty_cache()
    print(f"-- {name}: {time.monotonic() - started:.1f} s", flush=True)


def poison() -> None:
    """Leaves NaN in the memory that the next outputs are made of."""
    torch.cuda.empty_cache()
    torch.full((1 << 29,), float("nan"), device=CUDA)


def relative_error(found: Tensor, expected: Tensor) -> float:
    found, expected = found.double(), expected.double()
    return ((found - expected).norm() / expected.norm()).item()


def draw(*shape: int, dtype: torch.dtype = BF16, scale: float = 1.0) -> Tensor:
    return torch.randn(*shape, device=CUDA, dtype=torch.float32).mul_(scale).to(dtype)


def dequantized(rows_out: tuple[Tensor, Tensor]) -> Tensor:
    return rows_out[0].float() * rows_out[1]


def finished(out: Tensor | UnscaledProduct) -> Tensor:
    """A product with its scales and bias."""
    if isinstance(out, Tensor):
        return out
    scaled = out.product.float() * out.row_scales * out.scales_1O
    return scaled if out.bias is None else scaled + out.bias


def in_fp8(layer: nn.Module) -> nn.Module:
    """The layer with fp8 linears."""
    layer = copy.deepcopy(layer)
    for path, module in list(layer.named_modules()):
        if isinstance(module, nn.Linear):
            layer.set_submodule(path, Fp8Linear(module))
    return layer
