"""``caption --ray``: the same command on a cluster."""

from __future__ import annotations

import dataclasses
import os
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from framescribe.cli.command import Command
from framescribe.cli.options import above_zero
from framescribe.model_spec import ModelSpec

if TYPE_CHECKING:
    from framescribe.pipeline.ray.cluster import ModelFacts
    from framescribe.pipeline.ray.job import Job, Spread
    from framescribe.pipeline.ray.telemetry import Progress
    from framescribe.pipeline.sitting import Sitting
    from framescribe.types import CaptionSettings, Clip

_PANEL = "On a cluster"

Address = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="[ADDRESS]",
        help="Caption with Ray: on this host's GPUs, or on a cluster (auto, HOST:PORT, ray://HOST:PORT).",
        rich_help_panel=_PANEL,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--ray-workers",
        min=1,
        help="Processes that caption. One per GPU if not given, one on CPUs.",
        rich_help_panel=_PANEL,
    ),
]
WorkersPerGpu = Annotated[
    int, typer.Option("--ray-workers-per-gpu", min=1, help="That share a GPU.", rich_help_panel=_PANEL)
]
Queue = Annotated[
    int | None,
    typer.Option(
        "--ray-queue",
        min=1,
        help="Clips that a worker has at a time. A quarter more than decode together if not given.",
        rich_help_panel=_PANEL,
    ),
]
TaskClips = Annotated[
    int,
    typer.Option(
        "--ray-task-clips", min=1, help="Clips that Ray hands over at a time.", rich_help_panel=_PANEL
    ),
]
DecoderCpus = Annotated[
    float,
    typer.Option(
        "--ray-decoder-cpus",
        callback=above_zero,
        help="CPUs that each decoder takes.",
        rich_help_panel=_PANEL,
    ),
]


class CaptionCommand(Command):
    """A command whose ``--ray`` may go without an address."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _with_address(args))


def _with_address(arguments: list[str]) -> list[str]:
    """``--ray`` that no address follows means this host."""
    from framescribe.pipeline.ray.cluster import LOCAL, is_address

    filled: list[str] = []
    for place, argument in enumerate(arguments):
        filled.append(argument)
        if argument == "--ray" and not any(map(is_address, arguments[place + 1 : place + 2])):
            filled.append(LOCAL)
    return filled


@dataclass(frozen=True, slots=True)
class OnRay:
    """A cluster that was looked at, and what will run on it.

    Attributes:
        spec: the model as the user gave it, on the device of all workers.
        batch_size: as the user gave it.
        spread: over the cluster.
        facts: of the model, as a worker sees it.
    """

    spec: ModelSpec
    batch_size: int | None
    spread: Spread
    facts: ModelFacts

    @property
    def hardware(self) -> str:
        """What a rate is of."""
        return f"Ray, {self.spread.workers} x {self.facts.hardware}"

    def caption(
        self,
        sitting: Sitting,
        clips: Iterable[Clip],
        most: int,
        settings: CaptionSettings,
        decode_timeout_s: float,
        written: Counter[str],
    ) -> None:
        """Captions clips into the sitting's folder, and shows how far it is.

        Args:
            sitting: its run has begun.
            clips: to be captioned.
            most: how many of them, at most.
            settings: the same for all.
            decode_timeout_s: seconds for decoding one clip.
            written: rows in shards by status, counted up at the end.

        Raises:
            UsageError: a host lacks something.
            DeviceError: the workers die, whatever the clip.
        """
        from framescribe.cli.console import err
        from framescribe.cli.progress import Tracker
        from framescribe.pipeline.ray.clip_list import ClipList
        from framescribe.pipeline.ray.cluster import check_hosts
        from framescribe.pipeline.ray.run import ClusterRun

        check_hosts(sitting.folder)
        job = self._job(sitting, settings, decode_timeout_s)
        listed = ClipList.write(sitting.folder, sitting.hashed(clips, settings), most, self.spread.task_clips)
        started = time.monotonic()
        run = ClusterRun(job, self.spread, listed, self.facts.frame_bytes)
        try:
            with Tracker(listed.clips) as tracker:
                for progress in run:
                    tracker.show(progress.statuses.total(), _detail(progress, tracker.clips_per_s))
                    for problem in progress.problems:
                        err.print(problem, markup=False)
            ClipList.remove(sitting.folder)
        finally:
            run.stop()
            written.update(run.written)
            sitting.took(written.total(), time.monotonic() - started)

    def _job(self, sitting: Sitting, settings: CaptionSettings, decode_timeout_s: float) -> Job:
        from framescribe.pipeline.ray.job import Job, pretrained
        from framescribe.rows import RowMaker

        rows = RowMaker(self.spec.name, self.facts.revision, self.facts.precision)
        revision = self.facts.commit or self.spec.revision
        resolved = dataclasses.replace(self.spec, revision=revision, dtype=self.facts.dtype)
        captioner, preparer = pretrained(resolved, rows, self.batch_size)
        folder = sitting.folder
        return Job(
            captioner=captioner,
            preparer=preparer,
            rows=rows,
            settings=settings,
            output=folder.root if folder.is_local else folder.name,
            fingerprint=sitting.run.fingerprint,
            shard=folder.next_number(),
            working_folder=os.getcwd(),
            decode_timeout_s=decode_timeout_s,
        )


def connect(
    address: str,
    spec: ModelSpec,
    settings: CaptionSettings,
    stack: ExitStack,
    **knobs: Any,
) -> OnRay:
    """Connects to a cluster until ``stack`` closes, and looks at it.

    Args:
        address: as ``--ray`` took it.
        spec: the model, as the user gave it.
        settings: of the run.
        stack: that ends with the command.
        knobs: of ``spread_over``.

    Raises:
        UsageError: it does not answer, or lacks something; the message says what.
    """
    from framescribe.pipeline.ray.cluster import connected, look_at_model
    from framescribe.pipeline.ray.run import check_store, choose_device, spread_over

    cluster = stack.enter_context(connected(address))
    spec = dataclasses.replace(spec, device=choose_device(spec.device, cluster))
    spread = spread_over(cluster, spec.device, **knobs)
    facts = look_at_model(spec, spread.gpus_per_worker)
    check_store(spread, cluster, settings.sampling.num_frames * facts.frame_bytes)
    return OnRay(spec, knobs["batch_size"], spread, facts)


def _detail(progress: Progress, clips_per_s: float) -> str:
    workers = len(progress.busy)
    if not workers:
        return "workers starting"
    busy = sum(progress.busy.values()) / workers
    return (
        f"{workers} workers {busy:.0%} busy, {clips_per_s / workers:.2f} clips/s each, "
        f"{sum(progress.queue_clips.values())} queued, {progress.statuses['error']} errors"
    )
