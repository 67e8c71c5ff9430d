"""A GPU's decoder without a GPU: PyAV behind the interface of ``nvdec.decoder``, with memory of the host."""

import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from framescribe.task import ClipTask
from framescribe.types import CaptionSettings, Clip
from framescribe.video.gpu import GpuDecoders
from framescribe.video.nvdec.cuda import CudaError
from framescribe.video.nvdec.decoder import Damaged, Unfit


class HostMemory:
    """Lends files."""

    def __init__(self, is_full: bool = False) -> None:
        self._is_full = is_full
        self._path = Path(tempfile.mkdtemp()) / "pictures"

    def lend(self, size: int) -> bytes:
        if self._is_full:
            return b""
        self._path.write_bytes(bytes(size))
        return str(self._path).encode()

    def pictures(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.fromfile(self._path, np.uint8, int(np.prod(shape))).reshape(shape)

    def free(self) -> None:
        self._path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Named:
    """``does``: what this decoder does with a clip; ``works`` decodes it."""

    does: str = "works"

    def opened(self) -> "Decoder":
        return Decoder(self.does)

    def has_failed(self) -> bool:
        return self.does == "fails for good"


class Decoder:
    def __init__(self, does: str) -> None:
        self._does = does
        self.lent: np.ndarray | None = None

    def takes(self, codec: str, width: int, height: int) -> bool:
        return codec in ("h264", "hevc") and self._does != "takes nothing"

    def memory(self, size: int, lend: Callable[[int], bytes]) -> int:
        if self._does == "dies":
            os._exit(3)
        if self._does in ("fails once", "fails for good"):
            raise CudaError("on purpose", 719)
        if self._does == "hangs":
            time.sleep(3600)
        if not (handle := lend(size)):
            raise Unfit("no memory")
        self.lent = np.memmap(handle.decode(), np.uint8, "r+")
        return 0

    def run(self, codec: str, size: tuple[int, int], targets: Mapping[int, int]) -> "Run":
        return Run(self, codec, targets, self._does)


class Run:
    def __init__(self, decoder: Decoder, codec: str, targets: Mapping[int, int], does: str) -> None:
        self._context = av.CodecContext.create(codec, "r")
        self._decoder, self._targets, self._does = decoder, targets, does

    def feed(self, payload: bytes, pts: int) -> list[int]:
        packet = av.Packet(payload)
        packet.pts = pts
        return self._shown(packet)

    def finish(self) -> list[int]:
        return self._shown(None)

    def _shown(self, packet: av.Packet | None) -> list[int]:
        if self._does == "is damaged":
            raise Damaged("on purpose")
        if self._does == "finds another format":
            raise Unfit("on purpose")
        shown = []
        for frame in self._context.decode(packet):
            if (target := self._targets.get(frame.pts)) is not None:
                nv12 = frame.reformat(format="nv12").to_ndarray().ravel()
                assert self._decoder.lent is not None
                self._decoder.lent[target : target + nv12.size] = nv12
            shown.append(frame.pts + (self._does == "gives other stamps"))
        return shown

    def close(self) -> None:
        if self._decoder.lent is not None:
            self._decoder.lent.flush()


def decoders(does: str = "works", count: int = 1) -> GpuDecoders:
    return GpuDecoders(Named(does), count, lambda: HostMemory(is_full=does == "has no memory"))


def task(path: Path) -> ClipTask:
    return ClipTask.of(Clip(str(path)), [CaptionSettings().prompt])
