"""The processes of one run: as many as ``torchrun`` started, or this one alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from framescribe.model.precision import choose_precision
from framescribe.model_spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Processes:
    """This process among those of the run.

    Attributes:
        rank: this one's number; the first, 0, writes and reports.
        count: how many there are.
        device: what this one computes on, and exchanges through.
    """

    rank: int
    count: int
    device: torch.device

    def total(self, values: Tensor) -> Tensor:
        """The sum of all processes' ``values``; for one process, these themselves."""
        if self.count > 1:
            values = values.clone()
            torch.distributed.all_reduce(values)
        return values

    def any_says(self, answer: bool) -> bool:
        """Whether one of the processes says yes. All must ask."""
        return (
            answer if self.count == 1 else bool(self.total(torch.tensor(float(answer), device=self.device)))
        )

    @contextmanager
    def first_goes_first(self) -> Iterator[None]:
        """The first process runs the block alone, the others after it: what it left on disk, they find."""
        if self.count > 1 and self.rank > 0:
            torch.distributed.barrier()
        yield
        if self.count > 1 and self.rank == 0:
            torch.distributed.barrier()


def is_first() -> bool:
    """Whether this process is the first of its run, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def chosen_device(device: str | torch.device) -> torch.device:
    """The device that a setting names for this process.

    Raises:
        UsageError: there is none of this name.
    """
    if device == "auto" and "LOCAL_RANK" in os.environ:
        device = f"cuda:{os.environ['LOCAL_RANK']}"
    return choose_precision(ModelSpec(device=device)).device


@contextmanager
def processes(device: torch.device) -> Iterator[Processes]:
    """Joins the processes that ``torchrun`` started, for as long as the block runs."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes(0, 1, device)
        return
    import torch.distributed.nn  # before there is a group: its functions' defaults would hold it for good
    from torch import distributed

    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(distributed.get_rank(), count, device)
    finally:
        distributed.destroy_process_group()
