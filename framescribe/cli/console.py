"""What people see: results on stdout; messages, progress and a summary on stderr, plainly if it is no terminal."""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from framescribe.errors import UsageError
from framescribe.interrupts import uninterrupted
from framescribe.shown import one_line, shown
from framescribe.views import span_name

if TYPE_CHECKING:
    from framescribe.caption_row import CaptionRow
    from framescribe.captioner import Captioner
    from framescribe.model_spec import ModelSpec
    from framescribe.task import DecoderChoice


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # ``Command`` ends every command in one way

    def print(self, *objects: Any, **options: Any) -> None:
        # rich holds back what it prints until a counter is down again: interrupted in between, it would for ever.
        with uninterrupted():
            super().print(*objects, **options)


out = _Console(highlight=False, soft_wrap=True, emoji=False)


def new_err() -> Console:
    """A console of stderr."""
    return _Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


err = new_err()

_REFUSALS = {
    errno.EACCES, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR, errno.EPERM, errno.EROFS,
}  # fmt: skip


class _OneLine(logging.Formatter):
    """Puts a message on one line, with nothing in it that a terminal obeys; a traceback follows below as it is."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return shown(super().formatMessage(record))


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to the current ``sys.stderr``, which a progress bar replaces so that lines go above it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


def are_one_terminal() -> bool:
    """Whether results and messages appear on the same screen, where a progress bar may be."""
    if not (out.is_terminal and err.is_terminal):
        return False
    try:
        return os.path.samestat(os.fstat(sys.stdout.fileno()), os.fstat(sys.stderr.fileno()))
    except (OSError, ValueError):  # not a file of the system
        return True


def set_up_logging(verbose: bool) -> None:
    """Sends the package's log to stderr, and other libraries' errors; with ``verbose`` their messages too."""
    handler = _StderrHandler()
    handler.setFormatter(_OneLine("%(message)s"))
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, handlers=[handler], force=True)
    logging.getLogger("framescribe").setLevel(logging.DEBUG if verbose else logging.INFO)
    if not verbose:
        os.environ.setdefault(
            "TORCH_LOGS", "-torch"
        )  # torch sets its loggers' levels by this as it is imported


@contextmanager
def loading_bar(model: ModelSpec) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal while a model loads, and a word about the bundled one. Yields what moves the bar."""
    from framescribe.model.hub import OFFICIAL_MODEL
    from framescribe.types import DEFAULT_MODEL

    if model.name == DEFAULT_MODEL:
        err.print(
            f"Using the bundled model `{DEFAULT_MODEL}`: it knows the synthetic world of `framescribe synthesize` and "
            f"nothing else. For real footage: --model {OFFICIAL_MODEL}"
        )
    columns = (
        TextColumn("Loading"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as bar:
        task = bar.add_task("load", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def tracked(unit: str) -> Iterator[Callable[[int, int], None]]:
    """Progress as long runs show it, from the first call of what is yielded: what is done, and how much there is."""
    from framescribe.pipeline.progress import Tracker

    with ExitStack() as stack:
        trackers: list[Tracker] = []

        def show(done: int, total: int) -> None:
            if not trackers:
                trackers.append(stack.enter_context(Tracker(total, err, unit=unit)))
            trackers[0].show(done)

        yield show


def load_captioner(
    model: ModelSpec, batch_size: int | None = None, decoder: DecoderChoice = "auto"
) -> Captioner:
    """``Captioner.from_pretrained`` with a bar."""
    from framescribe.captioner import Captioner

    with loading_bar(model) as loaded:
        return Captioner.from_pretrained(model, batch_size=batch_size, decoder=decoder, progress=loaded)


def print_caption(row: CaptionRow) -> None:
    """Prints the caption on stdout: under its path on a terminal, otherwise as a line ``path<TAB>caption``."""
    caption = shown(one_line(row.caption or ""))
    name = shown(span_name(row.source_video, row.start_s, row.end_s))
    if out.is_terminal:
        # The console that draws the bar knows how to print above it.
        screen = err if are_one_terminal() else out
        screen.print(Text(name, style="bold"))
        screen.print(Text(f"  {caption}\n"), soft_wrap=False)
    else:
        # Not through rich, which would turn the tab into spaces.
        print(f"{name}\t{caption}\n", end="", flush=True)  # in one piece: other threads may print, too


def os_message(error: OSError) -> str:
    """An error of the system as people read it: the path, and the reason."""
    if error.filename is None or error.strerror is None:
        return str(error)
    return f"{' -> '.join(str(name) for name in (error.filename, error.filename2) if name)}: {error.strerror}"


@contextmanager
def path_errors() -> Iterator[None]:
    """Turns errors about paths that the user named into UsageError; others, such as a full disk, stay OSError."""
    try:
        yield
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        raise UsageError(os_message(error)) from error
