"""The command, in this process (quick) and in one of its own (signals, exit codes, what is imported)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner, Result

from framescribe.cli.main import app

COMMAND = Path(sys.executable).parent / "framescribe"


def with_quick_model(arguments: tuple[object, ...]) -> list[str]:
    """Lets ``caption`` and ``ask`` use tiny-random where the arguments, which come later, name no other model."""
    command, *rest = map(str, arguments)
    model = ["--model", "tiny-random"] if command in ("caption", "ask") else []
    return [command, *model, *rest]


def invoke(*arguments: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, with_quick_model(arguments), input=stdin)


FEW_LINES = {"pipesize": 4096}
"""An option of ``start``: what the command says fills the pipe soon, and then it waits until it is read.

So a run of many clips is still at work when a test has read a few lines, however late the test is.
"""


def start(*arguments: object, **options: object) -> subprocess.Popen[str]:
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        [COMMAND, *with_quick_model(arguments)], text=True, errors="surrogateescape", **pipes | options
    )
