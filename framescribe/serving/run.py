"""A server that listens: an address, connections within limits, signals, and a model that loads meanwhile."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framescribe.errors import UsageError
from framescribe.event_loop import run
from framescribe.extras import require
from framescribe.model_spec import ModelSpec
from framescribe.serving.settings import ServerSettings
from framescribe.task import DecoderChoice
from framescribe.types import DEFAULT_MODEL

if TYPE_CHECKING:
    from framescribe.serving.listening import Answering

DEFAULT_PORT = 8000
DEFAULT_DRAIN_S = 300.0


def serve(
    model: str | Path | ModelSpec = DEFAULT_MODEL,
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    key_file: str | Path | None = None,
    devices: Sequence[str] = (),
    settings: ServerSettings = ServerSettings(),
    batch_size: int | None = None,
    decoder: DecoderChoice = "auto",
    drain_timeout_s: float = DEFAULT_DRAIN_S,
    on_address: Callable[[str], None] = print,
) -> None:
    """Answers OpenAI's chat completions until SIGTERM or Ctrl-C; what is in work then is still answered.

    It listens while the model loads, and says so (``/health/ready``).

    Args:
        model: as in ``Captioner.from_pretrained``, and so ``batch_size`` and ``decoder``.
        host, port: to listen on; port 0 takes a free one.
        key_file: holds the keys that clients need, one a line. Only 127.0.0.1, localhost and ::1 do without.
        devices: ``("cuda:0", "cuda:1")``: a process each, with the whole model; a request goes to the least busy one. A
            process that ends is started again. The limits hold for each.
        settings: what clients may ask.
        drain_timeout_s: how long the end waits for answers. A second signal ends at once.
        on_address: is told the address, once it answers.

    Raises:
        UsageError: a host for other machines without keys, a port that is taken, a model that cannot be had, or a
            package that is missing.
        DeviceError: the device failed.
    """
    for package in ("fastapi", "uvicorn", "prometheus_client", *(["httpx2"] if devices else [])):
        require(package, "serve")
    from framescribe.serving.gate import LOOPBACK_HOSTS, read_keys
    from framescribe.serving.listening import Server, config_of

    if key_file is None and host not in LOOPBACK_HOSTS:
        raise UsageError(
            f"`host={host}` lets other machines in; `key_file` names a file with the keys that they need"
        )
    keys = () if key_file is None else read_keys(key_file)
    decoding = {"batch_size": batch_size, "decoder": decoder}
    with listen(host, port) as listening:
        if devices:
            rest = {"key_file": key_file, "settings": settings, "drain_timeout_s": drain_timeout_s} | decoding
            service, app = _front(model, devices, rest)
        else:
            service, app = _service(model, keys, settings, decoding)
        server = Server(config_of(app), service, drain_timeout_s)
        name, taken = f"[{host}]" if ":" in host else host, listening.getsockname()[1]
        on_address(f"http://{name}:{taken}/v1")
        try:
            with contextlib.suppress(KeyboardInterrupt):
                run(server.serve(sockets=[listening]), server.stop)
        finally:
            service.close()
    if service.failure is not None:
        raise service.failure


def _service(
    model: str | Path | ModelSpec, keys: tuple[str, ...], settings: ServerSettings, decoding: dict[str, Any]
) -> tuple[Answering, Any]:
    """What answers in this process, and its application; the model loads on a thread."""
    from framescribe.captioner import Captioner
    from framescribe.serving.app import app_of
    from framescribe.serving.service import Service

    service = Service(settings)
    service.load(lambda progress: Captioner.from_pretrained(model, progress=progress, **decoding))
    return service, app_of(service, keys)


def _front(
    model: str | Path | ModelSpec, devices: Sequence[str], rest: dict[str, Any]
) -> tuple[Answering, Any]:
    """What passes requests on to a process for each device, twice: it is its application."""
    from framescribe.serving.engines import Engine
    from framescribe.serving.front import Front
    from framescribe.video.cpus import usable_cpus

    spec = model if isinstance(model, ModelSpec) else ModelSpec(model)
    if spec.device != "auto":
        raise UsageError("`device` and `devices` do not go together; name all of them in `devices`")
    specs = [replace(spec, device=device) for device in devices]
    settings: ServerSettings = rest["settings"]
    workers = settings.limits.workers or max(1, usable_cpus() // len(devices))
    settings = replace(settings, limits=replace(settings.limits, workers=workers))
    common = rest | {"host": "127.0.0.1", "port": 0, "settings": settings}
    engines = [Engine(each.device, common | {"model": each}) for each in specs]
    front = Front(engines, settings.read_timeout_s)
    return front, front


def listen(host: str, port: int) -> socket.socket:
    """A socket that already takes connections, so that the address may be told.

    Raises:
        UsageError: the host is none of this machine, or the port is taken.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # As TCP by name: else asyncio leaves Nagle's algorithm on, and what is written in parts waits 40 ms.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except (OSError, OverflowError) as error:
        raise UsageError(f"`host={host}` cannot be listened on: {error}") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"`port={port}` cannot be used: {reason}; name another one") from error
    return listening
