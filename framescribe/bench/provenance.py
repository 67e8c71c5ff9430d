"""What figures were measured with: processor, versions, commit."""

from __future__ import annotations

import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("framescribe", "torch", "triton", "torchao", "transformers", "numpy", "av", "pyarrow", "ray")


def commit() -> str | None:
    """The commit that this code is a checkout of; None where it is none, or Git is not there."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        # An environment inside somebody else's checkout is not of that commit.
        git("ls-files", "--error-unmatch", Path(__file__).name)
        return git("rev-parse", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        return None


def cpu_name() -> str:
    """The processor's model where the system tells it, else its architecture."""
    try:
        facts = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        facts = ""
    found = re.search(r"^model name\s*: (.*)$", facts, re.MULTILINE)
    return found[1] if found else platform.processor() or platform.machine()


def computed_on() -> dict[str, object]:
    """The processor, torch's threads on it, versions and commit: what figures of a CPU depend on."""
    import torch

    return {"cpu": cpu_name(), "threads": torch.get_num_threads(), "versions": versions(), "commit": commit()}


def versions() -> dict[str, str]:
    """The versions of Python and of those packages that are installed."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
