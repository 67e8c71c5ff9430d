"""The cluster: connected to, looked at, and refused with the reason before anything is loaded."""

from __future__ import annotations

import platform
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from framescribe.dataset.store import RUN_FILE, RowFolder
from framescribe.errors import UsageError
from framescribe.extras import require
from framescribe.model_spec import ModelSpec
from framescribe.version import __version__

if TYPE_CHECKING:
    from framescribe.model.precision import DtypeName

LOCAL = "local"
_ADDRESS = re.compile(r"(ray://)?(?P<host>\[[0-9a-fA-F:]+\]|[^\s:/]+):(?P<port>\d+)")
_HEAD = "node:__internal_head__"
"""A resource that Ray gives to the head alone."""
_ANSWER_S = 10.0
_HEALTH_S = 30.0
_PROBE_S = 120.0


def is_address(text: str) -> bool:
    """Whether a text names a cluster: ``local``, ``auto``, ``ray://HOST:PORT`` or ``HOST:PORT``."""
    return text in (LOCAL, "auto") or _ADDRESS.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Cluster:
    """What there is, of living hosts.

    Attributes:
        hosts: how many.
        gpus, cpus: as Ray counts them.
        store_bytes: shared memory for objects, of all hosts together.
    """

    hosts: int
    gpus: int
    cpus: int
    store_bytes: int


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a worker would load, as one found out.

    Attributes:
        revision: as rows record it: a commit, or the fingerprint of a local folder.
        commit: the same if a hub has it, so that all hosts take this one; None for a local folder.
        dtype, precision, hardware: resolved there.
        frame_bytes: of a frame as the model takes it.
    """

    revision: str
    commit: str | None
    dtype: DtypeName
    precision: str
    hardware: str
    frame_bytes: int


@contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """Connects to a cluster, or starts one on this host for as long as the block lasts.

    Raises:
        UsageError: ray is missing, the address does not answer, or its Ray or Python is another version.
    """
    require("ray", "`ray`")
    import ray

    if not is_address(address):
        raise UsageError(f"{address!r} is no address of a cluster: auto, ray://HOST:PORT or HOST:PORT")
    if match := _ADDRESS.fullmatch(address):
        _knock(match["host"].strip("[]"), int(match["port"]), address)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        ray.init(address, **options)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        # RuntimeError: other versions; its message names both.
        raise UsageError(f"no cluster can be used at {address!r}: {error}") from error
    try:
        nodes = [node for node in ray.nodes() if node["Alive"]]
        resources = [node["Resources"] for node in nodes]
        yield Cluster(
            len(nodes),
            *(
                int(sum(each.get(name, 0) for each in resources))
                for name in ("GPU", "CPU", "object_store_memory")
            ),
        )
    finally:
        ray.shutdown()


def on_head() -> Any:
    """Schedules to the head: the one host without which there is no cluster, so that no other takes it along."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    head = next(node for node in ray.nodes() if _HEAD in node["Resources"])
    return NodeAffinitySchedulingStrategy(head["NodeID"], soft=False)


def _knock(host: str, port: int, address: str) -> None:
    # Ray itself would try for minutes.
    try:
        socket.create_connection((host, port), timeout=_ANSWER_S).close()
    except OSError as error:
        raise UsageError(f"nothing answers at {address}: {error.strerror or error}") from error
    if address.startswith("ray://"):
        return  # a client gives up by itself
    command = [
        sys.executable,
        "-m",
        "ray.scripts.scripts",
        "health-check",
        "--skip-version-check",
        "--address",
        address,
    ]
    try:
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=_HEALTH_S)
    except subprocess.TimeoutExpired as error:
        raise UsageError(f"what answers at {address} is no Ray cluster") from error
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip().rsplit("\n", 1)[-1]
        raise UsageError(f"the cluster at {address} cannot be used: {reason}") from error


def check_hosts(folder: RowFolder) -> None:
    """Asks every host for its Python and framescribe, and whether it sees the folder of rows.

    Raises:
        UsageError: one of them has other versions, or does not see the folder; the message names the host.
    """
    import ray
    from ray.exceptions import GetTimeoutError, RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    def look(marker: str | None) -> tuple[str, str | None, bool]:
        # Sent as code, not by name: it must run where framescribe is not installed.
        import os
        import platform

        try:
            from framescribe import version
        except ImportError:
            return platform.python_version(), None, True
        return platform.python_version(), version.__version__, marker is None or os.path.exists(marker)

    marker = folder.path(RUN_FILE) if folder.is_local else None
    for node in ray.nodes():
        if not node["Alive"]:
            continue
        host = node["NodeManagerHostname"]
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        task = ray.remote(look).options(num_cpus=0, scheduling_strategy=there, max_retries=1)
        try:
            python, found, sees_folder = ray.get(task.remote(marker), timeout=_PROBE_S)
        except GetTimeoutError as error:
            raise UsageError(f"host {host} runs no task within {_PROBE_S:g} s") from error
        except RayError as error:
            raise UsageError(f"host {host} cannot run a task: {error}") from error
        ours = platform.python_version_tuple()[:2]
        if tuple(python.split(".")[:2]) != ours:
            raise UsageError(f"host {host} has Python {python}, this one {platform.python_version()}")
        if found is None:
            raise UsageError(f"host {host} has no framescribe; install {__version__} and ray there, as here")
        if found != __version__:
            raise UsageError(
                f"host {host} has framescribe {found}, this one {__version__}; install the same on all"
            )
        if not sees_folder:
            raise UsageError(
                f"host {host} does not see {folder.root}; name a folder that all hosts share, or a URL"
            )


def look_at_model(spec: ModelSpec, gpus_per_worker: float) -> ModelFacts:
    """Lets one worker's host find the checkpoint (and download it), and settle the precision on its GPU.

    Raises:
        UsageError: as ``choose_precision`` and ``fetch_checkpoint`` there, or no GPU becomes free.
    """
    return _asked(gpus_per_worker, _look_at_model, spec)


def _look_at_model(spec: ModelSpec) -> ModelFacts:
    from framescribe.checkpoint import open_checkpoint
    from framescribe.model.precision import choose_precision

    precision = choose_precision(spec)
    checkpoint = open_checkpoint(spec.name, spec.revision, spec.adapter)
    return ModelFacts(
        checkpoint.revision,
        None if checkpoint.revision.startswith("sha256:") else checkpoint.revision,
        precision.dtype_name,
        str(precision),
        precision.hardware,
        3 * checkpoint.config.vision_config.image_size**2 * precision.dtype.itemsize,
    )


def _asked(gpus: float, function: Callable[..., ModelFacts], *arguments: object) -> ModelFacts:
    """A function's answer from a host with so many GPUs; its ValueError as it is."""
    import ray
    from ray.exceptions import RayTaskError

    task = ray.remote(function).options(num_cpus=0, num_gpus=gpus, max_retries=1)
    try:
        answer: ModelFacts = ray.get(task.remote(*arguments))
    except RayTaskError as error:
        if isinstance(error.cause, UsageError):
            raise UsageError(str(error.cause)) from error
        raise
    return answer
