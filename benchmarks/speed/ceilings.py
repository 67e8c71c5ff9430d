"""The machine's ceilings, measured where the benchmark runs: matrix products and copies of sizes that fill it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from framescribe.model.precision import Precision

_REPEATS = 20


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What the device does at most.

    Attributes:
        matmul_flops_per_s: square matrix product in the activations' dtype.
        fp8_matmul_flops_per_s: the same in fp8, scaled per row; None where the device has none.
        copy_bytes_per_s: read and written, device to device.
        is_fp8: whether the linear layers run in fp8.
    """

    matmul_flops_per_s: float
    fp8_matmul_flops_per_s: float | None
    copy_bytes_per_s: float
    is_fp8: bool

    @property
    def attention_flops_per_s(self) -> float:
        return self.matmul_flops_per_s

    @property
    def linear_flops_per_s(self) -> float:
        if self.is_fp8 and self.fp8_matmul_flops_per_s is not None:
            return self.fp8_matmul_flops_per_s
        return self.matmul_flops_per_s


@torch.inference_mode()
def measure_ceilings(precision: Precision) -> Ceilings:
    """Over random data; about a second, and 4 GB of a GPU while it runs."""
    device, dtype = precision.device, precision.dtype
    is_cuda = device.type == "cuda"
    side, copied_bytes = (8192, 1 << 31) if is_cuda else (1024, 1 << 27)
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    out = torch.empty_like(a)
    matmul_s = typical_seconds(lambda: torch.mm(a, b, out=out), device)
    fp8_s = None
    if is_cuda and torch.cuda.get_device_capability(device) >= (8, 9):
        a_fp8, b_fp8 = (x.to(torch.float8_e4m3fn) for x in (a, b.t().contiguous()))
        scales = torch.ones(side, 1, device=device)
        fp8_s = typical_seconds(
            lambda: torch._scaled_mm(
                a_fp8,
                b_fp8.t(),
                scale_a=scales,
                scale_b=scales.t(),
                out_dtype=torch.bfloat16,
                use_fast_accum=True,
            ),
            device,
        )
    source = torch.randint(0, 255, (copied_bytes,), device=device, dtype=torch.uint8)
    target = torch.empty_like(source)
    copy_s = typical_seconds(lambda: target.copy_(source), device)
    flops = 2 * side**3
    return Ceilings(
        matmul_flops_per_s=flops / matmul_s,
        fp8_matmul_flops_per_s=None if fp8_s is None else flops / fp8_s,
        copy_bytes_per_s=2 * copied_bytes / copy_s,
        is_fp8=precision.is_fp8,
    )


def typical_seconds(work: Callable[[], object], device: torch.device) -> float:
    """Of one call, warmed up: the median by a GPU's clock; the least on a CPU, where other work only ever adds."""
    for _ in range(3):
        work()
    if device.type == "cuda":
        events, stream = [], torch.cuda.current_stream(device)
        for _ in range(_REPEATS):
            begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begun.record(stream)
            work()
            ended.record(stream)
            events.append((begun, ended))
        torch.cuda.synchronize(device)
        return statistics.median(float(begun.elapsed_time(ended)) / 1000 for begun, ended in events)
    seconds: list[float] = []
    for _ in range(_REPEATS):
        begun_s = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun_s)
    return min(seconds)
