"""What may be told of a run as it goes, and what is known of it at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from framescribe.views import named_values_html

if TYPE_CHECKING:
    from framescribe.bound import Part
    from framescribe.caption_row import CaptionRow
    from framescribe.model_spec import ModelSpec
    from framescribe.pipeline.preflight import Preflight
    from framescribe.score_row import ScoreRow

Loaded = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What came of a run.

    Attributes:
        statuses: how many rows it wrote, by ``caption_status``.
        seconds: that captioning took, loading the model not included.
        output: where the rows went.
        unwritten: captions that could not be written beside their videos.
        unit: what a row is of: a clip, or one of a clip's captions where there are several prompts.
        note: what else there is to say; if nothing was left to do, why.
        shares: of its time, what went to ``decoding`` (the model had room for clips that were not decoded yet), to the
            ``model``, and to ``output``, the writing of rows.
        preflight: what was found of the clips before; None where they were only counted.
    """

    statuses: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    output: str | None = None
    unwritten: int = 0
    unit: str = "clip"
    note: str = ""
    shares: Mapping[Part, float] = field(default_factory=dict)
    preflight: Preflight | None = field(default=None, repr=False)

    @property
    def rows(self) -> int:
        """How many rows it wrote."""
        return sum(self.statuses.values())

    @property
    def has_failures(self) -> bool:
        """Whether a clip failed, or a caption could not be written."""
        return bool(self.statuses.get("error") or self.unwritten)

    def __str__(self) -> str:
        if not self.rows:
            return self.note[:1].upper() + self.note[1:] if self.note else "No clip was captioned"
        by_status = ", ".join(
            f"{number} {status}"
            for status, number in sorted(self.statuses.items(), key=lambda pair: -pair[1])
        )
        rate = f", {self.rows / self.seconds:.2f} {self.unit}s/s" if self.seconds > 0 else ""
        what = self.unit if self.rows == 1 else f"{self.unit}s"
        note = f"; {self.note}" if self.note else ""
        return f"{self.rows} {what} in {self.seconds:.1f} s{rate}: {by_status}{note}"

    def __repr__(self) -> str:
        return f"<RunSummary {self}{f' -> {self.output}' if self.output else ''}>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        figures: dict[str, object] = {f"{self.unit}s": self.rows, **self.statuses}
        if self.rows and self.seconds > 0:
            figures[f"{self.unit}s/s"] = f"{self.rows / self.seconds:.2f}"
        named = {"output": self.output, "not written": self.unwritten, "note": self.note}
        return named_values_html({**figures, **{name: value for name, value in named.items() if value}})


class Observer:
    """Is told of a run as it goes. Override what you want to know of; nothing that you do here changes the run.

    On a cluster rows are written by the hosts: there ``row`` is not called, and ``progress`` is.
    """

    def found(self, report: Preflight) -> None:
        """The clips were looked at, before anything is loaded: for a folder, and on a dry run."""

    @contextmanager
    def loading(self, model: ModelSpec) -> Iterator[Loaded | None]:
        """The model loads within this block; what it yields is called with parameters loaded, and all there are."""
        yield None

    @contextmanager
    def captioning(self, total: int, longest_in_progress: Callable[[], int] | None) -> Iterator[None]:
        """Clips are being captioned within this block.

        Args:
            total: rows to come, at most.
            longest_in_progress: how many tokens the longest caption that is being written has; None on a cluster, and
                where a server captions.
        """
        yield

    def row(self, row: CaptionRow) -> None:
        """A row was written."""

    def progress(self, done: int, detail: str) -> None:
        """So many rows are done on a cluster, or clips scored, and what else there is to say."""

    def scored(self, rows: Sequence[ScoreRow]) -> None:
        """A clip was scored: a row for each scorer."""

    def problem(self, message: str) -> None:
        """Something went wrong with a clip that no row tells of."""

    def finished(self, summary: RunSummary) -> None:
        """The run is over, also by an error or Ctrl-C."""
