"""A web server on this machine that notes every request, and answers as a test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """``requests`` are (method, path as it came, headers); ``pages`` what is answered, by path.

    ``sent_endlessly`` counts the bytes of answers without an end that clients, or the system for them, have taken.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.pages: dict[str, bytes | Answer] = {}
        self.sends_ranges = False
        self.sent_endlessly = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def paths(self) -> list[str]:
        return [path for _, path, _ in self.requests]

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.requests.append((handler.command, handler.path, dict(handler.headers)))
        page = self.pages.get(handler.path)
        if page is None:
            send(handler, 403, b"")
        elif callable(page):
            page(handler)
        elif self.sends_ranges and (wanted := handler.headers.get("Range")):
            start, end = wanted.removeprefix("bytes=").split("-")
            part = page[int(start) : int(end) + 1 if end else None]
            place = f"bytes {start}-{int(start) + len(part) - 1}/{len(page)}"
            send(handler, 206, part, {"Content-Range": place})
        else:
            send(handler, 200, page)


def send(
    handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str] | None = None
) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def redirect(to: str, status: int = 302) -> Answer:
    return lambda handler: send(handler, status, b"", {"Location": to})


def endless(chunk: bytes, headers: dict[str, str] | None = None) -> Answer:
    """The chunk again and again, until the client has enough."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.end_headers()
        while True:
            handler.wfile.write(chunk)
            handler.server.noted.sent_endlessly += len(chunk)

    return answer


@contextmanager
def serving() -> Iterator[Server]:
    noted = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                noted.answer(self)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        do_HEAD = do_POST = do_GET

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.noted = noted
        noted.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield noted
        server.shutdown()
