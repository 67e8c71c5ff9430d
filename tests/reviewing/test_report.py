"""The report of a review is the command's, behind the same guard, and knows what has changed since."""

import html
import re
import shutil
from urllib.parse import unquote

import httpx
import pytest

from tests.cli.run import invoke
from tests.report.pages import Document
from tests.reviewing.conftest import HOSTILE, until
from tests.reviewing.served import append, caption_row

LINK = re.compile(r' href="[^"]*"')


def report(server):
    """The answer with the report, once it is made."""
    while (answer := server.client.get("/report")).status_code == 202:
        assert answer.headers["refresh"] == "1"
    return answer


def test_it_is_the_commands_but_for_where_pictures_lead(served, tmp_path):
    made = report(served)
    assert made.status_code == 200
    page = tmp_path / "page.html"
    assert invoke("report", served.folder, "-o", page).exit_code == 0
    assert LINK.sub("", made.text) == LINK.sub("", page.read_text())
    clips = {row["clip_id"] for row in served.all_rows() if not row["source_video"].endswith("gone.mp4")}
    links = [unquote(each.get("href")) for tag, each in Document(made.text).elements if tag == "a"]
    assert set(links) == {f"/#where=clip_id = '{clip}'" for clip in clips}


def test_texts_in_it_are_texts_and_no_script_runs_but_its_own(served):
    made = report(served)
    shown = Document(made.text)
    assert HOSTILE in shown.text
    assert [tag for tag, _ in shown.elements].count("script") == 1
    assert not [name for _, name, _ in shown.attributes if name.startswith("on")]
    policy = dict(part.split(" ", 1) for part in made.headers["content-security-policy"].split("; "))
    assert re.fullmatch(r"'sha256-[\w+/]{43}='", policy["script-src"])
    closed = ("default-src", "base-uri", "form-action", "frame-ancestors", "trusted-types")
    assert [policy[name] for name in closed] == ["'none'"] * len(closed)
    assert (policy["img-src"], policy["require-trusted-types-for"]) == ("data:", "'script'")
    assert made.headers["x-content-type-options"] == "nosniff"
    assert made.headers["cache-control"] == "no-store"


def test_nobody_else_gets_it(served):
    assert httpx.get(f"{served.origin}/report").status_code == 401
    assert served.client.get("/report", headers={"origin": "http://evil.example"}).status_code == 403
    assert served.client.get("/report", headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_it_is_made_anew_when_something_changed(own):
    rows = own.all_rows()
    before = report(own)
    assert own.client.get("/report").text == before.text  # at once
    assert own.decide("a-verdict-1", "reject", rows[0], reason="no kite")["is_saved"]
    assert "no kite" in (made := report(own)).text
    append(own.folder, [caption_row(rows[1]["source_video"], 0, "Captioned anew.")])
    while "Captioned anew." not in report(own).text:
        pass
    assert "Decisions" not in before.text
    assert "Decisions" in made.text


def test_it_says_why_it_cannot_be_made(own):
    own.all_rows()
    shutil.rmtree(own.folder)
    answer = report(own)
    assert answer.status_code == 422
    assert str(own.folder) in html.unescape(answer.text)


@pytest.mark.browser
def test_the_link_opens_charts_whose_clips_lead_back(served, pages):
    page = pages(served)
    wrong = []
    page.context.on("console", lambda said: said.type == "error" and wrong.append(said.text))
    page.context.on("weberror", lambda error: wrong.append(str(error.error)))
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Report").click()
    shown = opened.value
    shown.locator("svg .bar").first.wait_for()
    assert shown.locator("main h2", has_text="Status").is_visible()
    picture = shown.locator("article a.pictures").first
    name = shown.locator("article:has(a.pictures) h3").first.inner_text()
    with shown.expect_popup() as back:
        picture.click()
    until(back.value, "name => document.querySelector('.focus h2')?.textContent.includes(name)", arg=name)
    assert wrong == []
