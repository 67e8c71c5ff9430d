"""A folder of a million captions under review: how soon is the page there, how quick are the next clip and a search?

    python -m benchmarks.review_million FOLDER --json benchmarks/results/review_million.json

Makes the folder unless it is there, as ``dataset_million`` does, with one clip that plays behind every row. A server is
started as a process; a Chromium opens the page while the rows are still being read and again when all are there, goes
from clip to clip by the key and to places far apart, and searches for words that many, some and no captions have.
Memory is the server's resident set, at its peak and at the end. Last line: JSON.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.dataset_million import make, vocabulary
from benchmarks.provenance import provenance, publish

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
THERE = "() => document.querySelector('.right h2')?.textContent && document.querySelector('textarea').value"
NOW_AT = "at => document.querySelector('.right .hint').textContent.startsWith(at)"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    made_by = provenance()
    if not options.folder.exists():
        make(options.folder, options.rows, vocabulary())
    with tempfile.TemporaryDirectory() as cache:
        result = measured(options.folder, cache, options.repeats)
    publish({"rows": options.rows, "repeats": options.repeats} | result | made_by, options.json)


def measured(folder: Path, cache: str, repeats: int) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    start = time.perf_counter()
    command = [sys.executable, "-m", "framescribe", "review", str(folder), "--no-browser"]
    environment = os.environ | {"XDG_CACHE_HOME": cache, "PYTHONUNBUFFERED": "1"}
    with (
        sync_playwright() as playwright,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        assert server.stdout is not None
        found = re.search(r"http://\S+", server.stdout.readline())
        assert found is not None
        address = found[0]
        result: dict[str, Any] = {"address_s": since(start)}
        page = browser.new_page()
        page.goto(address)
        wait(page, THERE)
        result["page_while_reading_s"] = since(start)
        client = entered(address)
        process, peak = psutil.Process(server.pid), 0.0
        while not client.post("/api/changes", json={"page": "benchmark"}).json()["is_complete"]:
            peak = max(peak, process.memory_info().rss / 1e6)
            time.sleep(0.1)
        result["all_rows_read_s"] = since(start)
        result["page_s"] = median(repeats, lambda _: opened(browser, address))
        page = browser.new_page()
        page.goto(address)
        wait(page, THERE)
        result["next_clip_s"] = median(3 * repeats, lambda number: next_clip(page, number + 2))
        result["search_s"] = searches(client, repeats)
        result["memory_mb"] = round(process.memory_info().rss / 1e6)
        result["memory_peak_mb"] = round(max(peak, process.memory_info().rss / 1e6))
        browser.close()
        server.terminate()
    return result


def since(start: float) -> float:
    return round(time.perf_counter() - start, 2)


def median(repeats: int, once: Callable[[int], float]) -> dict[str, float]:
    seconds = sorted(once(number) for number in range(repeats))
    return {
        "median": round(statistics.median(seconds), 3),
        "p95": round(seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))], 3),
    }


def wait(page: Any, condition: str, argument: object = None) -> None:
    while not page.evaluate(condition, argument):
        time.sleep(0.002)


def opened(browser: Any, address: str) -> float:
    """From nothing to a page with a clip's name and caption, in a browser that has no cookie of it."""
    context = browser.new_context()
    page = context.new_page()
    start = time.perf_counter()
    page.goto(address)
    wait(page, THERE)
    seconds = time.perf_counter() - start
    context.close()
    return seconds


def next_clip(page: Any, number: int) -> float:
    """From the key to the name, the caption and the history of the next clip."""
    start = time.perf_counter()
    page.keyboard.press("n")
    wait(page, NOW_AT, f"{number:,} of")
    wait(page, "() => document.querySelector('.history')")
    return time.perf_counter() - start


def entered(address: str) -> httpx.Client:
    base, _, token = address.partition("/?token=")
    client = httpx.Client(base_url=base, headers={"origin": base}, follow_redirects=True, timeout=120)
    client.get("/", params={"token": token}).raise_for_status()
    return client


def searches(client: httpx.Client, repeats: int) -> dict[str, dict[str, float]]:
    """By kind of word; each time another one, as an answer is kept for its page."""
    words = vocabulary()
    kinds = {"frequent": words[5:], "rare": words[2000:], "absent": [f"{word}qx" for word in words]}

    def once(word: str) -> float:
        start = time.perf_counter()
        client.get("/api/rows", params={"search": word}).raise_for_status()
        return time.perf_counter() - start

    return {kind: median(repeats, lambda number: once(chosen[number])) for kind, chosen in kinds.items()}  # noqa: B023


if __name__ == "__main__":
    main()
