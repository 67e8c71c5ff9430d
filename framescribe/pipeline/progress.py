"""How far a run is: a bar on a terminal, below all that is printed; a line in a notebook; elsewhere a line at times."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar as Bar
from rich.text import Text

from framescribe.interrupts import uninterrupted
from framescribe.pipeline.observer import Observer
from framescribe.pipeline.pace import Pace
from framescribe.shown import shown

if TYPE_CHECKING:
    from framescribe.caption_row import CaptionRow

_LINE_S = 30.0
_NOTEBOOK_S = 0.5
_BAR_WIDTH = 20


class Tracker:
    """Shows how far a run is. Use it in a ``with`` statement.

    Args:
        total: rows of the run.
        console: of stderr.
        unit: what a row is of.
        writing: how many tokens the longest caption that is being written has so far; None where that is not known.
        redirect_stdout: whether stdout is on the same terminal: what is printed there then goes above the bar.
    """

    def __init__(
        self,
        total: int,
        console: Console,
        *,
        unit: str = "clips",
        writing: Callable[[], int] | None = None,
        redirect_stdout: bool = False,
    ) -> None:
        self._total, self._done, self._detail, self._unit = total, 0, "", unit
        self._writing = writing
        self._pace = Pace(total, time.monotonic())
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._console = console
        self._live = Live(
            self, console=console, transient=True, redirect_stdout=redirect_stdout, auto_refresh=True
        )
        self._notebook: Any = None
        self._shown_at = 0.0

    def __enter__(self) -> Tracker:
        try:
            with uninterrupted():
                self._start()
        except KeyboardInterrupt:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        if self._console.is_jupyter:
            from IPython.display import display

            # rich's own display needs ipywidgets, which not every notebook has.
            self._notebook = display(  # type: ignore[no-untyped-call]
                self._in_notebook(), raw=True, display_id=True
            )
        elif self._console.is_terminal:
            self._live.start()
        else:
            threading.Thread(target=self._print_lines, daemon=True).start()

    def __exit__(self, *exception: object) -> None:
        with uninterrupted():
            self._is_over.set()
            self._live.stop()
            if self._notebook is not None:
                self._notebook.update(self._in_notebook(), raw=True)

    def show(self, done: int, detail: str = "", tokens: int | None = None) -> None:
        """So many rows are done, the last with so many tokens; ``detail`` is whatever else there is to say."""
        now = time.monotonic()
        with self._lock:
            self._done, self._detail = done, detail
            self._pace.did(done, now, tokens)
        if self._notebook is not None and now - self._shown_at > _NOTEBOOK_S:
            self._shown_at = now
            self._notebook.update(self._in_notebook(), raw=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # One line that fits: what the terminal itself would wrap could not be taken back.
        yield from console.render(Bar(max(1, self._total), self._done, _BAR_WIDTH), options)
        line = Text(f" {self._line()}", no_wrap=True, end="")
        line.truncate(max(1, options.max_width - _BAR_WIDTH), overflow="ellipsis")
        yield line

    def _line(self) -> str:
        now = time.monotonic()
        with self._lock:
            if self._writing is not None:
                self._pace.writes(self._writing(), now)
            rate, left_s = self._pace.clips_per_s(now), self._pace.left_s(now)
        parts = [f"{self._done}/{self._total} {self._unit}"]
        if left_s is not None:
            parts += [f"{rate:.2f} {self._unit}/s", f"{_clock(left_s)} left"]
        return ", ".join(filter(None, (*parts, self._detail)))

    def _in_notebook(self) -> dict[str, str]:
        return {"text/plain": self._line()}

    def _print_lines(self) -> None:
        while not self._is_over.wait(_LINE_S):
            self._console.print(self._line())


class ProgressBar(Observer):
    """Shows a run's progress and what goes wrong, on stderr or in the notebook.

    Args:
        prints_captions: whether each caption is printed too.
        console: of stderr; None makes one.
        redirect_stdout: as in ``Tracker``.
    """

    def __init__(
        self,
        *,
        prints_captions: bool = False,
        console: Console | None = None,
        redirect_stdout: bool = False,
    ) -> None:
        self.prints_captions = prints_captions
        self.console = console or Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
        self._redirect_stdout = redirect_stdout
        self._tracker: Tracker | None = None
        self._statuses: Counter[str] = Counter()

    @contextmanager
    def captioning(self, total: int, longest_in_progress: Callable[[], int] | None) -> Iterator[None]:
        with Tracker(
            total, self.console, writing=longest_in_progress, redirect_stdout=self._redirect_stdout
        ) as self._tracker:
            yield

    def row(self, row: CaptionRow) -> None:
        if self.prints_captions:
            self.print_caption(row)
        if (problem := problem_of(row)) is not None:
            self.console.print(problem)
        self._statuses[row.caption_status] += 1
        if self._tracker is not None:
            self._tracker.show(self._statuses.total(), tokens=row.output_tokens)

    def print_caption(self, row: CaptionRow) -> None:
        """The caption on stdout."""
        print(repr(row), flush=True)

    def progress(self, done: int, detail: str) -> None:
        if self._tracker is not None:
            self._tracker.show(done, detail)

    def problem(self, message: str) -> None:
        self.console.print(Text.assemble(("error ", "red"), shown(message)))


def problem_of(row: CaptionRow) -> Text | None:
    """What went wrong with a clip, or is missing from it."""
    from framescribe.quality.flags import DEFECTS

    if row.caption_status == "error":
        return Text.assemble(("error ", "red"), shown(row.error_message or ""))
    if row.error_message:
        return Text.assemble(("damaged ", "yellow"), shown(row.error_message))
    if row.caption_status == "success" and DEFECTS.isdisjoint(row.flags):
        return None
    what = row.caption_status if row.caption_status != "success" else ", ".join(row.flags)
    reason = f": ended after {row.output_tokens} tokens, as it loops" if row.finish_reason == "loop" else ""
    return Text.assemble((f"{what} ", "yellow"), shown(row.source_video), reason)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
