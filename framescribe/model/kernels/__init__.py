"""Triton kernels for CUDA: the steps between matrix products, and attention over a paged cache.

The only package that imports Triton. What each kernel computes is written in plain torch in ``model/fused.py`` and
``model/attention.py``, which ask here whether a tensor is one for the kernels.
"""

from __future__ import annotations

import functools
import importlib.util

import torch
from torch import Tensor


@functools.cache
def run_on(device: torch.device) -> bool:
    """Whether the kernels can run on ``device``."""
    return (
        device.type == "cuda"
        and importlib.util.find_spec("triton") is not None
        and torch.cuda.get_device_capability(device) >= (8, 0)
    )


@functools.cache
def _is_hopper(device: torch.device) -> bool:
    return torch.cuda.get_device_capability(device) >= (9, 0)


def have_tensor_memory(x: Tensor) -> bool:
    """Whether kernels that load through the tensor memory accelerator run where ``x`` is."""
    return have_kernels(x) and _is_hopper(x.device)


def have_kernels(x: Tensor) -> bool:
    """Whether the kernels run where ``x`` is. They give no gradients, and know nothing of autocast."""
    # In this order: torch.compile, which training uses, cannot look into ``run_on``.
    return not torch.is_grad_enabled() and not torch.is_autocast_enabled() and run_on(x.device)
