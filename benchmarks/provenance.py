"""What a benchmark's figures were measured with."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from typing import Any


def provenance() -> dict[str, Any]:
    """Commit, versions and hardware, as JSON values."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    return {
        "commit": commit.stdout.strip(),
        "versions": {name: version(name) for name in ("framescribe", "torch", "av", "numpy", "pyarrow")}
        | {"python": platform.python_version()},
        "hardware": f"{platform.machine()}, {os.cpu_count()} cores",
        "load_before": round(os.getloadavg()[0], 2),
    }
