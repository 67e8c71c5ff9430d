"""The decoding processes of a captioner: started when needed, kept from one call to the next."""

from __future__ import annotations

from framescribe.errors import UsageError
from framescribe.task import DecodeLimits, DecoderChoice
from framescribe.video.cpus import usable_cpus
from framescribe.video.gpu import GpuDecoders
from framescribe.video.worker_process import Worker
from framescribe.video.workers import DecodeWorkers

# 8 of an H100's 16 cores kept it busy 82 % of the time with 720p clips of 6 s.
_MAX_DECODERS = 32


def decoding_threads() -> int:
    """How many threads keep the decoding of this machine's cores busy."""
    return min(_MAX_DECODERS, usable_cpus())


class Decoders:
    """The processes that decode clips, for calls that may overlap.

    Args:
        gpu: those of a GPU's decoder, where it has one that may be used.

    Attributes:
        gpu: likewise.
        idle: those that wait for the next call.
    """

    def __init__(self, gpu: GpuDecoders | None = None) -> None:
        self.gpu = gpu
        self.idle: list[Worker] = []

    def within(self, limits: DecodeLimits = DecodeLimits()) -> tuple[DecodeWorkers, int]:
        """The processes that decode clips within ``limits``, and how many threads keep them busy.

        Raises:
            UsageError: ``limits`` ask for a GPU's decoder, and there is none; or for no processes.
        """
        if limits.workers == 0:
            raise UsageError(
                "`decode_workers` must be at least 1 here: a video is decoded in a process of its own"
            )
        self.check(limits.decoder)
        gpu = None if limits.decoder == "cpu" else self.gpu
        workers = DecodeWorkers(self.idle, limits.timeout_s, limits.memory_gb, gpu)
        return workers, (limits.workers or decoding_threads()) + (0 if gpu is None else gpu.count)

    def check(self, decoder: DecoderChoice) -> None:
        """Raises UsageError if a GPU's decoder is asked for, and there is none."""
        if decoder == "gpu" and self.gpu is None:
            raise UsageError("`decoder=gpu`: load the captioner with it; this one has no video decoder")

    def close(self) -> None:
        """Ends those that are idle."""
        for worker in self.idle:
            worker.close()
        self.idle.clear()
