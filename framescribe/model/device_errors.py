"""Which errors say that the device itself failed, so that nothing more can be done on it."""

from __future__ import annotations

import torch

# torch has a type for what CUDA's own calls raise; failures within cuBLAS, cuDNN and Triton are plain RuntimeErrors.
_BEGINNINGS = ("CUDA error", "cuDNN error", "Triton Error [CUDA]")


def is_device_failure(error: BaseException) -> bool:
    """Whether the device failed. Running out of its memory is no failure: less at once may fit."""
    if isinstance(error, torch.OutOfMemoryError):
        return False
    return isinstance(error, torch.AcceleratorError) or (
        isinstance(error, RuntimeError) and str(error).startswith(_BEGINNINGS)
    )
