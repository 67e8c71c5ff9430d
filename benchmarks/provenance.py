"""What a benchmark's figures were measured with."""

from __future__ import annotations

import os
import platform
from typing import Any

from framescribe.bench.provenance import commit, versions


def provenance() -> dict[str, Any]:
    """Commit, versions and hardware, as JSON values; the commit is None in a copy without Git."""
    # Here, as it takes more memory than some of what is measured.
    import torch

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "commit": commit(),
        "versions": versions(),
        "hardware": ", ".join([platform.machine(), f"{os.cpu_count()} cores", *gpus]),
        "load_before": round(os.getloadavg()[0], 2),
    }
