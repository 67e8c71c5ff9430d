"""How many CPUs there are to decode with."""

from __future__ import annotations

import os


def usable_cpus() -> int:
    """CPUs that this process may run on: under taskset, Slurm or a container's cpuset fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
