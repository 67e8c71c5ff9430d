"""A folder of small clips with captions, and the real server over it as a process that can be killed."""

import os
import random
import re
import resource
import signal
import socket
import subprocess
import sys
from contextlib import suppress

import httpx
import numpy as np

from framescribe.caption_row import CaptionRow
from framescribe.dataset.lock import locked
from framescribe.dataset.store import RowFolder
from framescribe.score_row import ScoreRow
from framescribe.types import Clip
from framescribe.video.encode import write_mp4
from tests.reference import ROOT

WORDS = [
    "a",
    "red",
    "kite",
    "rises",
    "over",
    "the",
    "sea",
    "while",
    "two",
    "dogs",
    "run",
    "along",
    "the",
    "sand",
]


def caption_row(source, number, caption=None, prompt_index=0, **changes):
    row = {
        "clip_id": Clip(str(source)).id, "source_video": str(source), "start_s": 0.0, "end_s": None, "duration_s": 1.0,
        "width": 64, "height": 48, "fps": 10.0, "codec": "h264",
        "caption": caption or f"Clip {number}: {' '.join(WORDS[number % 7 :])}.", "caption_status": "success",
        "frame_indices": (0, 5), "frame_timestamps_s": (0.0, 0.5), "covered_s": 0.7, "strategy": "chat",
        "num_frames": 24,
        "template": "chat", "prompt": "Describe this." if prompt_index == 0 else "What moves?",
        "prompt_index": prompt_index,
        "model": "tiny", "model_revision": "x", "precision": "fp32", "max_new_tokens": 64, "temperature": 0.0,
        "top_p": 1.0,
        "repetition_penalty": 1.0, "seed": 0, "engine_version": "0",
    }  # fmt: skip
    return CaptionRow(**(row | changes))


def write_clip(path, seed=0, frames=10):
    """A gradient that moves, a second long."""
    across = np.arange(64)[None, None, None, :] + 6 * np.arange(frames)[:, None, None, None] + 40 * seed
    pixels = np.broadcast_to(across % 256, (frames, 3, 48, 64)).astype(np.uint8)
    write_mp4(path, pixels, 10)


def append(folder, rows):
    target = RowFolder(str(folder))
    with locked(target):
        target.table.append([row.to_dict() for row in rows], "0123456789abcdef", target.table.next_number())


def append_scores(folder, row, **scores):
    """Scores of one scorer for a row's clip."""
    target = RowFolder(str(folder))
    scored = ScoreRow(
        clip_id=row["clip_id"], source_video=row["source_video"], start_s=0.0, end_s=None, scorer="motion", version=1,
        names=tuple(scores), values=tuple(scores.values()), engine_version="0",
    )  # fmt: skip
    with locked(target):
        target.scores.make()
        target.scores.append([scored.to_dict()], "0123456789abcdef", target.scores.next_number())


def make_folder(where, number, changes=None):
    """``number`` clips with a caption each; ``changes`` by number are other columns."""
    where.mkdir(parents=True, exist_ok=True)
    rows = []
    for place in range(number):
        path = where / f"clip-{place:03}.mp4"
        if place < 4:
            write_clip(path, place)
        else:
            path.symlink_to(where / f"clip-{place % 4:03}.mp4")
        rows.append(caption_row(path, place, **(changes or {}).get(place, {})))
    append(where / "captions", rows)
    return where / "captions"


def free_port():
    """One that the system gives to nobody by itself, so that it is still free when a server starts there again."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as free, suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


class Server:
    """``framescribe review`` as a process.

    Attributes:
        address: with the token.
        client: an HTTP client that has come in.
    """

    def __init__(self, folder, cache, *options):
        self.folder, self.cache, self.options = folder, cache, options
        self.port = free_port()
        self.start()

    def start(self):
        command = [
            sys.executable,
            "-m",
            "framescribe",
            "review",
            str(self.folder),
            "--no-browser",
            "--port",
            str(self.port),
        ]
        self.process = subprocess.Popen(
            [*command, "--reviewer", "ann", *self.options],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | {"XDG_CACHE_HOME": str(self.cache), "PYTHONUNBUFFERED": "1"},
        )
        line = self.process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, f"it said {line!r} and ended"
        self.address = found[0]
        self.token = self.address.partition("token=")[2]
        self.origin = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(
            base_url=self.origin, follow_redirects=True, headers={"origin": self.origin}, timeout=300
        )
        self.client.get("/", params={"token": self.token}).raise_for_status()
        return self

    def get(self, path, **asked):
        while (answer := self.client.get(path, params=asked)).status_code == 503:
            pass
        answer.raise_for_status()
        return answer.json()

    def post(self, path, **given):
        answer = self.client.post(path, json=given)
        answer.raise_for_status()
        return answer.json()

    def all_rows(self):
        while not (found := self.get("/api/rows", limit=500))["is_complete"]:
            pass
        return found["rows"]

    def decide(self, group_id, action, row, **more):
        named = {name: row[name] for name in ("clip_id", "prompt_index", "caption")}
        decision = {"group_id": group_id, "action": action, "rows": [named], **more}
        return self.post("/api/decide", decisions=[decision])["answers"][0]

    def choose(self, **choice):
        decision = {"action": "choose", **choice}
        return self.post("/api/decide", decisions=[decision])["answers"][0]

    def limit_files(self, size_bytes):
        """Lets the process write files of so many bytes at most, as on a full disk; None: of any size again."""
        _, hard = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
        limit = hard if size_bytes is None else size_bytes
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (limit, hard))

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=300)
        self.process.stdout.close()
        return code
