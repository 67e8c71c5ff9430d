"""How far a call is whose sources are read as it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from framescribe.caption_row import CaptionRow
from framescribe.distinct import Distinct
from framescribe.task import ClipTask

CaptionProgress = Callable[[int, int | None], None]


class CountedTasks(Iterator[ClipTask]):
    """Tasks, and how many questions those that were taken have."""

    def __init__(self, tasks: Iterator[ClipTask]) -> None:
        self._tasks = tasks
        self.questions = 0

    def __next__(self) -> ClipTask:
        task = next(self._tasks)
        self.questions += len(task.questions)
        return task


def told_of(
    rows: Iterator[CaptionRow], clips: Distinct, tasks: CountedTasks, progress: CaptionProgress
) -> Iterator[CaptionRow]:
    """The rows; ``progress`` is told of each, with how many there will be once that is known."""

    def total() -> int | None:
        return None if clips.count is None else tasks.questions

    done, said = 0, None
    for done, row in enumerate(rows, start=1):
        said = total()
        progress(done, said)
        yield row
    if said is None:  # how many there are was known only behind the last one
        progress(done, total())
