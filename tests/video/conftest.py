from collections.abc import Iterator

import pytest

from framescribe.video.worker_process import Worker
from framescribe.video.workers import DecodeWorkers
from tests.video.decoders import Server, forget_earlier_children


@pytest.fixture
def earlier_children() -> None:
    forget_earlier_children()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def workers() -> Iterator[DecodeWorkers]:
    idle: list[Worker] = []
    with DecodeWorkers(idle, timeout_s=240) as run:
        yield run
    for worker in idle:
        worker.close()
