"""What all commands share: examples in their help, ``-v``, and how an error is reported, with which exit code."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from framescribe.errors import DeviceError, FramescribeError, UsageError
from framescribe.version import __version__

EXIT_FAILED, EXIT_USAGE, EXIT_DEVICE, EXIT_BUG, EXIT_INTERRUPTED, EXIT_BROKEN_PIPE = 1, 2, 3, 70, 130, 141

# A setting in a message of the library: `quant`, `quant=8`, `quant="fp8"`, `overwrite=True`.
_QUOTES = "\"'"
_SETTING = re.compile(r"`(?P<name>[a-z_]+)(?:=(?P<value>[^`]*))?`")
# Settings whose option's parameter has another name.
_PARAMETERS = {
    "num_frames": "frames", "start_s": "start", "end_s": "end", "decode_timeout_s": "decode_timeout",
    "decode_memory_gb": "decode_memory",
    "min_length_s": "min_length", "max_length_s": "max_length", "accepted_flags": "accept",
    "prompts": "prompt", "queue_clips": "ray_queue", "workers": "ray_workers", "workers_per_gpu": "ray_workers_per_gpu",
    "task_clips": "ray_task_clips", "cpus_per_decoder": "ray_decoder_cpus",
    "batch": "batch_size", "width": "frame_size", "height": "frame_size",
}  # fmt: skip


_invoked: ContextVar[Sequence[Any]] = ContextVar("parameters of the command that runs", default=())


class Command(TyperCommand):
    """A command with examples in its help that reports errors: one line if foreseen, a traceback for a bug.

    The lines below ``Examples:`` in the function's docstring, one command each, come at the end of its help.

    Exit codes: 1 a clip or the output failed, 2 wrong usage, 3 the device failed, 70 a bug, 130 Ctrl-C, 141 the reader
    of the output closed it, as in ``framescribe rows OUT | head``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        help_text, _, examples = str(kwargs.get("help") or "").partition("\nExamples:\n")
        self.examples = [line.strip() for line in examples.splitlines() if line.strip()]
        super().__init__(*args, **kwargs | {"help": help_text})

    def get_params(self, ctx: Any) -> list[Any]:
        """The command's own, and ``-v``, which may come before or after the command's name."""
        of_all = [] if ctx.parent is None else ctx.parent.command.params
        return _plain_flags(
            [*super().get_params(ctx), *(param for param in of_all if param.name == "verbose")]
        )

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        from framescribe.cli.console import out

        try:
            out.print(" Examples:\n", style="yellow")
            for example in self.examples:
                out.print(f"   {example}", markup=False)
            out.print()
        except BrokenPipeError as error:
            raise _closed_output() from error

    def invoke(self, ctx: Any) -> Any:
        _invoked.set(self.params)
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except KeyboardInterrupt as error:
            _tell("stopped by Ctrl-C. What was written is kept.")
            raise typer.Exit(EXIT_INTERRUPTED) from error
        except BrokenPipeError as error:
            raise _closed_output() from error
        except FramescribeError as error:
            kept = ". What was done is kept; run it again." if isinstance(error, DeviceError) else ""
            _tell(f"{in_flags(str(error), self.params)}{kept}")
            raise typer.Exit(_exit_code(error)) from error
        except MemoryError as error:
            _tell("memory ran out. What was done is kept; free some memory, or use a smaller model or batch.")
            raise typer.Exit(EXIT_DEVICE) from error
        except OSError as error:
            # A full disk, a vanished folder: what was written so far has been kept.
            from framescribe.cli.console import os_message

            _tell(os_message(error))
            try:
                sys.stdout.flush()
            except OSError:
                _drop_output()
            raise typer.Exit(EXIT_FAILED) from error
        except Exception as error:
            if not _is_ours(error):
                raise  # the framework's own, for its main loop
            traceback.print_exc()
            _tell(
                f"this is a bug in framescribe {__version__}. What was done is kept. Please report it with the "
                "traceback above and the output of `framescribe doctor`."
            )
            raise typer.Exit(EXIT_BUG) from error
        return result


class CommandGroup(TyperGroup):
    """``framescribe`` itself."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _plain_flags(super().get_params(ctx))


def _plain_flags(params: list[Any]) -> list[Any]:
    for param in params:
        if getattr(param, "is_flag", False) and param.metavar is None:
            param.metavar = ""  # a flag takes no value: its type says nothing
    return params


def _closed_output() -> typer.Exit:
    """Ends a command whose reader closed the output."""
    _drop_output()
    return typer.Exit(EXIT_BROKEN_PIPE)


def _drop_output() -> None:
    """Discards what is still buffered; the interpreter would complain about it when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def in_flags(message: str, parameters: Sequence[Any]) -> str:
    """Translates a library message into the command line's words: `` `quant=8` `` becomes ``--quant 8``.

    Args:
        message: has settings in backticks, by their names in Python.
        parameters: of the command; a setting without an option among them is left as it is.
    """
    options = {parameter.name: parameter for parameter in parameters if parameter.opts[0].startswith("-")}

    def flag(match: re.Match[str]) -> str:
        name, value = match["name"], match["value"]
        option = options.get(_PARAMETERS.get(name, name))
        if option is None:
            return match[0]
        if value == "False" and option.secondary_opts:
            return str(max(option.secondary_opts, key=len))
        spelled = str(max(option.opts, key=len))
        return spelled if value in (None, "True") else f"{spelled} {value.strip(_QUOTES)}"

    return _SETTING.sub(flag, message)


def as_flags(message: str) -> str:
    """``in_flags`` of the command that runs."""
    return in_flags(message, _invoked.get())


def _exit_code(error: FramescribeError) -> int:
    if isinstance(error, DeviceError):
        return EXIT_DEVICE
    return EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILED


def _is_ours(error: Exception) -> bool:
    """Whether an exception came from the command's work; others are how it talks to the command line's framework."""
    return not type(error).__module__.startswith(("click", "typer"))


def _tell(message: str) -> None:
    from rich.text import Text

    from framescribe.cli.console import new_err
    from framescribe.shown import shown

    # A console of its own: whatever state Ctrl-C left the other one in, this is printed.
    new_err().print(Text.assemble(("framescribe: ", "red"), shown(message)))
