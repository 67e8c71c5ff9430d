"""The command, in this process (quick) and in one of its own (signals, exit codes, what is imported)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner, Result

from framescribe.cli.main import app

COMMAND = Path(sys.executable).parent / "framescribe"


def invoke(*arguments: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


def start(*arguments: object, **options: object) -> subprocess.Popen[str]:
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        [COMMAND, *map(str, arguments)], text=True, errors="surrogateescape", **pipes | options
    )
