"""What is captioned on a cluster, with what, and how it is spread: values that travel to the hosts."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from framescribe.dataset.store import RowFolder
from framescribe.errors import UsageError
from framescribe.heads.head import Head
from framescribe.model_spec import ModelSpec
from framescribe.rows import RowMaker
from framescribe.scores.scorer import Scorer
from framescribe.task import DecodeLimits
from framescribe.types import CaptionSettings

if TYPE_CHECKING:
    from framescribe.captioner import Captioner
    from framescribe.prepare import Preparer


@dataclass(frozen=True, slots=True)
class Job:
    """One session of a run on a cluster.

    Attributes:
        captioner: makes the captioner of one worker, on the GPU that it sees.
        preparer: makes what prepares clips on the CPUs, for the same model.
        rows: makes the rows of clips that get no caption.
        settings: the same for all clips.
        output: folder of rows, as every host names it.
        fingerprint: of the run.
        shard: number of this session's first shards.
        working_folder: where relative paths of clips start.
        limits: what decoding one clip may take.
        scores: measure each clip while it is decoded.
        features: whether clips' features are kept.
        heads: score each clip.
        side_shard: as ``shard``, of the tables beside captions.
    """

    captioner: Callable[[], Captioner]
    preparer: Callable[[], Preparer]
    rows: RowMaker
    settings: CaptionSettings
    output: str
    fingerprint: str
    shard: int
    working_folder: str
    limits: DecodeLimits = DecodeLimits()
    scores: tuple[Scorer, ...] = ()
    features: bool = False
    heads: tuple[Head, ...] = ()
    side_shard: int = 0

    @property
    def folder(self) -> RowFolder:
        return RowFolder(self.output)

    def enter(self) -> None:
        """Makes relative paths mean in this process what they mean to the user; a host without the folder has none."""
        with contextlib.suppress(FileNotFoundError):
            os.chdir(self.working_folder)


@dataclass(frozen=True, slots=True)
class Spread:
    """How a job is spread over a cluster; ``docs/scale.md`` says what was measured.

    Attributes:
        workers: processes that caption, each with an engine of its own.
        gpus_per_worker: share of a GPU that each takes; 0 captions on the CPU.
        decoders: processes that decode and prepare, at most.
        cpus_per_decoder: that Ray sets aside for each.
        queue_clips: clips that a worker has at a time, decoding together or waiting in shared memory.
        task_clips: clips per task: what Ray hands over, and tries again, at a time.
        shard_rows: rows per shard, at most; a kill of the driver loses fewer.
    """

    workers: int
    gpus_per_worker: float
    decoders: int
    cpus_per_decoder: float
    queue_clips: int
    task_clips: int
    shard_rows: int

    @property
    def calls(self) -> int:
        """Tasks that a worker has at a time."""
        return -(-self.queue_clips // self.task_clips)

    def store_bytes(self, clip_bytes: int) -> int:
        """Shared memory that all hosts together need: what workers hold, what decoders just made, and as much again
        on the way, as Ray Data leaves half of it for others.
        """
        clips = self.workers * self.calls * self.task_clips + self.decoders * self.task_clips
        return 2 * clips * clip_bytes


def pretrained(
    spec: ModelSpec, rows: RowMaker, batch_size: int | None
) -> tuple[Callable[[], Captioner], Callable[[], Preparer]]:
    """What makes ``Job.captioner`` and ``Job.preparer`` from a checkpoint, on each host from its own copy.

    Args:
        spec: nothing of it is left to choose: all hosts take the same commit, kind of device and dtype.
        rows: of this checkpoint.
        batch_size: as ``Captioner.from_pretrained``.
    """
    return partial(_captioner, spec, rows, batch_size), partial(_preparer, spec, rows)


def _captioner(spec: ModelSpec, rows: RowMaker, batch_size: int | None) -> Captioner:
    from framescribe.captioner import Captioner

    captioner = Captioner.from_pretrained(spec, batch_size=batch_size, decoder="cpu")
    _check_revision(captioner.checkpoint.revision, rows)
    return captioner


def _preparer(spec: ModelSpec, rows: RowMaker) -> Preparer:
    from framescribe.checkpoint import open_checkpoint
    from framescribe.model.precision import choose_precision
    from framescribe.prepare import Preparer

    checkpoint = open_checkpoint(spec.name, spec.revision, spec.adapter)
    _check_revision(checkpoint.revision, rows)
    on_cpu = ModelSpec(spec.name, device="cpu", dtype=spec.dtype)
    return Preparer(checkpoint, rows, dtype=choose_precision(on_cpu).dtype)


def _check_revision(found: str, rows: RowMaker) -> None:
    if found != rows.model_revision:
        raise UsageError(f"this host's copy of {rows.model} is {found}, not {rows.model_revision}")
