"""What a benchmark's figures were measured with."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


def provenance() -> dict[str, Any]:
    """Commit, versions and hardware, as JSON values; None for what is not there (a copy without git, a library)."""
    return {
        "commit": _commit(),
        "versions": {
            name: _version(name)
            for name in ("framescribe", "torch", "triton", "av", "numpy", "pyarrow", "ray")
        }
        | {"python": platform.python_version()},
        "hardware": f"{platform.machine()}, {os.cpu_count()} cores{_gpus()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


def _commit() -> str | None:
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():
        return None
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True, cwd=root
    )
    return commit.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _gpus() -> str:
    import torch

    return "".join(f", {torch.cuda.get_device_name(index)}" for index in range(torch.cuda.device_count()))
