"""The report in a real browser: no violation by axe, clips in pages and in the order that is asked for."""

import pytest

from framescribe import Dataset
from tests.browser import violations
from tests.reference import CLIPS
from tests.reviewing.served import append, caption_row

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report of 30 clips, one caption of which is a loop; all have the same strip of four pictures."""
    home = tmp_path_factory.mktemp("report")
    source = CLIPS / "short-half-second.mp4"
    words = [f"Clip {n}: {' '.join(['kite'] * n)}." for n in range(30)]
    rows = [
        caption_row(source, n, words[n], clip_id=f"clip{n:02}", duration_s=0.5, covered_s=0.5)
        for n in range(29)
    ]
    loop = {"caption_status": "repetitive", "flags": ("loop",), "clip_id": "looped"}
    append(home / "captions", [*rows, caption_row(source, 29, "jeans " * 700, **loop)])
    Dataset(home / "captions").report(home / "page.html")
    return home / "page.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible_and_fits_a_phone(report, browser, scheme):
    context = browser.new_context(color_scheme=scheme, viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto(report.as_uri())
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def test_clips_are_sorted_and_come_in_pages(report, browser):
    page = browser.new_page()
    page.goto(report.as_uri())
    assert page.locator(".clip").count() == 24
    strip = page.locator(".clip").first.locator(".pictures img").bounding_box()
    assert strip["width"] > 4 * strip["height"]  # four landscape pictures side by side
    page.locator("select").select_option("few")
    assert page.locator(".clip .caption").first.inner_text() == "Clip 0: ."
    page.locator("select").select_option("words")
    loop = page.locator(".clip").first
    assert loop.locator(".caption").first.bounding_box()["height"] < 200
    page.locator(".pages button[value='1']").click()
    assert page.locator(".clip").count() == 6
    page.locator(".find input").fill("jeans")
    assert page.locator(".clip").count() == 1
    assert page.locator(".pages").is_hidden()
    page.close()
