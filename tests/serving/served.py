"""A server on a free port of this machine, in a thread, and what tests send it."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from framescribe.captioner import Captioner
from framescribe.serving.app import app_of
from framescribe.serving.listening import Server, config_of
from framescribe.serving.run import listen
from framescribe.serving.service import Service
from framescribe.serving.settings import ServerSettings

QUESTION = "Please describe this video in detail."


@dataclass
class Served:
    """A running server.

    Attributes:
        url: of its API, with ``/v1``.
        service: that answers.
        server: that listens.
        client: for plain requests, relative to the address without ``/v1``.
    """

    url: str
    service: Service
    server: Server
    client: httpx.Client

    def chat(self, content: Any, **fields: Any) -> httpx.Response:
        """Asks a question of one turn."""
        body = {"model": self.service.opened.card.id, "messages": [{"role": "user", "content": content}]}
        return self.client.post("/v1/chat/completions", json=body | fields)

    def text(self, content: Any, **fields: Any) -> str:
        """The answer to it."""
        response = self.chat(content, **fields)
        assert response.status_code == 200, response.text
        return str(response.json()["choices"][0]["message"]["content"])


@contextmanager
def serving(
    captioner: Captioner | None, settings: ServerSettings = ServerSettings(), keys: tuple[str, ...] = ()
) -> Iterator[Served]:
    """A server; without a captioner one that is still starting."""
    service = Service(settings)
    if captioner is not None:
        service.open(captioner)
    with listen("127.0.0.1", 0) as listening:
        server = Server(config_of(app_of(service, keys)), service, drain_timeout_s=20)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        root = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with httpx.Client(base_url=root, timeout=240) as client:
            try:
                yield Served(f"{root}/v1", service, server, client)
            finally:
                server.should_exit = True
                thread.join()
                service.close()


def data_url(content: bytes | Path, kind: str = "video/mp4") -> str:
    """A file as a data URL."""
    content = content if isinstance(content, bytes) else content.read_bytes()
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def video(content: bytes | Path, text: str | None = QUESTION) -> list[dict[str, Any]]:
    """A message with a video, and a question."""
    parts: list[dict[str, Any]] = [{"type": "video_url", "video_url": {"url": data_url(content)}}]
    return parts if text is None else [*parts, {"type": "text", "text": text}]
