"""How much of the engine's speed a server gives: clips a second through HTTP against the same clips from frames.

    python -m benchmarks.serve_speed --quant fp8-kv --json benchmarks/results/serve_speed_h100.json

One model of the official sizes with random weights, one engine. In turns: clips of ``framescribe bench`` from frames in
memory, and as many requests through HTTP, each with 24 JPEG frames, from clients in a process of their own. Then the
seconds until the first token when 1, 32 and 256 requests come at once, as streams. Last line: JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.provenance import provenance, publish
from benchmarks.serve_load import Reply, ask


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="random")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quant", default=None)
    parser.add_argument("--clips", type=int, default=384)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--at-once", type=int, nargs="*", default=[1, 32, 256])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--ask", metavar="JSON", help="used by itself: what the clients' process does")
    options = parser.parse_args()
    if options.ask is not None:
        print(json.dumps(asyncio.run(clients(**json.loads(options.ask)))))
    else:
        measure(options)


def measure(options: argparse.Namespace) -> None:
    """Both sides, in turns."""
    from framescribe.bench.clips import ClipRunner
    from framescribe.bench.subject import build_subject, open_subject
    from framescribe.bench.workload import Workload
    from framescribe.captioner import Captioner
    from framescribe.model.precision import choose_precision
    from framescribe.model_spec import ModelSpec
    from framescribe.serving.settings import ServerSettings
    from tests.serving.served import serving

    made_by = provenance()
    quant = int(options.quant) if options.quant in ("8", "4") else options.quant
    precision = choose_precision(ModelSpec("tiny", device=options.device, quant=quant))
    subject = open_subject(options.model)
    captioner = Captioner(build_subject(subject, precision), subject, precision, options.batch)
    workload = Workload(options.clips, 24, text_tokens=38, new_tokens=options.tokens, batch=options.batch)
    runner = ClipRunner(captioner.engine, captioner.preparer, workload)
    runner.warm_up()
    with serving(captioner, ServerSettings(max_requests=2000)) as served:
        asked = {"url": served.url, "model": served.service.opened.card.id, "tokens": options.tokens}
        in_process(asked | {"count": options.batch, "at_once": 2 * options.batch})  # starts the decoders
        bench, through_http = [], []
        for _ in range(options.rounds):
            bench.append(options.clips / runner.run())
            found = in_process(asked | {"count": options.clips, "at_once": 2 * options.batch})
            through_http.append(options.clips / found["seconds"])
        first = {
            str(count): in_process(asked | {"count": count, "at_once": count, "stream": True})[
                "first_token_s"
            ]
            for count in options.at_once
        }
    figures = {
        "precision": str(precision), "model": options.model, "clips": options.clips, "batch": options.batch,
        "new_tokens": options.tokens, "bench_clips_per_s": bench, "served_clips_per_s": through_http,
        "ratio": round(statistics.median(through_http) / statistics.median(bench), 3), "first_token_s": first,
    }  # fmt: skip
    publish(figures | made_by, options.json)


def in_process(asked: dict[str, Any]) -> dict[str, Any]:
    """What clients in another process find."""
    command = [sys.executable, "-m", "benchmarks.serve_speed", "--ask", json.dumps(asked)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


async def clients(
    url: str, model: str, tokens: int, count: int, at_once: int, stream: bool = False
) -> dict[str, Any]:
    """Sends ``count`` requests, ``at_once`` of them at any time."""
    contents = [frames(number) for number in range(8)]
    room = asyncio.Semaphore(at_once)

    async def one(number: int) -> Reply:
        # 37 tokens of text and no seconds, as bench's prompts have.
        parts = [
            {"type": "video_url", "video_url": contents[number % 8]},
            {"type": "text", "text": "x " * 18 + "x"},
        ]
        request = {
            "model": model, "messages": [{"role": "user", "content": parts}], "max_tokens": tokens, "stream": stream,
            "framescribe": {"template": "base", "stop_loops": False},
        }  # fmt: skip
        async with room:
            reply = await ask(url, request)
        assert reply is not None
        assert reply.status == 200, reply.body
        return reply

    begun_s = time.perf_counter()
    replies = await asyncio.gather(*(one(number) for number in range(count)))
    seconds = time.perf_counter() - begun_s
    firsts = sorted(each.first_s for each in replies)
    return {
        "seconds": seconds,
        "first_token_s": {
            "median": round(statistics.median(firsts), 3), "p95": round(firsts[int(0.95 * (count - 1))], 3),
            "last": round(firsts[-1], 3),
        },
    }  # fmt: skip


def frames(seed: int) -> str:
    """24 different pictures of bench's size as JPEG, in one data URL."""
    import numpy as np
    from PIL import Image

    files = []
    for number in range(24):
        y, x = np.mgrid[:224, :398]
        wave = np.stack([np.sin(x / 30 + number + each) + np.cos(y / 20 + seed) for each in range(3)], -1)
        file = io.BytesIO()
        Image.fromarray((63 * (wave + 2)).astype(np.uint8)).save(file, "JPEG", quality=90)
        files.append(base64.b64encode(file.getvalue()).decode())
    return f"data:video/jpeg;base64,{','.join(files)}"


if __name__ == "__main__":
    main()
