"""A server with thousands of connections that send nothing, a part of a request, or one that breaks off.

    python -m benchmarks.serve_connections --json benchmarks/results/serve_connections.json

A third of the connections sends nothing, a third half of a request's head, and a third half of a body, of which every
other breaks off. Meanwhile clients ask for captions, each on a new connection. Last line: JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.provenance import provenance, publish
from benchmarks.serve_load import ask, make_clips, request_of, server

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
SENT = (b"", HEAD, HEAD + b"Content-Length: 100000\r\n\r\n" + b"{" * 50_000)
ASKING = 4


async def crowd(url: str, count: int) -> tuple[list[asyncio.StreamWriter], int]:
    """Connections that are slow: those that were made, and how many were refused or cut at once."""
    host, made, refused = urlsplit(url), [], 0
    for number in range(count):
        try:
            _, writer = await asyncio.open_connection(host.hostname, host.port)
            writer.write(SENT[number % 3])
            await writer.drain()
        except OSError:
            refused += 1
            continue
        if number % 6 == 5:
            writer.transport.abort()
        else:
            made.append(writer)
    return made, refused


async def asked(url: str, content: bytes, seconds: float) -> tuple[Counter[int], list[float]]:
    """Statuses and seconds of clients that ask for some time, one request after the other."""
    statuses: Counter[int] = Counter()
    whole_s: list[float] = []
    ends_s = time.perf_counter() + seconds

    async def client() -> None:
        while time.perf_counter() < ends_s:
            try:
                reply = await ask(url, request_of(content, max_tokens=8))
            except OSError:
                statuses[0] += 1
                continue
            assert reply is not None
            statuses[reply.status] += 1
            whole_s.append(reply.whole_s)

    await asyncio.gather(*(client() for _ in range(ASKING)))
    return statuses, whole_s


async def measure(url: str, process: Any, content: bytes, count: int, seconds: float) -> dict[str, Any]:
    def rss_mb() -> int:
        return int(process.memory_info().rss / 1e6)

    await asked(url, content, seconds / 2)  # warm
    before, alone_s = await asked(url, content, seconds)
    rss_before_mb, begun_s = rss_mb(), time.perf_counter()
    meanwhile = asyncio.ensure_future(asked(url, content, 2 * seconds))
    writers, refused = await crowd(url, count)
    opened_s = time.perf_counter() - begun_s
    held = len(process.net_connections())
    statuses, crowded_s = await meanwhile
    figures = {
        "connections": count,
        "asked_at_once": ASKING,
        "opened_in_s": round(opened_s, 1),
        "refused": refused,
        "held_by_the_server": held,
        "statuses_before": dict(before),
        "statuses": dict(statuses),
        "median_s_before": round(statistics.median(alone_s), 3),
        "median_s": round(statistics.median(crowded_s), 3),
        "rss_mb_before": rss_before_mb,
        "rss_mb_with_them": rss_mb(),
    }
    for writer in writers:
        writer.transport.abort()
    after, _ = await asked(url, content, seconds)
    return figures | {"statuses_after": dict(after), "rss_mb_after": rss_mb()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    made_by = provenance()
    with tempfile.TemporaryDirectory() as home:
        content = make_clips(Path(home, "clips"))[0].read_bytes()
        with server(8) as (url, process):
            figures = asyncio.run(measure(url, process, content, options.connections, options.seconds))
    publish(figures | made_by, options.json)


if __name__ == "__main__":
    main()
