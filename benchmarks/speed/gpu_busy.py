"""How busy a GPU is: the driver's own share of time in which a kernel ran, sampled while something else runs."""

from __future__ import annotations

import ctypes
import statistics
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

_LIBRARY = "libnvidia-ml.so.1"
# The driver renews its figure about six times a second.
_EVERY_S = 0.2


@dataclass(slots=True)
class Busy:
    """``share`` of the time, once the sampling is over; None where the driver tells none."""

    share: float | None = None


@contextmanager
def gpu_busy(device: torch.device) -> Iterator[Busy]:
    """Samples from entry to exit."""
    busy = Busy()
    utilisation = _utilisation(device) if device.type == "cuda" else None
    if utilisation is None:
        yield busy
        return
    with sampled(utilisation, _EVERY_S) as shares:
        yield busy
    busy.share = statistics.mean(shares) if shares else None


@contextmanager
def sampled(sample: Callable[[], float | None], every_s: float) -> Iterator[list[float]]:
    """What ``sample`` gives every ``every_s`` seconds, in a thread of its own; Nones are left out."""
    samples: list[float] = []
    is_over = threading.Event()

    def take() -> None:
        while not is_over.wait(every_s):
            if (value := sample()) is not None:
                samples.append(value)

    thread = threading.Thread(target=take, name="gpu-busy")
    thread.start()
    try:
        yield samples
    finally:
        is_over.set()
        thread.join()


class _Utilization(ctypes.Structure):
    """nvmlUtilization_t: percent of the last sample period."""

    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


def _utilisation(device: torch.device) -> Callable[[], float | None] | None:
    """A function that asks the driver through NVML; None where that is not to be had."""
    try:
        nvml = ctypes.CDLL(_LIBRARY)
    except OSError:
        return None
    handle, found = ctypes.c_void_p(), _Utilization()
    uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}".encode()
    if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetHandleByUUID(uuid, ctypes.byref(handle)):
        return None

    def ask() -> float | None:
        failed = nvml.nvmlDeviceGetUtilizationRates(handle, ctypes.byref(found))
        return None if failed else found.gpu / 100

    return ask
