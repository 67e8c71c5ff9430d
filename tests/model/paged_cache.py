"""A paged cache with sequences in it, and attention over them by its definition."""

from __future__ import annotations

import torch


class Paged:
    """A cache whose unused places are NaN, and sequences whose blocks lie anywhere in it."""

    def __init__(self, cache_dtype, lengths, kv_heads, head_size, block_size, device):
        generator = torch.Generator().manual_seed(0)
        blocks = max(1, -(-max(lengths) // block_size)) + 1
        self.dtype = torch.bfloat16 if cache_dtype == torch.float8_e4m3fn else cache_dtype
        self.lengths = lengths
        # Past a sequence's own blocks the table holds numbers that no cache has.
        self.tables = torch.full((len(lengths), blocks), 2**30, dtype=torch.int32)
        order = torch.randperm(len(lengths) * blocks, generator=generator).int().tolist()
        slots = []
        for row, length in enumerate(lengths):
            for index in range(-(-length // block_size)):
                self.tables[row, index] = order.pop()
            places = torch.arange(length)
            slots.append(self.tables[row, places // block_size].long() * block_size + places % block_size)
        self.slots = torch.cat([*slots, torch.tensor([-1])])
        shape = (len(lengths) * blocks, kv_heads, block_size, head_size)
        self.keys = torch.full(shape, float("nan")).to(device, cache_dtype)
        self.values = self.keys.clone()
        # Keys and values as the decoder has them: parts of a wider row.
        qkv = torch.randn(len(self.slots), 3 * kv_heads, head_size, generator=generator).to(self.dtype)
        self.k, self.v = qkv.to(device)[:, kv_heads:].chunk(2, dim=1)
        self.tables, self.slots = self.tables.to(device), self.slots.to(device)
        self.context_lens_B = torch.tensor(lengths, dtype=torch.int32, device=device)

    def expected(self, q_BHE):
        """Sequence by sequence in fp64, from what the cache's dtype holds of the keys and values."""
        q_BHE, out = q_BHE.double().cpu(), torch.zeros(q_BHE.shape, dtype=torch.float64)
        start = 0
        for row, length in enumerate(self.lengths):
            k, v = (
                x[start : start + length].to(self.keys.dtype).double().cpu().transpose(0, 1)
                .repeat_interleave(q_BHE.shape[1] // x.shape[1], 0)
                for x in (self.k, self.v)
            )  # fmt: skip
            if length:
                scores = torch.einsum("he,hse->hs", q_BHE[row], k) * q_BHE.shape[-1] ** -0.5
                out[row] = torch.einsum("hs,hse->he", scores.softmax(-1), v)
            start += length
        return out
