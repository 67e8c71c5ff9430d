"""What a benchmark's figures were measured with, and how they are told."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
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


def publish(figures: dict[str, Any], path: Path | None) -> None:
    """Writes figures to a file, if one is asked for, and prints them as the last line."""
    if path is not None:
        path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(figures))
