"""Who computes a run: the interface that this process and a cluster have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from framescribe.bound import TimeSpent

if TYPE_CHECKING:
    from framescribe.caption_row import CaptionRow
    from framescribe.pipeline.caption_run import CaptionRun
    from framescribe.pipeline.observer import Observer
    from framescribe.pipeline.run_session import RunSession
    from framescribe.task import ClipTask


class Output(Protocol):
    """Where rows go: text files, a file of rows, a dataset folder. Used in a ``with`` statement."""

    def __enter__(self) -> object: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def write(self, row: CaptionRow) -> None:
        """Takes a row.

        Raises:
            ClipError: this row cannot be written; others can.
            OSError: nothing can be written any more, such as on a full disk.
        """


@dataclass(frozen=True, slots=True)
class MadeBy:
    """What captions.

    Attributes:
        precision: as rows record it.
        hardware: what a rate is measured on.
        find_revision: finds the model's revision, which may take a download; None where a server does not tell.
        model: as rows record it, where the run does not name it.
        sent: what a server is sent of a clip, as rows record it; None where captions are computed here.
    """

    precision: str | None
    hardware: str
    find_revision: Callable[[], str | None]
    model: str | None = None
    sent: str | None = None


@dataclass(slots=True)
class Work:
    """What an executor is given, and what it has done of it.

    Attributes:
        run: how to caption.
        tasks: clips and questions, read as they are needed.
        total: rows to come, at most.
        session: of the folder that rows go to, if they go to one.
        outputs: where else rows go.
        statuses: rows so far, by ``caption_status``.
        unwritten: captions that could not be written beside their videos.
        spent: what the time goes to.
        started: when captioning began, by ``time.monotonic``; None before.
    """

    run: CaptionRun
    tasks: Iterator[ClipTask]
    total: int
    session: RunSession | None
    outputs: Sequence[Output]
    statuses: Counter[str] = field(default_factory=Counter)
    unwritten: int = 0
    spent: TimeSpent = field(default_factory=TimeSpent)
    started: float | None = None


class Executor(Protocol):
    """Captions the clips of a run.

    This process hands each row to the run's outputs. A cluster takes the dataset folder: its hosts write their rows
    there, and only progress comes back.
    """

    @property
    def made_by(self) -> MadeBy: ...

    def caption(self, work: Work, observer: Observer) -> None:
        """Captions all tasks.

        Raises:
            DeviceError: what computes failed for good; what was written is kept.
            OSError: rows cannot be written any more.
        """
