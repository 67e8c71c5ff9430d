"""The pictures of a review in the documentation: the examples under two prompts, in Chromium; needs Playwright."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Literal

import av
from playwright.sync_api import ViewportSize, sync_playwright

import framescribe
from framescribe import Dataset
from framescribe.decisions.decisions import Decisions

_PROMPTS = ["Please describe this video in detail.", "Describe this video in one sentence."]
_REVIEWER = "ann"
_QUIETLY = ("--no-browser", "--reviewer", _REVIEWER)
_QUALITY = 80
_PICTURES: list[tuple[str, int, int, float, str, Literal["light", "dark"]]] = [
    ("clip", 1600, 1000, 0.625, "n", "light"),
    ("grid", 1600, 1000, 0.625, "g", "dark"),
    ("phone", 390, 844, 1, "", "light"),
    ("compare", 1200, 820, 1, "c", "light"),
]
"""What each is called, the window's width and height, the picture's scale, the keys to press, the colour scheme."""


def write_pictures(root: Path, target: Path) -> None:
    """Writes ``review-clip``, ``-grid``, ``-phone`` and ``-compare`` as WebP into the folder ``target``."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "captions")
        framescribe.caption(str(root / "examples"), str(folder), prompts=_PROMPTS, progress=False)
        framescribe.score(str(folder), progress=False)
        decisions = Decisions(folder, _REVIEWER)
        first, second, third, *_ = Dataset(folder).rows("prompt_index = 0")
        decisions.accept([first, second])
        decisions.reject([third], reason="the camera is wrong")
        command = [sys.executable, "-m", "framescribe", "review", str(folder), *_QUIETLY]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                _photograph(_address(server.stdout), target)
            finally:
                server.terminate()


def _address(output: IO[str]) -> str:
    return next(word for line in output for word in line.split() if word.startswith("http://"))


def _photograph(address: str, target: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))

        for name, width, height, scale, keys, scheme in _PICTURES:
            size: ViewportSize = {"width": width, "height": height}
            context = browser.new_context(viewport=size, color_scheme=scheme)
            page = context.new_page()
            page.goto(address)
            page.wait_for_selector(".focus h2:not(:empty)")
            for key in keys:
                page.keyboard.press(key)
            page.wait_for_timeout(3000)  # videos and strips have come
            _write_webp(page.screenshot(), target / f"review-{name}.webp", round(width * scale))
            context.close()
        browser.close()


def _write_webp(png: bytes, path: Path, width: int) -> None:
    with av.open(io.BytesIO(png), "r") as container:
        frame = next(container.decode(video=0))
    height = round(frame.height * width / frame.width / 2) * 2
    with av.open(str(path), "w", format="webp") as output:
        stream = output.add_stream("libwebp", options={"quality": str(_QUALITY)})
        stream.width, stream.height, stream.pix_fmt = (
            width,
            height,
            "bgra",
        )  # libwebp makes its colours itself
        output.mux(stream.encode(frame.reformat(width, height, "bgra")))
        output.mux(stream.encode(None))
