"""The decode step as CUDA graphs, one for each of a few batch sizes: one launch instead of hundreds.

Without them a step at small batch waits for Python; where there are no kernels the step simply runs.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

# A batch takes the next size up: padding costs little, a capture a fraction of a second.
_SIZES = (1, 2, 4, 8, 16, 24, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256)


class GraphedStep:
    """Runs ``step(size)`` for any size, from a graph where there is one.

    Args:
        step: computes on the device, from fixed addresses, logits of the first ``size`` rows.
        max_size: of any batch.
        use_cuda_graphs: whether to use graphs; without, ``step`` is called as it is.
    """

    def __init__(self, step: Callable[[int], Tensor], max_size: int, *, use_cuda_graphs: bool) -> None:
        self._step = step
        self._sizes = (
            sorted({*(size for size in _SIZES if size < max_size), max_size}) if use_cuda_graphs else []
        )
        self._graphs: dict[int, tuple[torch.cuda.CUDAGraph, Tensor]] = {}
        self._warm: set[int] = set()
        self._pool: Any = None

    def __call__(self, size: int) -> Tensor:
        """Logits [size, W] of one step; valid until the next."""
        if not self._sizes:
            return self._step(size)
        padded = self._sizes[bisect_left(self._sizes, size)]
        if padded not in self._warm:
            # The first time as it is: kernels are compiled and libraries make their plans outside of a capture.
            logits_BW = self._step(padded)
            self._warm.add(padded)
            return logits_BW[:size]
        if padded not in self._graphs:
            self._graphs[padded] = self._capture(padded)
        graph, logits_BW = self._graphs[padded]
        graph.replay()
        return logits_BW[:size]

    def _capture(self, size: int) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        # Other threads go on preparing clips on the same device meanwhile.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            logits_BW = self._step(size)
        return graph, logits_BW
