"""The training loop: settings in, a checkpoint out; the same call goes on where a killed run stopped."""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from framescribe.engine.engine import Engine
from framescribe.engine.request import Request
from framescribe.model.checkpoint import MAX_SHARD_BYTES, save_checkpoint
from framescribe.model.model import CaptionModel
from framescribe.train.batches import TrainBatch, without_caption
from framescribe.train.settings import TrainSettings
from framescribe.train.setup import Setup, set_up
from framescribe.train.state import load_state, save_state, state_folder
from framescribe.types import GenerationSettings

log = logging.getLogger("framescribe")

CHECKPOINT_FOLDER = "checkpoint"
LOG_FILE = "log.jsonl"


class LossNotFinite(ArithmeticError):
    """The loss became infinite or NaN. The last saved state is from before."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What the loop reports every ``log_every`` steps; also a line of ``log.jsonl``.

    Attributes:
        step: optimiser steps done.
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
        step: optimiser steps done.
        loss: mean over the validation clips.
        captions: (expected, generated) pairs.
    """

    step: int
    loss: float
    captions: list[tuple[str, str]]


Report = Callable[[Progress | Validation], None]


def train(
    settings: TrainSettings,
    run: Path,
    device: torch.device,
    report: Report,
    *,
    max_shard_bytes: int = MAX_SHARD_BYTES,
    max_minutes: float | None = None,
) -> Path | None:
    """Trains to the last step and writes the checkpoint.

    Several GPUs: start it under ``torchrun``; each process takes its own batches (DistributedDataParallel).

    Args:
        settings: all that decides the result.
        run: folder of the run: ``state/``, ``log.jsonl``, ``tensorboard/``, at the end ``checkpoint/``. A state in
            it is resumed.
        device: of this process.
        report: called with progress and validation, in the first process only.
        max_shard_bytes: of the checkpoint's files.
        max_minutes: stop after the step in which this call has taken so long; calling again goes on.

    Returns:
        The checkpoint's folder, or None if ``max_minutes`` ended it before the last step.

    Raises:
        ValueError: data, model or settings that do not fit; resuming with other settings.
        LossNotFinite: names the step and the clips.
    """
    with _processes() as (rank, world):
        setup = set_up(settings, run, device)
        loop = _Loop(settings, run, setup, report, rank, world)
        if not loop.finish(time.monotonic() + 60 * max_minutes if max_minutes else math.inf):
            return None
        checkpoint = run / CHECKPOINT_FOLDER
        if rank == 0:
            dtype = torch.bfloat16 if settings.bf16 else torch.float32
            save_checkpoint(setup.merge().to(dtype), checkpoint, setup.tokenizer_folder, max_shard_bytes)
        return checkpoint


@contextmanager
def _processes() -> Iterator[tuple[int, int]]:
    """This process's rank and how many there are: what ``torchrun`` says, or 0 of 1."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield 0, 1
        return
    from torch import distributed

    distributed.init_process_group()
    try:
        yield distributed.get_rank(), world
    finally:
        distributed.destroy_process_group()


class _Loop:
    def __init__(
        self, settings: TrainSettings, run: Path, setup: Setup, report: Report, rank: int, world: int
    ) -> None:
        self.settings, self.run, self.setup = settings, run, setup
        self.report, self.rank, self.world = report, rank, world
        self.model = setup.model
        self.device = self.model.device
        self.optimizer = _optimizer(self.model, settings)
        self.step, self.seconds_before = 0, 0.0
        if (saved := state_folder(run)) is not None:
            self.step, self.seconds_before = load_state(saved, self.model, self.optimizer, settings)
            log.info("going on after step %d of %d", self.step, settings.steps)
        self.forward: nn.Module = self.model
        if world > 1:
            from torch.nn.parallel import DistributedDataParallel

            self.forward = DistributedDataParallel(self.model, find_unused_parameters=False)
        self.writer = _Log(run, self.step) if rank == 0 else None
        self.started = time.monotonic()

    @property
    def seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.started

    def finish(self, deadline: float) -> bool:
        """Goes on to the last step, or, saving its state, until ``time.monotonic()`` passes ``deadline``.

        Returns whether the last step is done.
        """
        settings = self.settings
        # Losses stay on the device until a report: reading one waits for the GPU.
        losses: deque[tuple[Tensor, list[str]]] = deque()
        last_report, clips = time.monotonic(), 0
        batches = self.setup.source.batches(self._batch_numbers())
        self.model.train()
        while self.step < settings.steps:
            learning_rate = learning_rate_at(self.step, settings)
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate
            loss, clip_ids = self._one_step(batches)
            self.step += 1
            losses.append((loss, clip_ids))
            clips += len(clip_ids) * self.world
            stopping = self.step == settings.steps or time.monotonic() > deadline
            saving = stopping or self.step % settings.save_every == 0
            if saving or self.step % settings.log_every == 0:
                mean = self._checked_mean(losses)
                clips_per_s = clips / (time.monotonic() - last_report)
                self._report(Progress(self.step, mean, learning_rate, clips_per_s, self.seconds))
                losses.clear()
                last_report, clips = time.monotonic(), 0
            if self.step == settings.steps or self.step % settings.validate_every == 0:
                self._validate()
                last_report = time.monotonic()
            if saving:
                self._save()
            if stopping:
                break
        return self.step == settings.steps

    def _batch_numbers(self) -> range:
        """This process's batches, from the next step to the last."""
        per_step = self.settings.accumulation * self.world
        return range(self.step * per_step + self.rank, self.settings.steps * per_step, self.world)

    def _one_step(self, batches: Iterator[TrainBatch | None]) -> tuple[Tensor, list[str]]:
        """One optimiser step. Returns its mean loss, on the device, and the ids of its clips."""
        total = torch.zeros((), device=self.device)
        clip_ids: list[str] = []
        for part in range(self.settings.accumulation):
            batch = next(batches)
            if batch is None:
                continue
            clip_ids += batch.clip_ids
            last = part == self.settings.accumulation - 1
            with self._without_sync(last), self.setup.autocast():
                loss = self._loss(self.forward, batch) / self.settings.accumulation
            loss.backward()
            total += loss.detach()
        torch.nn.utils.clip_grad_norm_(
            [parameter for parameter in self.model.parameters() if parameter.requires_grad],
            self.settings.max_grad_norm,
        )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return total, clip_ids

    def _loss(self, forward: nn.Module, batch: TrainBatch) -> Tensor:
        batch = batch.to(self.device)
        loss: Tensor = forward(
            batch.input_ids_BL, batch.positions_BL, batch.is_vision_BL, batch.labels_BL, batch.pixels_F3SS
        )
        return loss

    def _without_sync(self, last: bool) -> AbstractContextManager[Any]:
        """Gradients of all but the last accumulated batch stay in this process."""
        return nullcontext() if last or self.forward is self.model else self.forward.no_sync()  # type: ignore[operator]

    def _checked_mean(self, losses: deque[tuple[Tensor, list[str]]]) -> float:
        values = [loss.item() for loss, _ in losses]
        for place, value in enumerate(values):
            if not math.isfinite(value):
                step = self.step - len(values) + place + 1
                clips = ", ".join(losses[place][1])
                raise LossNotFinite(
                    f"the loss is {value} at step {step}; clips of its batch: {clips}. The last state is kept "
                    f"in {state_folder(self.run) or 'no folder: none was saved yet'}"
                )
        return sum(values) / max(1, len(values))

    @torch.no_grad()
    def _validate(self) -> None:
        if self.rank != 0 or not self.setup.validation:
            return
        self.model.eval()
        # Eager: compiling for the shapes of generation would cost more than it gives.
        with torch.compiler.set_stance("force_eager"):
            with self.setup.autocast():
                losses = [float(self._loss(self.model, batch)) for batch in self.setup.validation]
            captions = self._generate()
        self.model.train()
        self._report(Validation(self.step, sum(losses) / len(losses), captions))

    def _generate(self) -> list[tuple[str, str]]:
        engine = Engine(self.model, self.setup.stop_ids, max_batch=len(self.setup.validation))
        limit = GenerationSettings(max_new_tokens=self.settings.max_caption_tokens)
        decode = self.setup.tokenizer.decode
        expected = {}
        for batch in self.setup.validation:
            prompt, caption_ids = without_caption(batch)
            request_id = batch.clip_ids[0]
            expected[request_id] = decode(caption_ids)
            engine.add(Request(request_id, prompt, batch.pixels_F3SS, limit))
        generated: dict[str, str] = {}
        while len(engine):
            generated |= {done.id: decode(done.token_ids) for done in engine.step()}
        return [(text, generated[request_id]) for request_id, text in expected.items()]

    def _save(self) -> None:
        if self.rank == 0:
            save_state(self.run, self.step, self.seconds, self.model, self.optimizer, self.settings)

    def _report(self, news: Progress | Validation) -> None:
        if self.writer is not None:
            self.writer.add(news)
            self.report(news)


def learning_rate_at(step: int, settings: TrainSettings) -> float:
    """Linear warm-up, then a cosine from the peak to a hundredth of it (arXiv 1608.03983)."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    done = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return settings.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


def _optimizer(model: CaptionModel, settings: TrainSettings) -> torch.optim.Optimizer:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=settings.learning_rate,
        betas=(0.9, 0.95),
        fused=model.device.type == "cuda",
    )


class _Log:
    """``log.jsonl`` and, where the package is installed, TensorBoard's files."""

    def __init__(self, run: Path, step: int) -> None:
        path = run / LOG_FILE
        # A run that goes on forgets what it had done after its last saved state: it does that again.
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        kept = [line for line in lines if json.loads(line)["step"] <= step]
        path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        self._file = path.open("a", encoding="utf-8")
        try:
            from torch.utils.tensorboard import SummaryWriter

            self._board: Any = SummaryWriter(run / "tensorboard", purge_step=step + 1)
        except ImportError:
            self._board = None

    def add(self, news: Progress | Validation) -> None:
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
