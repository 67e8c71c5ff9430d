"""How far a run is: a bar on a terminal, below whatever is printed meanwhile; elsewhere a line now and then."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from framescribe.cli.console import are_one_terminal, err
from framescribe.cli.pace import Pace

if TYPE_CHECKING:
    from framescribe.types import CaptionRow

_LINE_S = 30.0
_BAR_WIDTH = 20


class Tracker:
    """Shows how far a run is. Use it in a ``with`` statement.

    Args:
        total: clips of the run.
        writing: how many tokens the longest caption that is being written has so far; None where that is not known.
    """

    def __init__(self, total: int, writing: Callable[[], int] | None = None) -> None:
        self._total, self._done, self._detail = total, 0, ""
        self._writing = writing
        self._pace = Pace(total, time.monotonic())
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._lines = threading.Thread(target=self._print_lines, daemon=True)
        # What is printed goes above the bar, if it goes to the same terminal.
        self._live = Live(
            self, console=err, transient=True, redirect_stdout=are_one_terminal(), auto_refresh=True
        )

    @property
    def clips_per_s(self) -> float:
        """Of late."""
        with self._lock:
            return self._pace.clips_per_s(time.monotonic())

    def __enter__(self) -> Tracker:
        if err.is_terminal:
            self._live.start()
        else:
            self._lines.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._is_over.set()
        self._live.stop()

    def show(self, done: int, detail: str = "", tokens: int | None = None) -> None:
        """So many clips are done, the last with so many tokens; ``detail`` is whatever else there is to say."""
        with self._lock:
            self._done, self._detail = done, detail
            self._pace.did(done, time.monotonic(), tokens)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # One line that fits: what the terminal itself would wrap could not be taken back.
        yield from console.render(ProgressBar(max(1, self._total), self._done, _BAR_WIDTH), options)
        line = Text(f" {self._line()}", no_wrap=True, end="")
        line.truncate(max(1, options.max_width - _BAR_WIDTH), overflow="ellipsis")
        yield line

    def _line(self) -> str:
        now = time.monotonic()
        with self._lock:
            if self._writing is not None:
                self._pace.writes(self._writing(), now)
            rate, left_s = self._pace.clips_per_s(now), self._pace.left_s(now)
        parts = [f"{self._done}/{self._total} clips"]
        if left_s is not None:
            parts += [f"{rate:.2f} clips/s", f"{_clock(left_s)} left"]
        return ", ".join(filter(None, (*parts, self._detail)))

    def _print_lines(self) -> None:
        while not self._is_over.wait(_LINE_S):
            err.print(self._line())


def track(
    rows: Iterable[CaptionRow], total: int, counts: Counter[str], writing: Callable[[], int] | None = None
) -> Iterator[CaptionRow]:
    """Passes rows on, counts them by status, and shows how far it is.

    Args:
        rows, total: of the run.
        counts: what they are counted in.
        writing: as in ``Tracker``.
    """
    with Tracker(total, writing) as tracker:
        for row in rows:
            counts[row.caption_status] += 1
            yield row
            tracker.show(counts.total(), tokens=row.output_tokens)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
