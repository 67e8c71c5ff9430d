"""The bundled model tells of each example clip all that the world which drew it says."""

import re
from pathlib import Path

import pytest

from framescribe import Captioner
from framescribe.synthetic.captions import parse
from tests.reference import ROOT

EXAMPLES = ROOT / "examples"
SENTENCES = dict(
    re.findall(
        r"^\| `(\S+\.mp4)` \| (.+) \|$", (EXAMPLES / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
)


@pytest.fixture(scope="module")
def captions() -> dict[str, str | None]:
    captioner = Captioner.from_pretrained(device="cpu")
    return {
        Path(row.source_video).name: row.caption
        for row in captioner.caption([EXAMPLES / name for name in SENTENCES])
    }


def test_every_example_clip_has_its_sentence():
    assert sorted(SENTENCES) == sorted(path.name for path in EXAMPLES.glob("*.mp4"))


@pytest.mark.parametrize("name", SENTENCES)
def test_the_bundled_model_tells_all_facts(name, captions):
    said, shown = captions[name], SENTENCES[name]
    assert said is not None
    assert parse(said) == parse(shown), said
