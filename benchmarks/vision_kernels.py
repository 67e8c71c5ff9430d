"""Candidates for the vision tower's slowest steps on one Hopper GPU: frame attention, and mlp_in with its GELU.

    python -m benchmarks.vision_kernels --json benchmarks/results/vision_kernels_h100.json

96 frames at official sizes, random data. Errors are relative (norms) to fp32 of plain torch, from outputs that lie in
memory full of NaN. Times are of 24 launches, over inputs that rotate. A variant that fails is a row with its error, one
that no time is left for says so. Only when asked for: ``--only inductor`` (torch.compile, half a minute), and
``--only specialised`` (a kernel whose warps wait for each other: give it a time limit). Last line: JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.kernels import poison, relative_error
from benchmarks.provenance import provenance
from framescribe.bench.ceilings import measure_ceilings
from framescribe.bench.official import OFFICIAL_CONFIG
from framescribe.model.attention import frame_attention
from framescribe.model.fp8 import quantise_rows
from framescribe.model.kernels import frames, products, rows
from framescribe.model.precision import Precision

CUDA, BF16 = torch.device("cuda"), torch.bfloat16
VISION = OFFICIAL_CONFIG.vision_config
FRAMES, WIDTH, OUTPUTS = 96, VISION.hidden_size, VISION.intermediate_size
TOKENS = FRAMES * VISION.num_positions
LAUNCHES, SETS = 24, 3
FLOPS = 2.0 * TOKENS * WIDTH * OUTPUTS
# Rows that are checked: the first tiles, and the ragged last.
CHECKED = torch.cat((torch.arange(512), torch.arange(TOKENS - 200, TOKENS)))

Tiling = products.Tiling
ATTENTION_TILINGS = {
    "128 x 64": frames.Tiling(),
    "128 x 64, by pointers": frames.Tiling(has_descriptors=False),
    "128 x 64, 168 registers": frames.Tiling(registers=168),
    "128 x 64, a whole tile for the last query": frames.Tiling(splits_queries=False),
    "64 x 64": frames.Tiling(64, 64, 4, registers=168),
    "64 x 64, whole tiles": frames.Tiling(64, 64, 4, splits_queries=False, splits_keys=False, registers=168),
    "64 x 32, 3 stages": frames.Tiling(64, 32, 4, 3, registers=168),
    "64 x 64, 3 stages": frames.Tiling(64, 64, 4, 3, registers=168),
    "128 x 32, 3 stages": frames.Tiling(128, 32, 8, 3),
    "128 x 128": frames.Tiling(128, 128, registers=None),
}
BF16_TILINGS = {
    "tanh": Tiling(has_fast_tanh=True),
    "tanh, 4 stages, 4 parts": Tiling(stages=4, parts=4, has_fast_tanh=True),
    "exp": Tiling(),
    "tanh, groups of 16": Tiling(group=16, has_fast_tanh=True),
    "tanh, 256 x 128": Tiling(256, 128, parts=1, has_fast_tanh=True),
    "tanh, not flat": Tiling(is_flat=False, has_fast_tanh=True),
}
FP8_TILINGS = {
    "tanh": Tiling(inputs=128, has_fast_tanh=True),
    "tanh, 4 stages, 4 parts": Tiling(inputs=128, stages=4, parts=4, has_fast_tanh=True),
    "exp": Tiling(inputs=128),
    "tanh, groups of 16": Tiling(inputs=128, group=16, has_fast_tanh=True),
    "tanh, 256 x 128": Tiling(256, 128, 128, parts=1, has_fast_tanh=True),
    "tanh, not flat": Tiling(inputs=128, is_flat=False, has_fast_tanh=True),
}


@dataclass
class Bench:
    """Rows of results, printed as they come."""

    ends_at: float
    rows: list[dict[str, Any]] = field(default_factory=list)

    def measure(
        self,
        group: str,
        name: str,
        work: Callable[[int], Any],
        *,
        error: Callable[[Any], float] | None = None,
        flops: float = 0,
    ) -> None:
        """``work`` takes the number of the inputs' set; ``error`` what it makes of set 0."""
        row: dict[str, Any] = {"group": group, "name": name}
        try:
            if time.monotonic() > self.ends_at:
                raise TimeoutError("no time left")
            if error is not None:
                poison()
                row["error"] = error(work(0))
            for turn in range(4):
                work(turn % SETS)
            begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            # Work for the GPU while launches queue up behind it.
            torch.cuda._sleep(4_000_000)
            begun.record()
            for turn in range(LAUNCHES):
                work(turn % SETS)
            ended.record()
            torch.cuda.synchronize()
            row["us"] = begun.elapsed_time(ended) * 1e3 / LAUNCHES
            if flops:
                row["tflop_per_s"] = flops / row["us"] / 1e6
        except Exception as problem:  # noqa: BLE001 - one variant's failure is a result, not the end
            row["failed"] = f"{type(problem).__name__}: {problem}"[:300]
        self.rows.append(row)

    def section(self, measure: Callable[[Bench], None]) -> None:
        """A group of rows; what fails while its data is made costs that group only."""
        try:
            measure(self)
        except Exception as problem:  # noqa: BLE001 - see above
            failed = f"{type(problem).__name__}: {problem}"[:300]
            self.rows.append({"group": measure.__name__, "name": "data", "failed": failed})
        torch.cuda.empty_cache()


def draw(*shape: int, scale: float = 1.0) -> Tensor:
    return torch.randn(*shape, device=CUDA).mul_(scale).to(BF16)


def measure_attention(bench: Bench) -> None:
    """Queries, keys and values as they lie in the output of the fused product."""
    sets = []
    for _ in range(SETS):
        heads = draw(FRAMES, VISION.num_positions, 3, VISION.num_heads, WIDTH // VISION.num_heads)
        sets.append(heads.permute(2, 0, 3, 1, 4))
    flops = 4.0 * WIDTH * TOKENS * VISION.num_positions
    few = torch.tensor([0, 1, FRAMES - 1], device=CUDA)

    def error(out: Tensor) -> float:
        assert out.transpose(1, 2).is_contiguous(), "the heads do not join without a copy"
        q, k, v = (x[few].float() for x in sets[0])
        weights = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1)
        return relative_error(out[few], weights @ v)

    bench.measure(
        "attention", "today's", lambda index: frame_attention(*sets[index]), error=error, flops=flops
    )
    for name, tiling in ATTENTION_TILINGS.items():
        bench.measure(
            "attention",
            name,
            lambda index, tiling=tiling: frames.frame_attention(*sets[index], tiling=tiling),
            error=error,
            flops=flops,
        )


def measure_bf16(bench: Bench) -> None:
    """mlp_in: the product with its bias and GELU, and the libraries' ways to parts of that."""
    weight, bias = draw(OUTPUTS, WIDTH, scale=WIDTH**-0.5), draw(OUTPUTS, scale=0.1)
    sets = [draw(TOKENS, WIDTH) for _ in range(SETS)]
    out = torch.empty(TOKENS, OUTPUTS, device=CUDA, dtype=BF16)
    checked = CHECKED.to(CUDA)

    def error(found: Tensor) -> float:
        expected = F.gelu(F.linear(sets[0][checked].float(), weight.float(), bias.float()))
        return relative_error(found[checked], expected)

    def halves(index: int) -> None:
        for x, part in zip(sets[index].chunk(2), out.chunk(2), strict=True):
            torch.addmm(bias, x, weight.t(), out=part)

    def with_library(library: str, work: Callable[[int], Any]) -> Callable[[int], Any]:
        def run(index: int) -> Any:
            before = torch.backends.cuda.preferred_blas_library()
            torch.backends.cuda.preferred_blas_library(library)
            try:
                return work(index)
            finally:
                torch.backends.cuda.preferred_blas_library(before)

        return run

    def epilogue(index: int) -> Tensor:
        return torch._addmm_activation(bias, sets[index], weight.t(), use_gelu=True)

    group = "mlp_in bf16 with GELU"
    bench.measure(group, "today's", epilogue, error=error, flops=FLOPS)
    for library in ("cublas", "cublaslt"):
        bench.measure(group, library, with_library(library, epilogue), error=error, flops=FLOPS)
    for name, tiling in BF16_TILINGS.items():
        bench.measure(
            group,
            f"Triton, {name}",
            lambda index, tiling=tiling: products.linear(sets[index], weight, bias, gelu=True, tiling=tiling),
            error=error,
            flops=FLOPS,
        )
    group = "mlp_in bf16, no GELU"
    ways: dict[str, Callable[[int], Any]] = {
        "F.linear with bias": lambda index: F.linear(sets[index], weight, bias),
        "F.linear without": lambda index: F.linear(sets[index], weight),
        "addmm": lambda index: torch.addmm(bias, sets[index], weight.t()),
        "mm": lambda index: torch.mm(sets[index], weight.t()),
    }
    for library in ("cublas", "cublaslt"):
        for name, work in ways.items():
            bench.measure(group, f"{name}, {library}", with_library(library, work), flops=FLOPS)
    bench.measure(group, "addmm, tokens in two halves", halves, flops=FLOPS)
    bench.measure(
        group,
        "Triton, with bias",
        lambda index: products.linear(sets[index], weight, bias),
        flops=FLOPS,
    )


class Fp8Data:
    """Operands of mlp_in in fp8, its products, and how far they are off."""

    def __init__(self) -> None:
        weight, self.bias = draw(OUTPUTS, WIDTH, scale=WIDTH**-0.5), draw(OUTPUTS, scale=0.1)
        whole = [draw(TOKENS, WIDTH) for _ in range(SETS)]
        self.sets, self.weights = [quantise_rows(x) for x in whole], quantise_rows(weight)
        self.scales_1O = self.weights.scales.t().contiguous()
        self.norm = (self.weights.values.float().norm(dim=-1) * self.weights.scales[:, 0]).max()
        self.largest_bias = self.bias.abs().max().float()
        self.bounds = [products.bound_scales(*x, self.norm, self.largest_bias) for x in self.sets]
        self.checked = CHECKED.to(CUDA)
        x = whole[0][self.checked].float()
        self.expected = F.gelu(F.linear(x, weight.float(), self.bias.float()))

    def error(self, found: Tensor, scales: Tensor | None = None) -> float:
        found = found[self.checked].float()
        return relative_error(found if scales is None else found * scales[self.checked], self.expected)

    def library(self, index: int, has_bias: bool = True) -> Tensor:
        values, scales = self.sets[index]
        return torch._scaled_mm(
            values, self.weights.values.t(), scale_a=scales, scale_b=self.scales_1O,
            bias=self.bias if has_bias else None, out_dtype=BF16, use_fast_accum=True,
        )  # fmt: skip

    def ours(
        self, linear: Callable[..., Tensor], tiling: Any, gelu: bool = True, quantises: bool = False
    ) -> Callable[[int], Tensor]:
        return lambda index: linear(
            self.sets[index].values, self.weights.values, self.bias, gelu=gelu,
            x_scales_T1=self.sets[index].scales, weight_scales_1O=self.scales_1O,
            out_scales_T1=self.bounds[index] if quantises else None, dtype=BF16, tiling=tiling,
        )  # fmt: skip

    def measure(self, bench: Bench, name: str, linear: Callable[..., Tensor], tiling: Any) -> None:
        """With its GELU, to bf16 and to fp8."""
        bench.measure(
            "mlp_in fp8 to bf16 with GELU", name, self.ours(linear, tiling), error=self.error, flops=FLOPS
        )
        bench.measure(
            "mlp_in fp8 to fp8 with GELU",
            f"{name}, bounded scales",
            self.ours(linear, tiling, quantises=True),
            error=lambda found: self.error(found, self.bounds[0]),
            flops=FLOPS,
        )


def measure_fp8(bench: Bench) -> None:
    """The same in fp8, and what must follow it until mlp_out has its rows in fp8."""
    data = Fp8Data()
    group = "mlp_in fp8, no GELU"
    bench.measure(group, "today's", data.library, flops=FLOPS)
    bench.measure(group, "without bias", lambda index: data.library(index, False), flops=FLOPS)
    bench.measure(group, "Triton", data.ours(products.linear, products.FP8_TILING, gelu=False), flops=FLOPS)
    for name, tiling in FP8_TILINGS.items():
        data.measure(bench, f"Triton, {name}", products.linear, tiling)
    bench.measure(
        "mlp_in fp8 to fp8 with GELU",
        "today's",
        lambda index: rows.quantise(data.library(index), "gelu"),
        error=lambda found: data.error(*found),
        flops=FLOPS,
    )
    hidden = [data.library(index) for index in range(SETS)]
    group = "rows to fp8, after mlp_in"
    for step in ("gelu", "none"):
        bench.measure(group, step, lambda index, step=step: rows.quantise(hidden[index], step))
    bench.measure(
        group,
        "bounded scales, ahead of it",
        lambda index: products.bound_scales(*data.sets[index], data.norm, data.largest_bias),
    )


def measure_specialised(bench: Bench) -> None:
    """The Gluon kernel, bf16 and fp8."""
    from framescribe.model.kernels import specialised

    weight, bias = draw(OUTPUTS, WIDTH, scale=WIDTH**-0.5), draw(OUTPUTS, scale=0.1)
    sets = [draw(TOKENS, WIDTH) for _ in range(SETS)]
    checked = CHECKED.to(CUDA)

    def error(found: Tensor) -> float:
        expected = F.gelu(F.linear(sets[0][checked].float(), weight.float(), bias.float()))
        return relative_error(found[checked], expected)

    bench.measure(
        "mlp_in bf16 with GELU",
        "today's",
        lambda index: torch._addmm_activation(bias, sets[index], weight.t(), use_gelu=True),
        error=error,
        flops=FLOPS,
    )
    for group in (8, 16, 4):
        tiling = specialised.Tiling(group=group)
        bench.measure(
            "mlp_in bf16 with GELU",
            f"Gluon, groups of {group}",
            lambda index, tiling=tiling: specialised.linear(
                sets[index], weight, bias, gelu=True, tiling=tiling
            ),
            error=error,
            flops=FLOPS,
        )
    bench.measure(
        "mlp_in bf16, no GELU",
        "Gluon",
        lambda index: specialised.linear(sets[index], weight, bias),
        flops=FLOPS,
    )
    data = Fp8Data()
    for stages, group in ((3, 8), (3, 16), (4, 8)):
        tiling = specialised.Tiling(inputs=128, stages=stages, group=group)
        data.measure(bench, f"Gluon, {stages} stages, groups of {group}", specialised.linear, tiling)


def measure_inductor(bench: Bench) -> None:
    """torch.compile's own search."""
    weight, bias = draw(OUTPUTS, WIDTH, scale=WIDTH**-0.5), draw(OUTPUTS, scale=0.1)
    sets = [draw(TOKENS, WIDTH) for _ in range(SETS)]

    def plain(x: Tensor) -> Tensor:
        return F.gelu(F.linear(x, weight, bias), approximate="tanh")

    compiled = torch.compile(plain, mode="max-autotune-no-cudagraphs", dynamic=False)
    bench.measure("mlp_in bf16 with GELU", "torch.compile", lambda index: compiled(sets[index]), flops=FLOPS)


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="where the results go")
    parser.add_argument("--only", help="sections whose name holds this")
    parser.add_argument("--seconds", type=float, default=45.0, help="after which no more variants start")
    arguments = parser.parse_args()
    started = time.monotonic()
    torch.manual_seed(0)
    ceilings = measure_ceilings(Precision(CUDA, "bf16"))
    bench = Bench(started + arguments.seconds)
    usual = (measure_attention, measure_fp8, measure_bf16)
    for measure in (*usual, measure_specialised, measure_inductor):
        if measure in usual if arguments.only is None else arguments.only in measure.__name__:
            bench.section(measure)
    bench.rows.sort(key=lambda row: (row["group"], row.get("us", float("inf"))))
    for row in bench.rows:
        time_us, rate, error = (row.get(key) for key in ("us", "tflop_per_s", "error"))
        print(
            f"{row['group']:30} {row['name']:44}",
            f"{time_us:7.0f} us" if time_us else f"{row.get('failed', ''):.100}",
            f"{rate:6.0f} TFLOP/s" if rate else "",
            f"error {error:.2g}" if error is not None else "",
        )
    result = provenance() | {
        "matmul_tflop_per_s": ceilings.matmul_flops_per_s / 1e12,
        "fp8_matmul_tflop_per_s": (ceilings.fp8_matmul_flops_per_s or 0) / 1e12,
        "copy_tb_per_s": ceilings.copy_bytes_per_s / 1e12,
        "seconds": time.monotonic() - started,
        "rows": bench.rows,
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
