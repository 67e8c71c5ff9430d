"""What tests of decoding processes share: a server that a worker waits on, and a look at this process's children."""

import socket
import threading

import numpy as np
import psutil

from framescribe.types import Clip, FrameSampling
from framescribe.video.workers import DecodeWorkers
from tests.reference import CLIPS

SAMPLING = FrameSampling("uniform", 6)
HORSE = CLIPS / "horse.mp4"


def answer(connection: socket.socket, content: bytes) -> None:
    """Answers a request with this video."""
    connection.recv(65536)
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    connection.sendall(head.encode() + content)


class Server:
    """An HTTP server that a fetching worker waits on: it says who has come, and answers when told to."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/video.mp4"

    def accept(self) -> socket.socket:
        return self._socket.accept()[0]

    def serve(self, content: bytes) -> None:
        """Answers every request from now on."""

        def answer_all() -> None:
            while True:
                with self.accept() as connection:
                    answer(connection, content)

        threading.Thread(target=answer_all, daemon=True).start()


EARLIER: set[int] = set()
"""Other tests' captioners keep idle workers, which are children of this process too."""


def forget_earlier_children() -> None:
    EARLIER.clear()
    EARLIER.update(child.pid for child in psutil.Process().children())


def own_children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if child.pid not in EARLIER]


def pixels(workers: DecodeWorkers, clip: Clip) -> np.ndarray:
    with workers.decoded(clip, SAMPLING) as frames:
        return frames.pixels.copy()
