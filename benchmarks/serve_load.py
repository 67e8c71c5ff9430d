"""A server under load: clients that leave, decoders that are killed; and its speed against ``caption``'s.

    python -m benchmarks.serve_load --json benchmarks/results/serve_load.json
    python -m benchmarks.serve_load --speed --json benchmarks/results/serve_load_speed.json

Clients ask for captions of clips of the generated world, one request after the other, as data URLs. A tenth of the
requests is left half-way, and every few seconds a decoding process gets SIGKILL. Each answer must be the caption
that ``caption`` makes of the clip. With ``--speed`` nobody leaves and nothing is killed, and ``caption`` takes turns
with the server on the same clips. Last line: JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from benchmarks.provenance import provenance, publish

CLIPS = 40
TIMES = 3


@dataclass
class Reply:
    """What came back: HTTP's status, the body, and seconds to the first token's and to the last byte."""

    status: int
    body: bytes
    first_s: float
    whole_s: float


async def ask(url: str, request: dict[str, Any], leave_after_s: float | None = None) -> Reply | None:
    """One request on a connection of its own; None if this client left it."""
    host = urlsplit(url)
    body = json.dumps(request).encode()
    head = (
        f"POST {host.path}/chat/completions HTTP/1.1\r\nHost: {host.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    begun_s = time.perf_counter()
    reader, writer = await asyncio.open_connection(host.hostname, host.port)
    try:
        async with asyncio.timeout(leave_after_s):
            writer.write(head.encode() + body)
            await writer.drain()
            content, first_s = b"", 0.0
            while part := await reader.read(1 << 16):
                content += part
                if not first_s and b"\ndata: " in content:
                    first_s = time.perf_counter() - begun_s
    except TimeoutError:
        return None
    finally:
        writer.close()
    answer = content.partition(b"\r\n\r\n")
    return Reply(int(content[9:12] or b"0"), answer[2], first_s, time.perf_counter() - begun_s)


def request_of(content: bytes, **fields: Any) -> dict[str, Any]:
    """For the caption of a video."""
    url = f"data:video/mp4;base64,{base64.b64encode(content).decode()}"
    message = {"role": "user", "content": [{"type": "video_url", "video_url": {"url": url}}]}
    return {"model": "tiny", "messages": [message]} | fields


@dataclass
class Load:
    """What became of the requests, and of the server meanwhile."""

    statuses: Counter[int] = field(default_factory=Counter)
    left: int = 0
    wrong: int = 0
    lost: int = 0
    kills: int = 0
    seconds: list[float] = field(default_factory=list)
    rss_mb: list[int] = field(default_factory=list)


@contextmanager
def server(batch: int) -> Iterator[tuple[str, psutil.Process]]:
    """``framescribe serve`` as a process: its URL once it is ready, and the process."""
    command = [sys.executable, "-u", "-m", "framescribe", "serve", "--port", "0", "--batch-size", str(batch)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().split()[-1]  # type: ignore[union-attr]
            import urllib.request

            while True:
                try:
                    urllib.request.urlopen(url.removesuffix("/v1") + "/health/ready").close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield url, psutil.Process(process.pid)
        finally:
            process.terminate()


async def load(
    url: str,
    process: psutil.Process,
    clips: list[tuple[bytes, str]],
    clients: int,
    seconds: float,
    faults: bool,
) -> Load:
    """Clients at work for some seconds."""
    found, ends_s = Load(), time.perf_counter() + seconds
    dice = random.Random(0)

    async def client() -> None:
        while time.perf_counter() < ends_s:
            content, caption = dice.choice(clips)
            usual_s = statistics.median(found.seconds[-50:]) if found.seconds else 1.0
            leave_s = dice.uniform(0, usual_s) if faults and dice.random() < 0.1 else None
            try:
                reply = await ask(url, request_of(content), leave_s)
            except OSError:
                found.lost += 1
                continue
            if reply is None:
                found.left += 1
                continue
            found.statuses[reply.status] += 1
            found.seconds.append(reply.whole_s)
            if reply.status != 200:
                found.lost += 1
                print(reply.body[:500], file=sys.stderr)
            elif json.loads(reply.body)["choices"][0]["message"]["content"] != caption:
                found.wrong += 1

    async def watch() -> None:
        while time.perf_counter() < ends_s:
            await asyncio.sleep(3)
            found.rss_mb.append(round(process.memory_info().rss / 1e6))
            if len(found.rss_mb) % 10 == 0:
                print(f"{found.statuses}, {found.lost} lost, {found.rss_mb[-1]} MB", file=sys.stderr)
            decoders = [each for each in process.children() if is_decoder(each)]
            if faults and decoders:
                dice.choice(decoders).kill()
                found.kills += 1

    await asyncio.gather(watch(), *(client() for _ in range(clients)))
    return found


def is_decoder(process: psutil.Process) -> bool:
    """Whether it decodes; one that was killed and not yet missed does not."""
    try:
        return "video.worker" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def captions(paths: list[Path], batch: int, times: int) -> Generator[tuple[float, list[str]], None, None]:
    """Seconds that ``caption`` takes for all clips some times over, and their captions; again and again."""
    from framescribe.captioner import Captioner
    from framescribe.types import Clip

    captioner = Captioner.from_pretrained("tiny", batch_size=batch)
    while True:
        clips = [Clip(str(path), given_id=f"{time}-{path.name}") for time in range(times) for path in paths]
        begun_s = time.perf_counter()
        rows = list(captioner.caption(clips))
        seconds = time.perf_counter() - begun_s
        texts = {row.source_video: row.caption or "" for row in rows}
        yield seconds, [texts[str(path)] for path in paths]


def make_clips(folder: Path) -> list[Path]:
    from framescribe.synthetic.files import file_clips, write_clips

    folder.mkdir()
    return list(write_clips(file_clips(CLIPS, 3), folder))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--speed", action="store_true", help="without faults, in turns with caption")
    parser.add_argument("--rounds", type=int, default=3, help="with --speed")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    made_by = provenance()
    figures: dict[str, Any] = {"clients": options.clients, "batch": options.batch}
    with tempfile.TemporaryDirectory() as home:
        paths = make_clips(Path(home, "clips"))
        alone = captions(paths, options.batch, TIMES if options.speed else 1)
        _, texts = next(alone)  # warm
        if not options.speed:
            alone.close()  # its memory is the server's now
        clips = [(path.read_bytes(), text) for path, text in zip(paths, texts, strict=True)]
        with server(options.batch) as (url, process):
            if options.speed:
                figures |= speed(alone, url, process, clips, options)
            else:
                found = asyncio.run(load(url, process, clips, options.clients, options.seconds, faults=True))
                figures |= {"seconds": options.seconds} | summary(found)
            log = re.findall(r"^framescribe_cancelled_total (\S+)", metrics(url), re.MULTILINE)
            figures["cancelled_in_the_server"] = float(log[0])
    publish(figures | made_by, options.json)


def speed(
    alone: Iterator[tuple[float, list[str]]], url: str, process: psutil.Process, clips: Any, options: Any
) -> dict[str, Any]:
    """Clips a second of both, in turns."""
    asyncio.run(load(url, process, clips, options.clients, 10, faults=False))  # warm
    served, captioned = [], []
    for _ in range(options.rounds):
        captioned.append(TIMES * CLIPS / next(alone)[0])
        begun_s = time.perf_counter()
        found = asyncio.run(load(url, process, clips, options.clients, options.seconds, faults=False))
        served.append(found.statuses[200] / (time.perf_counter() - begun_s))
        assert not found.wrong + found.lost
    ratio = statistics.median(served) / statistics.median(captioned)
    return {"served_clips_per_s": served, "caption_clips_per_s": captioned, "ratio": round(ratio, 3)}


def summary(found: Load) -> dict[str, Any]:
    """The figures of a load."""
    fifth = max(1, len(found.rss_mb) // 5)
    return {
        "answered": found.statuses[200],
        "statuses": dict(found.statuses),
        "left_half_way": found.left,
        "lost": found.lost,
        "wrong": found.wrong,
        "decoders_killed": found.kills,
        "median_s": round(statistics.median(found.seconds), 2),
        "rss_mb_of_each_fifth": [
            round(statistics.mean(found.rss_mb[at : at + fifth])) for at in range(0, 5 * fifth, fifth)
        ],
    }


def metrics(url: str) -> str:
    import urllib.request

    with urllib.request.urlopen(url.removesuffix("/v1") + "/metrics") as answer:
        return str(answer.read().decode())


if __name__ == "__main__":
    main()
