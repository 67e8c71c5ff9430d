"""Options of ``caption`` and ``score`` for a cluster."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from framescribe.cli.command import Command
from framescribe.cli.groups import Spelled
from framescribe.cli.options import above_zero
from framescribe.errors import UsageError
from framescribe.pipeline.caption_run import Ray

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
        help="Captioning processes; by default one per GPU, or one on CPUs.",
        rich_help_panel=_PANEL,
    ),
]
WorkersPerGpu = Annotated[
    int | None,
    typer.Option(
        "--ray-workers-per-gpu",
        min=1,
        help="Workers that share a GPU; by default one.",
        rich_help_panel=_PANEL,
    ),
]
Queue = Annotated[
    int | None,
    typer.Option(
        "--ray-queue",
        min=1,
        help="Clips that a worker holds at a time; by default a quarter more than are decoded together.",
        rich_help_panel=_PANEL,
    ),
]
TaskClips = Annotated[
    int | None,
    typer.Option(
        "--ray-task-clips",
        min=1,
        help="Clips that Ray hands over at a time; by default four.",
        rich_help_panel=_PANEL,
    ),
]
DecoderCpus = Annotated[
    float | None,
    typer.Option(
        "--ray-decoder-cpus",
        callback=above_zero,
        help="CPUs that each decoder takes; by default one.",
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


def ray_executor(
    ray: Address = None,
    ray_workers: Workers = None,
    ray_workers_per_gpu: WorkersPerGpu = None,
    ray_queue: Queue = None,
    ray_task_clips: TaskClips = None,
    ray_decoder_cpus: DecoderCpus = None,
) -> Ray | None:
    """The executor that the options spell; None without ``--ray``.

    Raises:
        UsageError: an option for a cluster without ``--ray``.
    """
    given: dict[str, Any] = {
        "workers": ray_workers, "workers_per_gpu": ray_workers_per_gpu, "queue_clips": ray_queue,
        "task_clips": ray_task_clips, "cpus_per_decoder": ray_decoder_cpus,
    }  # fmt: skip
    given = {name: value for name, value in given.items() if value is not None}
    if ray is None:
        for name in given:
            raise UsageError(f"`{name}` is for a cluster: add `ray`")
        return None
    return Ray(ray, **given)


Executor = Annotated[Ray | None, Spelled(ray_executor)]
