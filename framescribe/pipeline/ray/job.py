"""What is captioned on a cluster, with what, and how it is spread: values that travel to the hosts."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from framescribe.dataset.store import RowFolder
from framescribe.errors import UsageError
from framescribe.rows import RowMaker
from framescribe.types import CaptionSettings
from framescribe.video.workers import DEFAULT_TIMEOUT_S

if TYPE_CHECKING:
    from framescribe.captioner import Captioner
    from framescribe.model.precision import DtypeName
    from framescribe.prepare import Preparer


@dataclass(frozen=True, slots=True)
class Job:
    """One sitting of a run on a cluster.

    Attributes:
        captioner: makes the captioner of one worker, on the GPU that it sees.
        preparer: makes what prepares clips on the CPUs, for the same model.
        rows: makes the rows of clips that get no caption.
        settings: the same for all clips.
        output: folder of rows, as every host names it.
        fingerprint: of the run.
        shard: number of this sitting's first shards.
        working_folder: where relative paths of clips start.
        decode_timeout_s: seconds for opening and decoding one clip.
    """

    captioner: Callable[[], Captioner]
    preparer: Callable[[], Preparer]
    rows: RowMaker
    settings: CaptionSettings
    output: str
    fingerprint: str
    shard: int
    working_folder: str
    decode_timeout_s: float = DEFAULT_TIMEOUT_S

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

    def __post_init__(self) -> None:
        for name in ("workers", "decoders", "queue_clips", "task_clips", "shard_rows"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name.replace('_', ' ')} must be at least 1, not {getattr(self, name)}")
        if not self.cpus_per_decoder > 0:
            raise UsageError(f"the CPUs per decoder must be above 0, not {self.cpus_per_decoder}")

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
    model: str,
    revision: str | None,
    rows: RowMaker,
    *,
    device: str,
    dtype: DtypeName,
    quant: str | None,
    batch_size: int | None,
) -> tuple[Callable[[], Captioner], Callable[[], Preparer]]:
    """What makes ``Job.captioner`` and ``Job.preparer`` from a checkpoint, on each host from its own copy.

    Args:
        model, revision: where it is; a hub's revision is a commit, so that all hosts take the same.
        rows: of this checkpoint.
        device, quant, batch_size: as ``Captioner.from_pretrained``.
        dtype: resolved, the same on all hosts.
    """
    options = {"device": device, "dtype": dtype, "quant": quant, "batch_size": batch_size}
    return (
        partial(_captioner, model, revision, rows, options),
        partial(_preparer, model, revision, rows, dtype),
    )


def _captioner(model: str, revision: str | None, rows: RowMaker, options: dict[str, Any]) -> Captioner:
    from framescribe.captioner import Captioner

    captioner = Captioner.from_pretrained(model, revision=revision, **options)
    _check_revision(captioner.checkpoint.revision, rows)
    return captioner


def _preparer(model: str, revision: str | None, rows: RowMaker, dtype: DtypeName) -> Preparer:
    from framescribe.model.hub import fetch_checkpoint
    from framescribe.prepare import Preparer

    checkpoint = fetch_checkpoint(model, revision)
    _check_revision(checkpoint.revision, rows)
    return Preparer.from_checkpoint(checkpoint.folder, rows, dtype)


def _check_revision(found: str, rows: RowMaker) -> None:
    if found != rows.model_revision:
        raise UsageError(f"this host's copy of {rows.model} is {found}, not {rows.model_revision}")
