"""The training loop: settings in, a checkpoint out; the same call goes on where a killed run stopped."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from framescribe.engine.engine import Engine
from framescribe.engine.kv_cache import BLOCK_SIZE
from framescribe.engine.request import Request
from framescribe.errors import FramescribeError
from framescribe.model.adapter import save_adapter
from framescribe.model.layout import CONFIG_FILE
from framescribe.model.saving import MAX_SHARD_BYTES, save_checkpoint
from framescribe.train.batches import TrainBatch, without_caption
from framescribe.train.optimizer import learning_rate_at, make_optimizers
from framescribe.train.processes import Processes, chosen_device, processes
from framescribe.train.progress import Progress, Report, TrainLog, Validation
from framescribe.train.settings import TrainSettings
from framescribe.train.setup import Setup, set_up
from framescribe.train.state import finished_steps, load_state, save_state, state_folder
from framescribe.types import GenerationSettings

log = logging.getLogger("framescribe")

CHECKPOINT_FOLDER, ADAPTER_FOLDER = "checkpoint", "adapter"


class LossNotFinite(FramescribeError):
    """The loss became infinite or NaN. The last saved state is from before."""


def train(
    settings: TrainSettings,
    run: Path,
    device: str | torch.device = "auto",
    report: Report = lambda news: None,
    *,
    max_shard_bytes: int = MAX_SHARD_BYTES,
    max_minutes: float | None = None,
) -> Path | None:
    """Trains to the last step and writes the checkpoint.

    Several GPUs: start it under ``torchrun``; each process takes its own batches (DistributedDataParallel).

    Args:
        settings: all that decides the result.
        run: folder of the run: ``state/``, ``log.jsonl``, ``tensorboard/``, at the end ``checkpoint/`` and, with LoRA,
            ``adapter/``. A state in it is resumed.
        device: of this process: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``. Under ``torchrun``, ``auto`` is the
            GPU of its number.
        report: called with progress and validation, in the first process only.
        max_shard_bytes: of the checkpoint's files.
        max_minutes: stop after the step in which this call has taken so long; calling again goes on.

    Returns:
        The checkpoint's folder, at once if the run is finished already; None if ``max_minutes`` ended it before the
        last step.

    Raises:
        UsageError: data, model or settings that do not fit; resuming with other settings.
        LossNotFinite: names the step and the clips.
    """
    checkpoint = run / CHECKPOINT_FOLDER
    if (steps := finished_steps(run, settings)) and (checkpoint / CONFIG_FILE).is_file():
        log.info("%s: finished already, after %d steps; nothing is done again", run, steps)
        return checkpoint
    deadline = time.monotonic() + 60 * max_minutes if max_minutes else math.inf
    with processes(chosen_device(device)) as group:
        # In a function of its own, so that nothing holds the group when it is to end: a thread of the group that frees
        # a tensor while Python ends takes the process down (SIGABRT).
        is_done = _train(settings, run, report, group, deadline, max_shard_bytes)
    return checkpoint if is_done else None


def _train(
    settings: TrainSettings,
    run: Path,
    report: Report,
    group: Processes,
    deadline: float,
    max_shard_bytes: int,
) -> bool:
    """Goes to the last step and writes the checkpoint, or ends before it at the deadline; whether it is done."""
    with group.first_goes_first():
        setup = set_up(settings, run, group.device)
    if not _Loop(settings, run, setup, report, group).finish(deadline):
        return False
    if group.rank == 0:
        if settings.lora_rank:
            base = str(settings.model)
            base = str(Path(base).resolve()) if Path(base).is_dir() else base
            save_adapter(setup.tuning.adapter(), settings.lora_rank, base, run / ADAPTER_FOLDER)
        dtype = torch.bfloat16 if settings.bf16 else torch.float32
        merged = setup.tuning.merged().to(dtype)
        save_checkpoint(merged, run / CHECKPOINT_FOLDER, setup.checkpoint.folder, max_shard_bytes)
    return True


class _Loop:
    def __init__(
        self, settings: TrainSettings, run: Path, setup: Setup, report: Report, group: Processes
    ) -> None:
        self.settings, self.run, self.setup = settings, run, setup
        self.report, self.group = report, group
        self.model = setup.model
        self.device = self.model.device
        self.trained = [weight for weight in self.model.parameters() if weight.requires_grad]
        self.optimizers = make_optimizers(self.model, settings)
        self.step, self.seconds_before = 0, 0.0
        if (saved := state_folder(run)) is not None:
            self.step, self.seconds_before = load_state(
                saved, self.model, self.optimizers, settings, group.count
            )
            log.info("going on after step %d of %d", self.step, settings.steps)
        self.forward: nn.Module = self.model
        if group.count > 1:
            from torch.nn.parallel import DistributedDataParallel

            self.forward = DistributedDataParallel(self.model)
        self.log = TrainLog(run, self.step) if group.rank == 0 else None
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
            for optimizer in self.optimizers:
                for weights in optimizer.param_groups:
                    weights["lr"] = learning_rate
            loss, clip_ids = self._one_step(batches)
            self.step += 1
            losses.append((loss, clip_ids))
            clips += len(clip_ids) * self.group.count
            done = self.step == settings.steps
            # Processes that wait for each other must stop after the same step.
            stopping = done or (deadline < math.inf and self.group.any_says(time.monotonic() > deadline))
            saving = stopping or self.step % settings.save_every == 0
            if saving or self.step % settings.log_every == 0:
                mean = self._checked_mean(losses)
                clips_per_s = clips / (time.monotonic() - last_report)
                self._tell(Progress(self.step, mean, learning_rate, clips_per_s, self.seconds))
                losses.clear()
                last_report, clips = time.monotonic(), 0
            if done or self.step % settings.validate_every == 0:
                self._validate()
                last_report = time.monotonic()
            if saving and self.group.rank == 0:
                save_state(
                    self.run, self.step, self.seconds, self.model, self.optimizers, settings, self.group.count
                )
            if stopping:
                break
        if self.log is not None:
            self.log.close()
        return self.step == settings.steps

    def _batch_numbers(self) -> range:
        """This process's batches, from the next step to the last."""
        per_step = self.settings.accumulation * self.group.count
        return range(self.step * per_step + self.group.rank, self.settings.steps * per_step, self.group.count)

    def _one_step(self, batches: Iterator[TrainBatch]) -> tuple[Tensor, list[str]]:
        """One optimizer step. Returns this process's share of its loss, on the device, and the ids of its clips.

        The step's loss is the mean over all its labelled tokens, however they are spread over batches and processes.
        """
        parts = [next(batches) for _ in range(self.settings.accumulation)]
        tokens = torch.tensor(float(sum(part.labelled_tokens for part in parts)), device=self.device)
        all_tokens = self.group.total(tokens)
        total = torch.zeros((), device=self.device)
        for place, part in enumerate(parts, 1):
            with self._without_sync(place == len(parts)), self.setup.autocast():
                loss = self._loss(self.forward, part) * (part.labelled_tokens / all_tokens)
                # DistributedDataParallel takes the processes' mean; theirs is a sum.
                (loss * self.group.count).backward()
            total += loss.detach()
        torch.nn.utils.clip_grad_norm_(self.trained, self.settings.max_grad_norm)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return total, [clip_id for part in parts for clip_id in part.clip_ids]

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
        values = self.group.total(torch.stack([loss for loss, _ in losses])).tolist()
        for place, value in enumerate(values):
            if not math.isfinite(value):
                step = self.step - len(values) + place + 1
                clips = ", ".join(losses[place][1])
                raise LossNotFinite(
                    f"the loss is {value} at step {step}; clips of its batch: {clips}. The last state is kept "
                    f"in {state_folder(self.run) or 'no folder: none was saved yet'}"
                )
        return float(sum(values) / len(values))

    @torch.no_grad()
    def _validate(self) -> None:
        if self.group.rank != 0 or not self.setup.validation:
            return
        self.model.eval()
        # Eager: compiling for the shapes of generation would cost more than it gives.
        with torch.compiler.set_stance("force_eager"):
            with self.setup.autocast():
                losses = [float(self._loss(self.model, batch)) for batch in self.setup.validation]
            captions = self._generate()
        self.model.train()
        self._tell(Validation(self.step, sum(losses) / len(losses), captions))

    def _generate(self) -> list[tuple[str, str]]:
        limit = GenerationSettings(max_new_tokens=self.settings.max_caption_tokens)
        decode = self.setup.checkpoint.tokenizer.decode
        expected, requests = {}, []
        for batch in self.setup.validation:
            prompt, caption_ids = without_caption(batch)
            request_id = batch.clip_ids[0]
            expected[request_id] = decode(caption_ids)
            requests.append(Request(request_id, prompt, batch.pixels_F3SS, limit))
        # Its memory is no more than these need, and it is gone with this call: training needs the rest.
        tokens = sum(len(request.prompt) + limit.max_new_tokens + BLOCK_SIZE for request in requests)
        engine = Engine(
            self.model,
            self.setup.checkpoint.stop_ids,
            len(requests),
            kv_tokens=tokens,
            use_cuda_graphs=False,
        )
        generated = {done.id: decode(done.token_ids) for done in engine.generate(requests)}
        return [(text, generated[request_id]) for request_id, text in expected.items()]

    def _tell(self, news: Progress | Validation) -> None:
        if self.log is not None:
            self.log.add(news)
            self.report(news)
