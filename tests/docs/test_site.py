"""The site builds without a warning, and its pages ask nothing of other servers."""

import html
import re
import subprocess
import sys

import pytest

from tests.reference import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_there(site):
    pages = {path.parent.name for path in site.glob("*/index.html")}
    assert {page.stem for page in (ROOT / "docs").glob("*.md")} <= pages
    assert {"notebook", "changelog", "benchmarks", "zh"} <= pages


def test_nothing_is_fetched_from_elsewhere(site):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        fetched = re.findall(r"<(?:script|img|iframe|source)[^>]*\ssrc=[\"']?(\w+:)?//", text)
        fetched += re.findall(
            r"<link[^>]*rel=[\"']?(?:stylesheet|preconnect|icon)[^>]*href=[\"']?(?:\w+:)?//", text
        )
        assert not fetched, page


def test_links_lead_to_pages(site):
    """Also those that pages from outside ``docs/`` have, whose links are turned."""
    for page in site.glob("*/index.html"):
        for target in re.findall(r"<a [^>]*href=[\"']?([^\"'#\s>]+)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).resolve().exists(), f"{page}: {target}"


def test_the_python_page_has_every_public_name(site):
    import framescribe

    page = (site / "python" / "index.html").read_text(encoding="utf-8")
    for name in set(framescribe.__all__) - {"__version__"}:
        assert re.search(rf'id="?framescribe\.(?:\w+\.)*{name}\b', page), name


def test_the_quickstart_shows_the_script_of_the_examples(site):
    page = re.sub(r"<[^>]*>", "", (site / "quickstart" / "index.html").read_text(encoding="utf-8"))
    assert 'dataset.export("diffsynth"' in html.unescape(page)
