"""The few calls of the CUDA driver that decoding needs: memory, also of other processes, and copies. No torch.

Source: cuda.h of CUDA 12.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import Structure, byref, c_char, c_int, c_size_t, c_uint, c_uint64, c_void_p
from typing import Any

HANDLE_BYTES = 64

_BLOCKING_SYNC = 4
_LAZY_PEER_ACCESS = 1
_ON_DEVICE = 2


class CudaError(Exception):
    """A call failed; ``code`` is the driver's."""

    def __init__(self, call: str, code: int) -> None:
        super().__init__(f"{call} failed with CUDA error {code}")
        self.code = code


class _IpcHandle(Structure):
    _fields_ = [("reserved", c_char * HANDLE_BYTES)]


class _Copy2D(Structure):
    """CUDA_MEMCPY2D."""

    _fields_ = [
        ("src_x", c_size_t),
        ("src_y", c_size_t),
        ("src_type", c_uint),
        ("src_host", c_void_p),
        ("src_device", c_uint64),
        ("src_array", c_void_p),
        ("src_pitch", c_size_t),
        ("dst_x", c_size_t),
        ("dst_y", c_size_t),
        ("dst_type", c_uint),
        ("dst_host", c_void_p),
        ("dst_device", c_uint64),
        ("dst_array", c_void_p),
        ("dst_pitch", c_size_t),
        ("width", c_size_t),
        ("height", c_size_t),
    ]


class Library:
    """A shared library whose functions return an error code.

    Raises:
        OSError: it is not there.
    """

    def __init__(self, name: str) -> None:
        self._library = ctypes.CDLL(name)

    def __call__(self, function: str, *args: Any) -> None:
        """Calls a function.

        Raises:
            CudaError: it failed.
        """
        code = getattr(self._library, function)(*args)
        if code != 0:
            raise CudaError(function, code)


class Cuda:
    """One device's primary context, which it shares with whatever else this process does there.

    Args:
        device: its number, counted among those that this process may use.
        is_patient: whether threads of this process that wait for the device leave their core to others.

    Raises:
        OSError: there is no driver.
        CudaError: there is no such device, or it has failed.
    """

    def __init__(self, device: int, is_patient: bool = False) -> None:
        self._call = Library("libcuda.so.1")
        self._call("cuInit", c_uint(0))
        number = c_int()
        self._call("cuDeviceGet", byref(number), c_int(device))
        self._context = c_void_p()
        if is_patient:
            self._call("cuDevicePrimaryCtxSetFlags_v2", number, c_uint(_BLOCKING_SYNC))
        self._call("cuDevicePrimaryCtxRetain", byref(self._context), number)

    def make_current(self) -> None:
        """What this thread calls from now on is for this device."""
        self._call("cuCtxSetCurrent", self._context)

    @contextmanager
    def current(self) -> Iterator[None]:
        """What this thread calls within the block is for this device; then for the one that it was for before."""
        self._call("cuCtxPushCurrent_v2", self._context)
        try:
            yield
        finally:
            self._call("cuCtxPopCurrent_v2", byref(c_void_p()))

    def allocate(self, size: int) -> int:
        """The address of ``size`` bytes on the device."""
        address = c_uint64()
        self._call("cuMemAlloc_v2", byref(address), c_size_t(size))
        return address.value

    def free(self, address: int) -> None:
        """Frees what ``allocate`` gave, once all work that is under way is done."""
        self._call("cuMemFree_v2", c_uint64(address))

    def export(self, address: int) -> bytes:
        """A handle by which another process can open this memory."""
        handle = _IpcHandle()
        self._call("cuIpcGetMemHandle", byref(handle), c_uint64(address))
        return bytes(handle)

    def open(self, handle: bytes) -> int:
        """The address of another process's memory."""
        address = c_uint64()
        self._call(
            "cuIpcOpenMemHandle_v2",
            byref(address),
            _IpcHandle.from_buffer_copy(handle),
            c_uint(_LAZY_PEER_ACCESS),
        )
        return address.value

    def close(self, address: int) -> None:
        """Lets go of another process's memory."""
        self._call("cuIpcCloseMemHandle", c_uint64(address))

    def copy_rows(self, source: int, pitch: int, target: int, width: int, height: int) -> None:
        """Copies ``height`` rows of ``width`` bytes, ``pitch`` bytes apart, to memory in which they lie closely."""
        copy = _Copy2D(
            src_type=_ON_DEVICE,
            src_device=source,
            src_pitch=pitch,
            dst_type=_ON_DEVICE,
            dst_device=target,
            dst_pitch=width,
            width=width,
            height=height,
        )
        self._call("cuMemcpy2DAsync_v2", byref(copy), c_void_p(0))

    def synchronize(self) -> None:
        """Waits for all work of this context."""
        self._call("cuCtxSynchronize")
