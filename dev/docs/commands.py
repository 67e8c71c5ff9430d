"""The command reference: what each command's function declares of its arguments and options."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from typer.models import ArgumentInfo, OptionInfo

from framescribe.cli.main import app

_HEAD = """# Commands

`framescribe COMMAND --help` shows the same in a terminal; `-v` before or behind the command's name logs details.
`framescribe --install-completion` teaches the shell to complete names and values.

| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | a clip or the output failed |
| 2 | wrong usage; nothing was done |
| 3 | the device failed; what was done is kept |
| 70 | a bug in framescribe, shown with its traceback |
| 130 | stopped by Ctrl-C; what was written is kept |
| 141 | the reader of the output closed it |
"""
_NAMES = {int: "INTEGER", float: "NUMBER", str: "TEXT", Path: "PATH"}


def page() -> str:
    """The page ``docs/commands.md``."""
    commands = [(info.name, info.callback) for info in app.registered_commands]
    return "\n".join([_HEAD, *(line for name, call in commands if call for line in _command(name, call))])


def _command(name: str | None, command: Callable[..., Any]) -> Iterator[str]:
    text, _, examples = inspect.cleandoc(command.__doc__ or "").partition("\nExamples:\n")
    name = name or command.__name__
    arguments, panels = _parameters(command)
    yield f"## {name}\n"
    yield f"{text.strip()}\n"
    usage = " ".join(["framescribe", name, "[OPTIONS]", *(shown for shown, _ in arguments)])
    yield f"```console\n{usage}\n```\n"
    if examples:
        lines = "\n".join(line.strip() for line in examples.strip().splitlines())
        yield f"```bash\n{lines}\n```\n"
    if arguments:
        yield from _table("argument", [(f"`{shown}`", meaning) for shown, meaning in arguments])
    for panel, rows in panels.items():
        yield from _table(panel, rows)


def _table(head: str, rows: list[tuple[str, str]]) -> Iterator[str]:
    yield f"| {head} | |\n| --- | --- |"
    yield from (f"| {left} | {right} |" for left, right in rows)
    yield ""


def _parameters(
    command: Callable[..., Any],
) -> tuple[list[tuple[str, str]], dict[str, list[tuple[str, str]]]]:
    """Arguments, and options by their panel, each as it is typed and what it means."""
    hints = get_type_hints(command, include_extras=True)
    arguments: list[tuple[str, str]] = []
    panels: dict[str, list[tuple[str, str]]] = {}
    for parameter in inspect.signature(command).parameters.values():
        kind, *notes = get_args(hints[parameter.name])
        info = next(note for note in notes if isinstance(note, ArgumentInfo | OptionInfo))
        if isinstance(info, ArgumentInfo):
            many = "..." if get_origin(kind) is list else ""
            shown = f"{info.metavar or parameter.name.upper()}{many}"
            if parameter.default is not parameter.empty:
                shown = f"[{shown}]"
            arguments.append((shown, _cell(info.help or "")))
        elif not info.hidden:
            panel = info.rich_help_panel if isinstance(info.rich_help_panel, str) else "option"
            meaning = _cell(f"{info.help or ''}{_default(parameter)}")
            panels.setdefault(panel, []).append((_option(parameter.name, kind, info), meaning))
    return arguments, panels


def _option(name: str, kind: Any, info: OptionInfo) -> str:
    declared = (info.default, *(info.param_decls or ()))  # typer keeps the first in ``default``
    spelled = [part for part in declared if isinstance(part, str) and part.startswith("-")]
    if not any(part.startswith("--") for part in spelled):
        plain = name.replace("_", "-")
        spelled.insert(0, f"--{plain}/--no-{plain}" if kind is bool else f"--{plain}")
    value = info.metavar or _value(kind)
    names = ", ".join(f"`{part}`" for both in spelled for part in both.split("/"))
    return f"{names} {_cell(value)}".strip()


def _value(kind: Any) -> str:
    """What is typed behind an option; nothing for a flag."""
    if get_origin(kind) in (Union, types.UnionType):
        (kind,) = (part for part in get_args(kind) if part is not type(None))
    if get_origin(kind) is list:
        (kind,) = get_args(kind)
    if get_origin(kind) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(kind))
    return "" if kind is bool else _NAMES[kind]


def _default(parameter: inspect.Parameter) -> str:
    if parameter.default in ((), "") or any(
        parameter.default is none for none in (None, False, parameter.empty)
    ):
        return ""
    return " Default: on." if parameter.default is True else f" Default: `{parameter.default}`."


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
