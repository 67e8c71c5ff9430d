"""The host memory that this process may still take: the least of what machine, groups and limits leave."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import psutil

_ROOT = Path("/")


def host_free_bytes(root: Path = _ROOT) -> int:
    """Bytes that are free for this process now.

    Args:
        root: where ``proc`` and ``sys`` are.
    """
    return max(0, min([int(psutil.virtual_memory().available), *_in_groups(root), *_in_limits()]))


def host_total_bytes(root: Path = _ROOT) -> int:
    """Bytes that this process could have if no other took any."""
    return min([int(psutil.virtual_memory().total), *_group_limits(root)])


def _in_limits() -> Iterator[int]:
    """What is left of ``ulimit -v`` and ``ulimit -d``."""
    memory = psutil.Process().memory_info()
    for limit, used in (
        (resource.RLIMIT_AS, memory.vms),
        (resource.RLIMIT_DATA, getattr(memory, "data", None)),
    ):
        soft = resource.getrlimit(limit)[0]
        if soft != resource.RLIM_INFINITY and used is not None:
            yield soft - used


def _in_groups(root: Path) -> Iterator[int]:
    for folder, limit_file, usage_file, cache in _groups(root):
        limit, usage = _number(folder / limit_file), _number(folder / usage_file)
        if limit is not None and usage is not None:
            yield limit - usage + _reclaimable(folder, cache)


def _group_limits(root: Path) -> Iterator[int]:
    for folder, limit_file, _, _ in _groups(root):
        if (limit := _number(folder / limit_file)) is not None:
            yield limit


def _groups(root: Path) -> Iterator[tuple[Path, str, str, str]]:
    """Folders of this process's control groups and all above them, and what the files in them are called."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:  # version 2
            top, names = root / "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            top = root / "sys/fs/cgroup/memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        folder = top / path.strip("/")
        while True:  # a container may see its own group at the top, whatever its path says
            yield folder, *names
            if folder == top:
                break
            folder = folder.parent


def _number(path: Path) -> int | None:
    """None if there is no such file, or no limit."""
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _reclaimable(folder: Path, name: str) -> int:
    """Pages of files that the kernel gives back when it needs them; they count as used."""
    try:
        lines = (folder / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0)
