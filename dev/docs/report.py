"""The picture of the report in the documentation: the example clips, captioned by the bundled model; needs Chromium."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from framescribe.captioner import Captioner
from framescribe.dataset.dataset import Dataset
from framescribe.dataset.row_file import RowFile

_EXAMPLES = "examples"
_WIDTH_PX, _HEIGHT_PX = 1200, 1350
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def write_picture(root: Path, target: Path) -> None:
    """Captions the examples below the project's root, and writes the top of their report's page as PNG."""
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        raise SystemExit(f"one of {', '.join(_BROWSERS)} has to be installed")
    with tempfile.TemporaryDirectory() as name:
        rows, page, picture = (Path(name, each) for each in ("captions.jsonl", "page.html", "page.png"))
        with RowFile(rows) as file:
            for row in Captioner.from_pretrained().caption(root / _EXAMPLES):
                file.write(row)
        Dataset(rows).report(page)
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        command += ["--hide-scrollbars", f"--window-size={_WIDTH_PX},{_HEIGHT_PX}", f"--screenshot={picture}"]
        subprocess.run([*command, page.as_uri()], check=True, capture_output=True, timeout=120)
        target.write_bytes(picture.read_bytes())
