"""Exports of rewritten captions: the text of the caption as it is now, or none."""

import json

import pytest

from framescribe import Dataset, Decisions, rewrite
from framescribe.endpoint.spec import Endpoint
from framescribe.errors import UsageError
from framescribe.export.target import REPORT
from framescribe.quality.cleanup import CleanupRules
from tests.dataset.test_row_file import row
from tests.dataset.test_store import write
from tests.endpoint.server import FakeServer
from tests.export.conftest import LAYOUTS, video
from tests.export.loaders import LOADERS
from tests.rewriting.test_run import asked, shortened


@pytest.fixture
def folder(tmp_path):
    """Five captions, the last of which cannot be rewritten; one was edited and one rejected since."""
    captions = [f"The video shows man number {n} as he walks a dog in a park." for n in range(5)]
    rows = []
    for number, caption in enumerate(captions):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(video(number, frames=12))
        rows.append(
            row(number, source_video=str(path), clip_id=f"{number:016x}", caption=caption, flags=("opener",))
        )
    target = str(tmp_path / "out")
    write(target, *rows)
    with FakeServer(say=lambda body: "" if asked(body) == captions[4] else shortened(body)) as server:
        rewrite(target, Endpoint(server.url), "short", preset="short", progress=False)
    Decisions(target).edit(f"{1:016x}", "A man number 1 walks.")
    Decisions(target).reject(f"{2:016x}")
    return target


def test_a_variant_goes_in_for_the_caption_or_the_clip_is_left_out(folder, tmp_path):
    report = Dataset(folder).export(
        "ltx", tmp_path / "set", variant="short", rules=CleanupRules(prefix="TOK ")
    )
    assert sorted(text for _, text in LOADERS["ltx"](tmp_path / "set")) == [
        "TOK Dog walk 0.",
        "TOK Dog walk 3.",
    ]
    assert report.reasons == {"no variant short": 2, "rejected": 1}
    assert json.loads((tmp_path / "set" / REPORT).read_text())["variants"] == ["short"]


@pytest.mark.parametrize("layout", ["diffusion-pipe", "llama-factory", "ms-swift", "llava"])
def test_several_captions_a_clip(folder, tmp_path, layout):
    report = Dataset(folder).export(
        LAYOUTS[layout],
        tmp_path / "set",
        variant=["short", "caption"],
        accepted_flags=["opener", "duplicate"],
    )
    assert report.exported == 2
    file = next((tmp_path / "set").glob("[!d]*.json*"), tmp_path / "set/videos/captions.json")
    text = file.read_text()
    for number in (0, 3):
        assert text.count(f"Dog walk {number}.") == text.count(f"man number {number} as he") == 1
    if layout == "diffusion-pipe":
        lists = json.loads(text)
        assert {len(captions) for captions in lists.values()} == {2}
        assert lists.keys() == {path.name for path in file.parent.iterdir()} - {file.name}


def test_several_captions_where_the_trainer_reads_one(folder, tmp_path):
    with pytest.raises(
        UsageError, match=r"musubi-tuner reads one caption a clip: .* several go to diffusion-pipe"
    ):
        Dataset(folder).export("musubi", tmp_path / "set", variant=["short", "caption"])


def test_a_variant_that_there_is_not_is_refused(folder, tmp_path):
    with pytest.raises(UsageError, match="there is no `variant` 'long'; there is short"):
        Dataset(folder).export(LAYOUTS["ltx"], tmp_path / "set", variant="long")
