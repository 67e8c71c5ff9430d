"""README's length, picture, first command and what it prints; the Chinese one is level with it."""

import re

from framescribe.synthetic.captions import parse
from tests.docs.pages import READMES, blocks, text_of
from tests.reference import ROOT

ENGLISH, CHINESE = READMES
FIRST = "python3 -m venv .venv && . .venv/bin/activate && pip install -q -e . && framescribe caption examples/*.mp4"


def test_readme_has_at_most_600_words():
    assert len(text_of(ENGLISH).split()) <= 600


def test_the_first_block_is_the_first_command():
    assert blocks(ENGLISH, "")[0].strip() == blocks(CHINESE, "")[0].strip() == FIRST
    assert text_of(ENGLISH).index("```\n") == text_of(ENGLISH).index("```")


def test_the_shown_output_tells_what_the_clip_shows():
    told = dict(
        re.findall(r"^\| `(\S+\.mp4)` \| (.+) \|$", text_of(ROOT / "examples/README.md"), re.MULTILINE)
    )
    for page in READMES:
        (output,) = blocks(page, "text")
        name, caption = output.rstrip().split("\t")
        assert parse(caption) == parse(told[name.removeprefix("examples/")])


def test_the_picture_is_a_strip_of_that_clip():
    from dev.docs.strip import CLIP

    assert all(blocks(page, "text")[0].startswith(f"{CLIP}\t") for page in READMES)
    assert all("](docs/strip.png)" in text_of(page) for page in READMES)
    picture = (ROOT / "docs" / "strip.png").read_bytes()
    assert picture.startswith(b"\x89PNG\r\n")
    assert len(picture) < 200_000


def test_the_chinese_readme_is_level():
    """The same links, commands without their comments, and numbers in the table."""

    def links(text):
        return sorted(set(re.findall(r"\]\(([^)]+)\)", text)) - {"README.md", "README_zh.md"})

    def code(page):
        return [re.sub(r" *#.*", "", block) for block in blocks(page, "bash", "python", "text", "")]

    assert links(text_of(ENGLISH)) == links(text_of(CHINESE))
    assert code(ENGLISH) == code(CHINESE)
    numbers = [re.findall(r"^\| \*\*(.+?)\*\*", text_of(page), re.MULTILINE) for page in READMES]
    assert [re.findall(r"[\d.]+", number) for number in numbers[0]] == [
        re.findall(r"[\d.]+", number) for number in numbers[1]
    ]
    assert text_of(ENGLISH).count("\n## ") == text_of(CHINESE).count("\n## ")
