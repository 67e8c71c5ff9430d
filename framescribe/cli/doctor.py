"""``framescribe doctor``: what this machine has, and its problems."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False) -> None:
    """Show this machine's devices, versions, extras and checkpoints, and report problems.

    It loads no model and needs no network. The exit code is 1 if there is a problem. Include the output in bug reports.

    Examples:
        framescribe doctor
        framescribe doctor --json
    """
    from framescribe.doctor import examine

    found = examine()
    if as_json:
        print(json.dumps(found))
    else:
        _print(found)
    if found["problems"]:
        raise typer.Exit(1)


def _print(found: dict[str, Any]) -> None:
    from framescribe.cli.console import err, out

    def line(name: str, text: str) -> None:
        out.print(f"{name:<16}{text}", markup=False)

    for name, version in found["versions"].items():
        line(name, version)
    for device in found["devices"]:
        memory = f"{_gb(device['free_bytes'])} of {_gb(device['memory_bytes'])} free"
        decoders = f"; {device['video_decoders']} video decoders" if device["video_decoders"] else ""
        line(device["device"], f"{device['name']}, {memory}; --quant {', '.join(device['quant'])}{decoders}")
    for extra, missing in found["extras"].items():
        line(f"[{extra}]", f"needs {', '.join(missing)}" if missing else "installed")
    for checkpoint in found["checkpoints"]:
        line("checkpoint", f"{checkpoint['name']}, {_gb(checkpoint['bytes'])}, {checkpoint['folder']}")
    for use, folder in found["folders"].items():
        line(use, f"{folder['folder']}, {_gb(folder['free_bytes'])} free")
    for problem in found["problems"]:
        err.print(f"problem: {problem}", markup=False)


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"
