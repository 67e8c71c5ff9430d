"""What a run tells as it goes: to its caller, to ``log.jsonl``, to TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framescribe.files import write_file

LOG_FILE = "log.jsonl"


@dataclass(frozen=True, slots=True)
class Progress:
    """What the loop reports every ``log_every`` steps; also a line of ``log.jsonl``.

    Attributes:
        step: optimizer steps done.
        loss: mean over the steps since the last report.
        learning_rate: of the last step.
        clips_per_s: over all processes, since the last report.
        seconds: of training so far, resumed parts together, validation included.
    """

    step: int
    loss: float
    learning_rate: float
    clips_per_s: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Validation:
    """What the model makes of clips it does not train on.

    Attributes:
        step: optimizer steps done.
        loss: mean over the validation clips.
        captions: (expected, generated) pairs.
    """

    step: int
    loss: float
    captions: list[tuple[str, str]]


Report = Callable[[Progress | Validation], None]


class TrainLog:
    """``log.jsonl`` and, where the package is installed, TensorBoard's files.

    A run that goes on forgets what it had logged after its last saved state: it does that again.

    Args:
        run: the run's folder.
        step: of the state that the run goes on from.
    """

    def __init__(self, run: Path, step: int) -> None:
        path = run / LOG_FILE
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        write_file(path, "".join(f"{line}\n" for line in lines if _step(line) <= step))
        self._file = path.open("a", encoding="utf-8")
        try:
            from torch.utils.tensorboard import SummaryWriter

            self._board: Any = SummaryWriter(run / "tensorboard", purge_step=step + 1)
        except ImportError:
            self._board = None

    def add(self, news: Progress | Validation) -> None:
        """Writes a line; it is on disk when this returns."""
        if isinstance(news, Progress):
            numbers = {
                "loss": news.loss, "learning_rate": news.learning_rate, "clips_per_s": news.clips_per_s,
                "seconds": news.seconds,
            }  # fmt: skip
        else:
            numbers = {"validation_loss": news.loss}
        self._file.write(json.dumps({"step": news.step, **numbers}) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in numbers.items():
                self._board.add_scalar(name, value, news.step)
            if isinstance(news, Validation):
                text = "\n\n".join(
                    f"expected: {right}  \ngenerated: {found}" for right, found in news.captions
                )
                self._board.add_text("captions", text, news.step)
            self._board.flush()

    def close(self) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()


def _step(line: str) -> float:
    """The step of a line of the log; of one that a kill cut off, none that is kept."""
    try:
        return int(json.loads(line)["step"])
    except ValueError:
        return float("inf")
