"""Tables and lists of pages that tell what the code has: settings, extras, layouts, endings, flags."""

import re
import tomllib
from dataclasses import MISSING, fields

from framescribe.export.layout import LAYOUTS
from framescribe.extras import requirements
from framescribe.pipeline.listing import VIDEO_SUFFIXES
from framescribe.quality.flags import DEFECTS, FLAGS
from framescribe.train.settings import TrainSettings
from framescribe.video.table import PATH_COLUMNS
from tests.docs.pages import text_of
from tests.reference import ROOT


def page(name):
    return text_of(ROOT / "docs" / name)


def rows(text, columns):
    """Cells of the tables' rows that begin with a name in backticks."""
    found = [line.strip("|").split("|") for line in text.splitlines() if re.match(r"\| `\w", line)]
    return [[cell.strip() for cell in cells] for cells in found if len(cells) == columns]


def test_training_settings_and_their_defaults():
    shown = {
        name.strip("`"): default
        for name, default, _ in rows(page("training.md").partition("## Settings")[2], 3)
    }
    assert list(shown) == [field.name for field in fields(TrainSettings)]
    for field in fields(TrainSettings):
        default = shown[field.name]
        if field.default is MISSING:
            assert default == "required"
        elif default.startswith("`"):
            assert tomllib.loads(f"value = {default.strip('`')}")["value"] == field.default
        else:
            assert default in ("none", "all three")


def test_extras_and_their_packages():
    shown = {
        name.strip("`"): packages
        for name, _, packages in rows(page("install.md").partition("## Models")[0], 3)
    }
    assert set(requirements()) == set(shown) - {"all", "docs"}
    for extra, packages in requirements().items():
        for package in packages:
            name = re.match(r"[\w-]+", package)[0]
            assert name in shown[extra].lower().replace("ray data", "ray"), extra


def test_every_layout_was_read_back():
    trials = page("exports.md").partition("## What loaders read of it")[2].partition("## In Python")[0]
    assert sorted(name.strip("`") for name, *_ in rows(trials, 4)) == sorted(LAYOUTS)
    assert f"{len(LAYOUTS)} layouts" in page("quickstart.md")
    assert f"{len(LAYOUTS) - 1} other" in text_of(ROOT / "README.md")


def test_endings_of_videos():
    listed = re.search(r"upper or lower case: `(.*?)`;", page("sources.md"), re.DOTALL)[1].split()
    assert sorted(listed) == sorted(VIDEO_SUFFIXES)
    assert ", ".join(f"`{column}`" for column in PATH_COLUMNS) in " ".join(page("sources.md").split())


def test_flags():
    shown = {name.strip("`"): again for name, _, again, _ in rows(page("quality.md"), 4)}
    assert list(shown) == list(FLAGS)
    assert {name for name, again in shown.items() if again == "yes"} == DEFECTS
