"""Which errors say that the device itself failed, so that nothing more can be done on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from framescribe.errors import DeviceError

_HOST_MEMORY = "can't allocate memory"  # of torch's allocator on CPUs, which raises a plain RuntimeError

# torch has a type for what CUDA's own calls raise; failures within cuBLAS, cuDNN and Triton are plain RuntimeErrors.
_BEGINNINGS = ("CUDA error", "cuDNN error", "Triton Error [CUDA]")


def is_device_failure(error: BaseException) -> bool:
    """Whether the device failed. Running out of its memory is no failure: less at once may fit."""
    if isinstance(error, torch.OutOfMemoryError):
        return False
    return isinstance(error, torch.AcceleratorError) or (
        isinstance(error, RuntimeError) and str(error).startswith(_BEGINNINGS)
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, the device's or the host's: less at once may fit."""
    return isinstance(error, torch.OutOfMemoryError) or is_out_of_host_memory(error)


def is_out_of_host_memory(error: BaseException) -> bool:
    """Whether the host's memory ran out."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _HOST_MEMORY in str(error))


@contextmanager
def explain_out_of_memory(what: str) -> Iterator[None]:
    """Turns running out of memory into a ``DeviceError`` that says what to do.

    Args:
        what: what memory was needed for, as it ends "memory ran out …".
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise out_of_memory_error(what) from error


def out_of_memory_error(what: str) -> DeviceError:
    """Says that memory ran out ``what``, and what to do."""
    return DeviceError(
        f"memory ran out {what}: free some, raise the process's or container's limit, use a smaller `batch_size` or "
        "`quant=8`, or a machine with more"
    )
