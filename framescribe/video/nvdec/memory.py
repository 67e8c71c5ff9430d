"""Memory of a GPU that this process lends to one that decodes, and reads the pictures from."""

from __future__ import annotations

import contextlib
import math
from typing import Any

from framescribe.video.nvdec.cuda import Cuda, CudaError


class DeviceMemory:
    """One piece, made anew when more is needed; freed with the object.

    Args:
        device: number of the GPU.
    """

    def __init__(self, device: int) -> None:
        self._cuda = Cuda(device)
        self._address = 0

    def lend(self, size: int) -> bytes:
        """A handle of so many bytes, once the other process has let go of what it had; empty if there is no room."""
        self.free()
        try:
            with self._cuda.current():
                self._address = self._cuda.allocate(size)
                return self._cuda.export(self._address)
        except CudaError:
            return b""

    def pictures(self, shape: tuple[int, ...]) -> DevicePictures:
        """What was written there."""
        return DevicePictures(self._address, shape)

    def free(self) -> None:
        """Frees it, if the device still can."""
        address, self._address = self._address, 0
        if address:
            with contextlib.suppress(CudaError), self._cuda.current():
                self._cuda.free(address)


class DevicePictures:
    """uint8 in a GPU's memory, as ``torch.as_tensor`` and others take it."""

    def __init__(self, address: int, shape: tuple[int, ...]) -> None:
        assert math.prod(shape) > 0
        self.__cuda_array_interface__: dict[str, Any] = {
            "shape": shape,
            "typestr": "|u1",
            "data": (address, False),
            "strides": None,
            "version": 3,
        }
