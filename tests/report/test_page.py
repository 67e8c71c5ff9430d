"""The page: what it says, that nothing in it comes from outside, and that no text gets out of its place."""

import base64
import hashlib
import html
import io
import json
import os
import re
from itertools import pairwise
from urllib.parse import unquote, unquote_to_bytes

import av
import numpy as np
import pytest

from framescribe.errors import ClipError
from framescribe.report.stills import encoded_stills, stills_of
from framescribe.types import Clip
from tests.cli.run import invoke
from tests.reference import CLIPS
from tests.report.pages import Document, document, made, overview

NASTY = '<script>alert("1")</script> & "quotes\' </title><img src=http://evil.example/x.png>'


def row(number: int, **columns):
    values = {
        "clip_id": f"{number * 7919 % 2**32:016x}",
        "source_video": f"/data/{number}.mp4",
        "start_s": 0.0,
        "end_s": None,
        "duration_s": 10.0,
        "covered_s": 10.0,
        "width": 64,
        "height": 48,
        "fps": 8.0,
        "codec": "h264",
        "caption": f"Caption {number} has five words.",
        "caption_status": "success",
        "error_message": None,
        "flags": [],
        "created_at": f"2026-01-02T03:{number % 60:02}:00+00:00",
        "model": "tiny",
    }
    return values | columns


def test_numbers():
    rows = [row(number) for number in range(90)]
    rows += [row(100 + number, flags=["looping"], covered_s=5.0) for number in range(6)]
    rows += [
        row(200 + number, caption_status="error", caption=None, duration_s=None, covered_s=None)
        for number in range(4)
    ]
    text = " ".join(document(rows).text.split())
    for said in (
        "clips100", "captioned96 %", "flagged6 %", "of video16.0 min", "of it seen96.9 %", "words at the median5",
        "success 96", "error 4", "looping 6", "2 January 2026, 03:00 to 03:59 UTC",
    ):  # fmt: skip
        assert said in text


def test_text_is_escaped_and_nothing_comes_from_outside():
    nasty = row(
        1, caption=NASTY, source_video=f"/{NASTY}/{NASTY}", error_message=NASTY, flags=[NASTY], model=NASTY
    )
    shown = Document(made([nasty, row(2)], NASTY))
    tags = [tag for tag, _ in shown.elements]
    assert tags.count("script") == 1
    assert tags.count("img") == 0
    assert not {"link", "iframe", "object", "base", "form"} & set(tags)
    assert not [each for each in shown.attributes if each[1] in ("src", "href", "action", "srcset")]
    assert not [name for _, name, _ in shown.attributes if name.startswith("on")]
    assert shown.text.count(NASTY) >= 4
    (policy,) = [
        attributes["content"]
        for tag, attributes in shown.elements
        if "http-equiv" in attributes and tag == "meta"
    ]
    assert policy.startswith("default-src 'none'")


def test_style_and_script_ask_nothing_of_the_network():
    text = made([row(1)])
    assert not re.search(r"https?:|//[a-z]|url\(|@import|fetch\(|XMLHttpRequest", text)


def test_only_the_pages_own_script_may_run():
    text = made([row(1, caption="</script><script>alert(1)</script>")])
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    assert html.unescape(policy).split("; ")[-1] == f"script-src 'sha256-{digest}'"


def test_facts_of_a_clip():
    facts = row(1, start_s=3.0, end_s=13.0, covered_s=9.4, fps=29.97)
    assert "10 s · from 3 s · 64×48 · 30 fps · h264 · only 9.4 s seen" in document([facts]).text
    assert "of it seen100 %" in " ".join(document([row(1, covered_s=99.0), row(2)]).text.split())
    assert "only" not in document([row(1, covered_s=9.6)]).text


def test_stills_are_of_the_part_that_was_seen():
    source = str(CLIPS / "portrait-25s.mp4")
    seen = row(1, source_video=source, start_s=2.0, covered_s=6.0)
    clip = Clip(source, 2.0, 8.0)
    stills = stills_of([seen], lambda: None)(seen)
    assert stills.split(",")[1] == base64.b64encode(encoded_stills(clip)).decode()
    nowhere = row(2, source_video=source, start_s=9.0, end_s=8.0)
    with pytest.raises(ClipError, match="end_s"):
        stills_of([nowhere], lambda: None)(nowhere)


def test_clips_are_half_bad_ones_and_always_the_same():
    rows = [row(number, flags=["looping"] if number % 10 == 0 else []) for number in range(1000)]
    chosen = overview(rows, 60).clips
    assert sum(bool(each["flags"]) for each in chosen) == 30
    assert overview(reversed(rows), 60).clips == chosen
    assert len({each["clip_id"] for each in chosen}) == 60
    few = overview([*rows[:5], *[row(2000 + number) for number in range(100)]], 60).clips
    assert (len(few), sum(bool(each["flags"]) for each in few)) == (60, 1)
    assert len(overview(rows[:7], 60).clips) == 7
    assert overview(rows, 0).clips == []
    only_bad = overview([row(n, caption_status="error") for n in range(100)], 60).clips
    assert len(only_bad) == 60


def test_several_prompts_are_shown_beside_their_captions_and_their_clips_count_once():
    usual = [row(number, prompt="What is here?") for number in range(3)]
    other = [row(1, prompt="Where is it?", prompt_index=1, caption="In a park in autumn.")]
    shown = document([*usual, *other])
    text = " ".join(shown.text.split())
    assert "captions4" in text
    assert "of video30 s" in text
    assert text.count("Where is it?") == 2  # beside the caption, and among the settings
    assert [tag for tag, _ in shown.elements].count("article") == 4


def test_rows_without_times_have_no_rate():
    text = document([row(1, created_at=None)]).text
    assert "Clips a minute" not in text
    assert "Clips a minute" in document([row(1)]).text


def test_repairs_are_told_by_how_they_ended():
    tried = {"repairs": ["repetition_penalty=1.1"]}
    text = document([row(1, **tried), row(2, caption_status="repetitive", flags=["looping"], **tried)]).text
    assert "repaired 1" in text
    assert "repair failed 1" in text


def test_a_loop_of_words_stays_short():
    shown = document([row(1, caption="JEANS " * 5000)])
    assert "(30,000 characters)" in shown.text
    assert len(shown.text) < 6000
    assert [tag for tag, _ in shown.elements].count("details") == 1  # folded, but for its beginning
    text = made([row(1, caption="JEANS " * 5000)])
    assert len(re.search(r'<p class="caption">(.*?)</p>', text).group(1)) < 700


@pytest.fixture
def videos(tmp_path):
    for name in ("a.mp4", "javascript:alert(1).mp4", 'x" onclick="y&#.mp4', "ü \udcff.mp4"):
        (tmp_path / "videos").mkdir(exist_ok=True)
        (tmp_path / "videos" / name).write_bytes(b"")
    return tmp_path / "videos"


def test_pictures_lead_to_the_videos_and_nowhere_else(videos):
    names = sorted(os.listdir(videos))
    sources = [str(videos / name) for name in names]
    sources += [
        "https://example.com/v/a.mp4?sig=%2Fx", "http:no-host", "https:///no-host.mp4", "javascript:alert(1)", "file:///etc/passwd",
        "s3://bucket/a.mp4", "x.tar::a.mp4", str(videos / "gone.mp4"), "https://e.com/\"><script>",
    ]  # fmt: skip
    rows = [row(number, source_video=source) for number, source in enumerate(sources)]
    text = made(rows, stills=lambda row: "data:image/jpeg;base64,", folder=videos.parent / "pages")
    links = [attributes["href"] for tag, attributes in Document(text).elements if tag == "a"]
    local = [link for link in links if not link.startswith("https://")]
    assert {unquote_to_bytes(link.removeprefix("./")) for link in local} == {
        os.fsencode(f"../videos/{name}") for name in names
    }
    assert all(re.fullmatch(r"\./[A-Za-z0-9%/._~-]+", link) for link in local)
    assert sorted(set(links) - set(local)) == [
        "https://e.com/%22%3E%3Cscript%3E", "https://example.com/v/a.mp4?sig=%2Fx",
    ]  # fmt: skip
    spans = made([row(1, source_video=sources[0], start_s=3.5, end_s=9.0)], stills=lambda row: "data:,")
    assert "#t=3.5,9" in spans


def test_pages_hold_all_clips_and_say_of_how_many():
    text = made([row(number) for number in range(100)])
    shown = Document(text)
    assert [tag for tag, _ in shown.elements].count("article") == 60
    assert "60 of 100" in shown.text
    keys = [attributes for tag, attributes in shown.elements if tag == "article"]
    assert all({"data-name", "data-words", "data-duration", "data-tags"} <= each.keys() for each in keys)


def test_command(tmp_path):
    rows = [
        row(1, source_video=str(CLIPS / "horse.mp4")),
        row(2, source_video=str(CLIPS / "portrait-25s.mp4"), start_s=3.0, end_s=9.0),
        row(3, source_video=str(tmp_path / "gone.mp4")),
        row(4, source_video="no \udcff utf-8.mp4", caption_status="error", error_message="x"),
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    result = invoke("report", path)
    assert result.exit_code == 0, result.stderr
    written = tmp_path / "rows-report.html"
    assert result.stdout.strip() == str(written)
    shown = Document(written.read_text(encoding="utf-8"))
    assert shown.text.count("file not found") == 2
    pictures = [attributes["src"] for tag, attributes in shown.elements if tag == "img"]
    sizes = []
    for picture in pictures:
        assert picture.startswith("data:image/jpeg;base64,")
        jpeg = base64.b64decode(picture.split(",")[1])
        assert len(jpeg) < 120_000
        with av.open(io.BytesIO(jpeg)) as file:
            four = np.split(next(file.decode(video=0)).to_ndarray(format="rgb24").astype(int), 4, axis=1)
        assert all(np.abs(one - other).mean() > 2 for one, other in pairwise(four))  # of four times
        height, width = four[0].shape[:2]
        assert max(width - 4, height) <= 280  # the room between them
        sizes.append(width < height)
    assert sorted(sizes) == [False, True]
    links = [attributes["href"] for tag, attributes in shown.elements if tag == "a"]
    assert len(links) == 2
    assert any(link.endswith("#t=3,9") for link in links)
    assert all((tmp_path / unquote(link.partition("#")[0])).is_file() for link in links)
    before = written.read_bytes()
    assert invoke("report", path).exit_code == 2
    assert written.read_bytes() == before
    assert invoke("report", path, "--overwrite", "--clips", 0).exit_code == 0
    assert "<img" not in written.read_text()
    assert invoke("report", path, "-o", tmp_path / "no" / "x.html").exit_code == 2
    path.write_text("")
    assert invoke("report", path, "-o", tmp_path / "x.html").exit_code == 2
