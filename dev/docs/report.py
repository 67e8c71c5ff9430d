"""The picture of the report in the documentation: the example clips, captioned by `tiny`; needs Playwright."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from framescribe.captioner import Captioner
from framescribe.dataset.dataset import Dataset
from framescribe.dataset.row_file import RowFile

_EXAMPLES = "examples"
_WIDTH_PX, _HEIGHT_PX = 1200, 1350


def write_picture(root: Path, target: Path) -> None:
    """Captions the examples below the project's root, and writes the top of their report's page as PNG."""
    with tempfile.TemporaryDirectory() as name:
        rows, page = Path(name, "captions.jsonl"), Path(name, "page.html")
        with RowFile(rows) as file:
            for row in Captioner.from_pretrained().caption(root / _EXAMPLES):
                file.write(row)
        Dataset(rows).report(page)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
            window = browser.new_page(viewport={"width": _WIDTH_PX, "height": _HEIGHT_PX})
            window.goto(page.as_uri())
            window.wait_for_load_state("networkidle")
            window.screenshot(path=target)
            browser.close()
