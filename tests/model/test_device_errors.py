"""Which errors mean that the device failed, and which that less at once may fit."""

import pytest
import torch

from framescribe.errors import DeviceError
from framescribe.model.device_errors import explain_out_of_memory, is_device_failure, is_out_of_memory

HOST = "[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 5 bytes"


@pytest.mark.parametrize(
    ("error", "device_failed", "memory_ran_out"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), False, True),
        (torch.OutOfMemoryError("CUDA error: out of memory"), False, True),
        (torch.AcceleratorError("CUDA error: an illegal memory access was encountered"), True, False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx`"), True, False),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), True, False),
        (RuntimeError("Triton Error [CUDA]: an illegal memory access was encountered"), True, False),
        (RuntimeError("a size must match: CUDA error is only told"), False, False),
        (RuntimeError(HOST), False, True),
        (MemoryError(), False, True),
        (ValueError("CUDA error"), False, False),
    ],
)
def test_what_an_error_means(error, device_failed, memory_ran_out):
    assert is_device_failure(error) is device_failed
    assert is_out_of_memory(error) is memory_ran_out


def test_running_out_of_memory_says_what_to_do_and_other_errors_pass():
    with (
        pytest.raises(DeviceError, match=r"^memory ran out loading the model: .*`batch_size` or `quant=8`"),
        explain_out_of_memory("loading the model"),
    ):
        raise MemoryError
    with pytest.raises(RuntimeError, match="another"), explain_out_of_memory("loading the model"):
        raise RuntimeError("another")
