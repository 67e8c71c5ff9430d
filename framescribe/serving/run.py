"""A server that listens: an address, connections within limits, signals, and a model that loads meanwhile."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from framescribe.errors import UsageError
from framescribe.extras import require
from framescribe.model_spec import ModelSpec
from framescribe.serving.settings import ServerSettings
from framescribe.task import DecoderChoice
from framescribe.types import DEFAULT_MODEL

if TYPE_CHECKING:
    from framescribe.captioner import Captioner

DEFAULT_PORT = 8000
DEFAULT_DRAIN_S = 300.0


def serve(
    model: str | Path | ModelSpec = DEFAULT_MODEL,
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    key_file: str | Path | None = None,
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
        settings: what clients may ask.
        drain_timeout_s: how long the end waits for answers. A second signal ends at once.
        on_address: is told the address, once it answers.

    Raises:
        UsageError: a host for other machines without keys, a port that is taken, a model that cannot be had, or a
            package that is missing.
        DeviceError: the device failed.
    """
    for package in ("fastapi", "uvicorn", "prometheus_client"):
        require(package, "serve")
    from framescribe.captioner import Captioner
    from framescribe.serving.app import app_of
    from framescribe.serving.gate import LOOPBACK_HOSTS, read_keys
    from framescribe.serving.listening import Server, config_of
    from framescribe.serving.service import Service

    if key_file is None and host not in LOOPBACK_HOSTS:
        raise UsageError(
            f"`host={host}` lets other machines in; `key_file` names a file with the keys that they need"
        )
    keys = () if key_file is None else read_keys(key_file)
    service = Service(settings)
    with listen(host, port) as listening:
        server = Server(config_of(app_of(service, keys)), service, drain_timeout_s)
        loading = _Loading(
            lambda: Captioner.from_pretrained(model, batch_size=batch_size, decoder=decoder),
            service.open,
            server.stop,
        )
        name, taken = f"[{host}]" if ":" in host else host, listening.getsockname()[1]
        on_address(f"http://{name}:{taken}/v1")
        try:
            server.run(sockets=[listening])
        finally:
            service.close()
    if loading.failure is not None:
        raise loading.failure
    if service.failure is not None:
        raise service.failure


class _Loading:
    """A model that loads on a thread.

    Attributes:
        failure: why there is none.
    """

    def __init__(
        self, load: Callable[[], Captioner], then: Callable[[Captioner], None], fail: Callable[[], None]
    ) -> None:
        self.failure: Exception | None = None
        self._load, self._then, self._fail = load, then, fail
        threading.Thread(target=self._run, name="load", daemon=True).start()

    def _run(self) -> None:
        try:
            self._then(self._load())
        except Exception as error:  # noqa: BLE001 - raised again by who serves
            self.failure = error
            self._fail()


def listen(host: str, port: int) -> socket.socket:
    """A socket that already takes connections, so that the address may be told.

    Raises:
        UsageError: the host is none of this machine, or the port is taken.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family)
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
