"""Pages that are written from the code are what the code says now."""

import pytest

from dev.docs.__main__ import PAGES
from tests.cli.run import invoke
from tests.reference import ROOT


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_fresh(name):
    stale = f"{name} is stale: python -m dev.docs writes it anew"
    assert (ROOT / name).read_text(encoding="utf-8") == PAGES[name](), stale


def test_the_command_page_has_all_that_help_shows():
    """The page reads declarations; ``--help`` is the built command's own."""
    import re

    page = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## ([\w-]+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    for name, section in sections.items():
        shown = set(re.findall(r"(?<![\w-])--[a-z-]+", invoke(name, "--help").stdout)) - {
            "--help",
            "--verbose",
        }
        assert shown <= set(re.findall(r"--[a-z-]+", section))
    listed = re.findall(r"^│ (\w[\w-]*) ", invoke("--help").stdout, re.MULTILINE)
    assert sorted(sections) == sorted(listed)
