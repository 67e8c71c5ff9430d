"""A GPU's decoder as other processes know it, and what this card has of them."""

from __future__ import annotations

import functools
from ctypes import byref
from dataclasses import dataclass

from framescribe.video.nvdec import cuvid
from framescribe.video.nvdec.cuda import Cuda, CudaError, Library
from framescribe.video.nvdec.decoder import Nvdec


@dataclass(frozen=True, slots=True)
class NvdecName:
    """The decoder of the GPU with this number, counted among those that a process may use."""

    device: int

    def opened(self) -> Nvdec:
        """This process's."""
        return _opened(self.device)

    def has_failed(self) -> bool:
        """Whether this process can do nothing more on the GPU."""
        try:
            self.opened().cuda.synchronize()
        except CudaError:
            return True
        return False


@functools.lru_cache(maxsize=1)
def _opened(device: int) -> Nvdec:
    return Nvdec(device)


def engines(device: int) -> int:
    """How many pictures the GPU decodes at once; 0 where it cannot, or the driver's decoder is not there."""
    try:
        call = Library("libnvcuvid.so.1")
        caps = cuvid.DecodeCaps(codec=cuvid.CODECS["h264"], chroma_format=cuvid.CHROMA_420)
        with Cuda(device).current():
            call("cuvidGetDecoderCaps", byref(caps))
    except (OSError, CudaError):
        return 0
    return int(caps.num_decoders) if caps.is_supported else 0
