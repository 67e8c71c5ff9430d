"""How busy a GPU is: ``nvidia-smi``'s share of time in which a kernel ran, sampled while something else runs."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

_EVERY_MS = 200


@dataclass(slots=True)
class Busy:
    """``share`` is there once the sampling is over; None without a GPU, or without ``nvidia-smi``."""

    share: float | None = None


@contextmanager
def gpu_busy(device: torch.device) -> Iterator[Busy]:
    """Samples from entry to exit."""
    busy, program = Busy(), shutil.which("nvidia-smi")
    if device.type != "cuda" or program is None:
        yield busy
        return
    command = [
        program,
        f"--id=GPU-{torch.cuda.get_device_properties(device).uuid}",
        "--query-gpu=utilization.gpu",
        "--format=csv,noheader,nounits",
        f"--loop-ms={_EVERY_MS}",
    ]
    with tempfile.TemporaryFile("w+") as samples:
        process = subprocess.Popen(command, stdout=samples, stderr=subprocess.DEVNULL)
        try:
            yield busy
        finally:
            process.terminate()
            process.wait()
        samples.seek(0)
        busy.share = mean_share(samples.read())


def mean_share(lines: str) -> float | None:
    """Mean of percentages, one a line, as a share; lines that are no number are left out."""
    percents = [float(line) for line in lines.split() if line.isdigit()]
    return statistics.mean(percents) / 100 if percents else None
