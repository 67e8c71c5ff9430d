"""Attention over the blocks of a cache, one query a sequence; writing the cache."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.kernels.report import (
    BF16,
    CUDA,
    PREFILL,
    Report,
    draw,
)
from framescribe.model.kernels import paged

# Blocks of a cache of 128 sequences of 1,700 tokens hold 0.9 GB a layer in bf16: no cache of the chip's holds that.
PAGED_CASES = [(1, 1700), (1, 20000), (8, 1700), (32, 1700), (128, 1700), (256, 600)]


def measure_paged(report: Report) -> None:
    """Decode attention by block size, warps, stages and splits; writing the cache."""
    for dtype in (BF16, torch.float8_e4m3fn):
        for batch, length in PAGED_CASES:
            for block_size in (64, 128):
                q, cache, arguments, expected = paged_case(batch, length, block_size, dtype)
                moved = 2 * batch * length * 8 * 128 * dtype.itemsize
                tag = f"paged attention {batch} x {length}, {str(dtype)[6:]}, blocks of {block_size}"
                report.measure(
                    f"{tag}, as chosen",
                    lambda q=q, a=arguments: paged.paged_attention(q, *a),
                    expected=expected,
                    moved=moved,
                )
                if (batch, length) not in ((1, 1700), (128, 1700)):
                    continue
                chosen = paged.choose_splits(batch, 8, arguments[2].shape[1], CUDA)
                variants = [(warps, stages, chosen) for warps in (2, 4, 8) for stages in (2, 3, 4)]
                variants += [(4, 3, splits) for splits in (1, 2, 4, 8) if splits != chosen]
                for warps, stages, splits in variants:
                    report.measure(
                        f"{tag}, {warps} warps, {stages} stages, {splits} splits",
                        lambda q=q, a=arguments, w=warps, s=stages, n=splits: paged.paged_attention(
                            q, *a, num_warps=w, num_stages=s, splits=n
                        ),
                        moved=moved,
                    )
                del cache
        k, v = draw(PREFILL, 8, 128), draw(PREFILL, 8, 128)
        keys, values = (torch.zeros(160, 8, 64, 128, device=CUDA, dtype=dtype) for _ in range(2))
        slots = torch.randperm(160 * 64, device=CUDA)[:PREFILL]
        report.measure(
            f"write_kv {PREFILL}, {str(dtype)[6:]}",
            lambda k=k, v=v, keys=keys, values=values, slots=slots: paged.write_kv(k, v, keys, values, slots),
            moved=2 * k.numel() * (2 + dtype.itemsize),
        )


def paged_case(
    batch: int, length: int, block_size: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor, tuple[Tensor, ...], Callable[[], Tensor]]:
    """Queries, the cache, the other arguments, and the expected output of sequences in scattered blocks."""
    blocks = -(-length // block_size)
    cache = torch.empty(2, batch * blocks, 8, block_size, 128, device=CUDA, dtype=dtype)
    for part in cache.flatten(0, 1).split(2048):
        part.copy_(torch.randn(part.shape, device=CUDA))
    q = draw(batch, 32, 128)
    tables = torch.randperm(batch * blocks, device=CUDA).int().view(batch, blocks)
    lengths = torch.full((batch,), length, dtype=torch.int32, device=CUDA)

    def expected() -> Tensor:
        out = []
        for row in range(batch):
            k, v = (
                part[tables[row].long()].transpose(0, 1).flatten(1, 2)[:, :length].float() for part in cache
            )
            scores = torch.einsum("kge,kse->kgs", q[row].view(8, 4, 128).float(), k) * 128**-0.5
            out.append(torch.einsum("kgs,kse->kge", scores.softmax(-1), v).flatten(0, 1))
        return torch.stack(out)

    return q, cache, (cache[0], cache[1], tables, lengths), expected
