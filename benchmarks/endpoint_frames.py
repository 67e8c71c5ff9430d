"""Captions through framescribe's own server beside local ones: without loss, and as JPEGs of several qualities.

    python -m benchmarks.endpoint_frames --clips 200 --json benchmarks/results/endpoint_frames.json

Clips are those of the synthetic world, the model is the bundled one, which was trained on such. Last line: JSON.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.provenance import provenance, publish
from framescribe.caption_row import CaptionRow
from framescribe.captioner import Captioner
from framescribe.endpoint.captioner import EndpointCaptioner
from framescribe.endpoint.spec import Endpoint, Send
from framescribe.synthetic.files import file_clips, write_clips
from tests.cli.run import COMMAND

FORMS: tuple[tuple[Send, int], ...] = (
    ("png", 2),
    ("frames", 2),
    ("frames", 5),
    ("frames", 10),
    ("frames", 20),
    ("frames", 31),
    ("video", 2),
)
SAME = (
    "caption",
    "caption_status",
    "finish_reason",
    "frame_indices",
    "frame_timestamps_s",
    "covered_s",
    "prompt_tokens",
    "output_tokens",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    made_by = provenance()
    with tempfile.TemporaryDirectory() as folder:
        list(write_clips(file_clips(options.clips, options.seed), Path(folder)))
        captioner = Captioner.from_pretrained(options.model, device="cpu")
        local, local_s = _timed(captioner.caption(folder))
        del captioner
        found = []
        with _server(options.model) as url:
            for send, jpeg_q in FORMS:
                with EndpointCaptioner(Endpoint(url, send=send, jpeg_q=jpeg_q)) as remote:
                    rows, seconds = _timed(remote.caption(folder))
                found.append(_compared(local, rows) | {"seconds": round(seconds, 1)})
    figures = {
        "clips": len(local),
        "model": options.model,
        "seed": options.seed,
        "local_s": round(local_s, 1),
    }
    publish(figures | {"sent": found} | made_by, options.json)


@contextmanager
def _server(model: str) -> Iterator[str]:
    command = [COMMAND, "serve", "--model", model, "--device", "cpu", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    try:
        url = next(line for line in process.stdout if "://" in line).split()[-1]
        yield url
    finally:
        process.terminate()
        process.wait()


def _timed(rows: Any) -> tuple[dict[str, CaptionRow], float]:
    began = time.monotonic()
    by_id = {row.clip_id: row for row in rows}
    return by_id, time.monotonic() - began


def _compared(local: dict[str, CaptionRow], remote: dict[str, CaptionRow]) -> dict[str, Any]:
    assert local.keys() == remote.keys()
    pairs = [(row, remote[clip_id]) for clip_id, row in local.items()]
    differing = {
        name: sum(getattr(here, name) != getattr(there, name) for here, there in pairs) for name in SAME
    }
    return {
        "sent": pairs[0][1].sent,
        "errors": sum(there.caption_status == "error" for _, there in pairs),
        "differing": {name: count for name, count in differing.items() if count},
    }


if __name__ == "__main__":
    main()
