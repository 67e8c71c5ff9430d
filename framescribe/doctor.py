"""What framescribe finds on this machine: devices, versions, extras, checkpoints, and problems."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from framescribe.extras import missing, required
from framescribe.version import __version__

_NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
_LOW_DISK_BYTES = 1e9


def examine() -> dict[str, Any]:
    """Examines the machine and the installation, without loading a model or using the network.

    Returns:
        Plain JSON values: ``versions`` by package; ``devices``, each with ``name``, ``memory_bytes``, ``free_bytes``,
        ``quant`` (the quantizations that run there) and ``video_decoders`` (that a GPU has and that can be used);
        ``extras``: the missing packages of each, by its name; ``checkpoints``: ``name``, ``bytes`` and ``folder`` of
        each model that is here; ``folders``: where downloads and temporary files go, with ``free_bytes``; ``problems``:
        sentences that say what is wrong and what to do.
    """
    found: dict[str, Any] = {
        "versions": _versions(),
        "devices": _devices(),
        "extras": missing(),
        "checkpoints": _checkpoints(),
        "folders": _folders(),
    }
    return found | {"problems": _problems(found)}


def _versions() -> dict[str, str]:
    system = f"{platform.system()} {platform.release()}, {platform.machine()}"
    packages = {name: _version(name) for name in required()}
    return {"framescribe": __version__, "python": platform.python_version(), "system": system} | packages


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _devices() -> list[dict[str, Any]]:
    import torch

    from framescribe.model.precision import available_bytes, total_bytes
    from framescribe.video.nvdec.name import engines

    kinds = [torch.device("cpu")]
    kinds += [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
    kinds += [torch.device("mps")] if torch.backends.mps.is_available() else []
    devices = []
    for device in kinds:
        name, quants, decoders = f"{os.cpu_count()} cores", ["8", "4"], 0
        if device.type == "cuda":
            name, decoders = torch.cuda.get_device_name(device), engines(device.index)
            if torch.cuda.get_device_capability(device) >= (8, 9):
                quants += ["fp8", "fp8-kv"]
        devices.append(
            {
                "device": str(device),
                "name": name,
                "memory_bytes": total_bytes(device),
                "free_bytes": available_bytes(device),
                "quant": quants,
                "video_decoders": decoders,
            }
        )
    return devices


def _checkpoints() -> list[dict[str, Any]]:
    from framescribe.model.hub import local_checkpoints

    return [
        {"name": name, "bytes": size, "folder": str(folder)} for name, folder, size in local_checkpoints()
    ]


def _folders() -> dict[str, dict[str, Any]]:
    from framescribe.model.hub import cache_folder

    return {
        use: {"folder": str(folder), "free_bytes": _free_bytes(folder)}
        for use, folder in (("checkpoints", cache_folder()), ("temporary", Path(tempfile.gettempdir())))
    }


def _free_bytes(folder: Path) -> int:
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(existing).free


def _problems(found: dict[str, Any]) -> list[str]:
    import torch

    problems = []
    if _NVIDIA_DRIVER.exists() and not torch.cuda.is_available():
        reason = (
            "this torch was built without CUDA; install a build with it"
            if torch.version.cuda is None
            else f"its CUDA {torch.version.cuda} needs a newer driver; update the driver, or install an older torch"
        )
        problems.append(f"there is an NVIDIA driver, but torch sees no GPU: {reason}")
    for use, folder in found["folders"].items():
        if folder["free_bytes"] < _LOW_DISK_BYTES:
            problems.append(
                f"{folder['folder']} ({use}) has {folder['free_bytes'] / 1e9:.1f} GB free; make room, or set "
                + ("HF_HOME" if use == "checkpoints" else "TMPDIR")
            )
    return problems
