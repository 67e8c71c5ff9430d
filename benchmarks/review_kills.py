"""Decisions at random in two browsers, by keys, while their server is killed: is each there that the page called saved?

    python -m benchmarks.review_kills --json benchmarks/results/review_kills.json

Two Chromium pages on one folder accept, reject with a reason, tag and edit clips at random; the server gets SIGKILL at
random moments and is started again a while later. What the server acknowledged is noted from its answers. In the end
all decisions of the keys must be in the folder once, and all that were acknowledged among them. Last line: JSON.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.provenance import provenance, publish
from framescribe.dataset.dataset import Dataset
from framescribe.decisions.decisions import Decisions
from tests.reviewing.served import Server, make_folder

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
CLIPS = 60
DOWN_S = (0.0, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--decisions", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    made_by = provenance()
    with tempfile.TemporaryDirectory() as home:
        folder = make_folder(Path(home, "clips"), CLIPS)
        start = time.perf_counter()
        acknowledged = decided(folder, Path(home, "cache"), options.decisions, options.kills, options.seed)
        seconds = time.perf_counter() - start
        found = groups(folder)
    result = {
        "decisions": options.decisions,
        "kills": options.kills,
        "seconds": round(seconds, 1),
        "acknowledged": len(acknowledged),
        "in_the_folder": sum(found.values()),
        "acknowledged_but_lost": len(acknowledged - set(found)),
        "twice": sum(count > 1 for count in found.values()),
        "never_saved": options.decisions - len(found),
    }
    publish(result | made_by, options.json)


def decided(folder: Path, cache: Path, decisions: int, kills: int, seed: int) -> set[str]:
    """Ids of the decisions that a page was told are saved."""
    from playwright.sync_api import sync_playwright

    draw, acknowledged = random.Random(seed), set[str]()
    server = Server(folder, cache)
    kill_at = set(draw.sample(range(5, decisions - 5), kills))

    def note(response: Any) -> None:
        if response.url.endswith("/api/decide") and response.ok:
            try:
                answers = response.json()["answers"]
            except Exception:  # noqa: BLE001 - the server died while it answered: nothing was acknowledged
                return
            acknowledged.update(each["group_id"] for each in answers if each["is_saved"])

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        pages = [browser.new_context().new_page() for _ in range(2)]
        for page in pages:
            page.on("response", note)
            page.goto(server.address)
            page.wait_for_selector(".focus h2:not(:empty)")
        up_at = 0.0
        for number in range(decisions):
            if number in kill_at:
                if up_at:
                    server.start()
                server.kill()
                up_at = time.monotonic() + draw.uniform(*DOWN_S)
            if up_at and time.monotonic() > up_at:
                server.start()
                up_at = 0.0
            act(draw.choice(pages), draw, number)
        if up_at:
            server.start()
        for page in pages:
            while page.evaluate("() => document.querySelector('.state').textContent") != "saved":
                page.wait_for_timeout(100)
            page.wait_for_timeout(500)
        browser.close()
    server.stop()
    return acknowledged


def act(page: Any, draw: random.Random, number: int) -> None:
    """One decision by keys, then maybe another clip."""
    keys = page.keyboard
    kind = draw.choice("aarte")
    keys.press(kind)
    if kind in "rt":
        keys.type(f"why {number}")
        keys.press("Enter")
    if kind == "e":
        keys.press("Control+a")
        keys.type(f"Text {number}.")
        keys.press("Control+Enter")
    if draw.random() < 0.5:
        keys.press(draw.choice("nnp"))


def groups(folder: Path) -> Counter[str]:
    """How many entries each decision has in the folder."""
    decisions = Decisions(str(folder))
    keys = [(row["clip_id"], row["prompt_index"]) for row in Dataset(folder)]
    entries = (entry for key in keys for entry in decisions.history(*key))
    return Counter(entry.group_id for entry in entries)


if __name__ == "__main__":
    main()
