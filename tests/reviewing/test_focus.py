"""One clip in a real browser: it plays within its span, frame by frame; its caption is edited and measured."""

from itertools import pairwise

import pytest
from tokenizers import Tokenizer

from framescribe import Decisions
from tests.reference import TINY
from tests.reviewing.conftest import opens, saved, until

pytestmark = pytest.mark.browser

VIDEO = "document.querySelector('video')"
SHOWN_FRAME = """() => {
  const video = document.querySelector('video');
  if (video.seeking || video.readyState < 2) return -1;
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight), paper = canvas.getContext('2d');
  paper.drawImage(video, 0, 0);
  return Math.round(paper.getImageData(4, 24, 1, 1).data[0] / 6 - 4 / 6);
}"""
"""Which frame of its file the picture is: write_clip() makes each 6 brighter than the one before."""


@pytest.fixture
def span(lively, pages):
    """A page that shows a clip from 1.0 to 2.5 s of its file, paused at its start."""
    page = pages(lively)
    opens(page, lively.all_rows()[-1])
    until(page, f"{VIDEO}.readyState >= 2 && !{VIDEO}.paused")
    page.keyboard.press("Space")
    until(page, f"{VIDEO}.paused")
    page.locator(".timeline").press("Home")
    page.evaluate("document.activeElement.blur()")
    until(page, f"{VIDEO}.currentTime === 1 && !{VIDEO}.seeking")
    return page


def test_a_clip_plays_in_a_loop_within_its_span(span):
    times = span.evaluate("""async () => {
      const video = document.querySelector('video'), times = [];
      video.playbackRate = 4;
      video.play();
      for (let turns = 0; turns < 2 || Math.max(...times) <= 2.2;) {
        await new Promise(requestAnimationFrame);
        if (times.length && video.currentTime < times.at(-1) - 0.5) turns++;
        times.push(video.currentTime);
      }
      return times;
    }""")
    assert min(times) >= 0.95
    beyond = [first for first, second in pairwise(times) if min(first, second) > 2.5 + 0.1]
    assert not beyond  # a page that was busy comes late, but then it goes back at once


def test_frames_are_stepped_and_numbered_as_the_file_has_them(span):
    for step, (key, expected) in enumerate([(".", 1), (".", 2), (".", 3), (",", 2), (".", 3)]):
        span.keyboard.press(key)
        until(span, f"(() => {{ const shown = {SHOWN_FRAME}; return shown() === {10 + expected} }})()")
        assert f"· frame {expected}" in span.locator(".place").inner_text(), step
    span.locator(".timeline").press("End")
    span.keyboard.press(".")
    until(span, f"(() => {{ const shown = {SHOWN_FRAME}; return shown() === 24 }})()")  # not beyond its end
    assert "frame 14" in span.locator(".place").inner_text()
    box = span.locator(".timeline").bounding_box()
    span.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + box["height"] / 2)
    until(span, f"Math.abs({VIDEO}.currentTime - 1.75) < 0.03")


def test_speed_is_kept_and_without_the_loop_it_stops_at_the_end(span):
    rate = f"{VIDEO}.playbackRate"
    for key, expected in [
        ("]", 1.5),
        ("]", 2),
        ("[", 1.5),
        ("[", 1),
        ("[", 0.5),
        ("]", 1),
        ("]", 1.5),
        ("]", 2),
    ]:
        span.keyboard.press(key)
        assert span.evaluate(rate) == expected
    assert span.locator("select[aria-label=Speed]").input_value() == "2"
    span.keyboard.press("l")
    assert span.get_by_role("button", name="Loop").get_attribute("aria-pressed") == "false"
    span.keyboard.press("Space")
    until(span, f"{VIDEO}.paused && {VIDEO}.currentTime > 2.3")
    # In its last frame, however late a busy page came.
    assert span.evaluate(f"{VIDEO}.currentTime") == pytest.approx(2.45)


def test_what_the_model_saw_is_marked_and_what_it_did_not_is_shaded(span):
    lefts = span.evaluate(
        "[...document.querySelectorAll('.marks i')].map((each) => parseFloat(each.style.left))"
    )
    assert lefts == pytest.approx([100 * second / 1.5 for second in (0.0, 0.3, 0.6, 0.9)], abs=0.01)
    assert span.locator(".unseen").is_visible()
    shaded_from = span.evaluate("parseFloat(document.querySelector('.unseen').style.left)")
    assert shaded_from == pytest.approx(100 * 1.2 / 1.5, abs=0.01)
    assert "the last 0.3 s" in span.locator(".player .hint").inner_text()


def test_length_and_flags_are_counted_as_one_types(lively, pages):
    page = pages(lively)
    row = lively.all_rows()[1]
    opens(page, row)
    tokenizer = Tokenizer.from_file(str(TINY / "tokenizer.json"))
    page.keyboard.press("e")
    page.keyboard.press("Control+a")
    for text, is_over, flags in [
        ("A red kite rises over the sea.", (False, False, False), []),
        ("A red kite rises over the", (False, False, False), ["cut_off"]),
        (" ".join(f"Kite{n} rises." for n in range(60)), (True, True, True), None),
    ]:
        page.keyboard.press("Control+a")
        page.keyboard.insert_text(text)
        tokens = len(tokenizer.encode(text).ids)
        expected = f"{len(text.split())}/100 words,{tokens}/226 T5 tokens,{tokens}/77 CLIP tokens"
        found = "[...document.querySelectorAll('.budgets > span:not(.flag)')]"
        texts = f"{found}.map((each) => each.textContent.replace(' – too long', '')).join()"
        until(page, f"expected => {texts} === expected", expected)
        assert page.evaluate(f"{found}.map((each) => each.className === 'over')") == list(is_over)
        if flags is not None:
            assert (
                page.evaluate(
                    "[...document.querySelectorAll('.budgets .flag')].map((each) => each.textContent)"
                )
                == flags
            )
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Discard it").click()
    assert page.locator("textarea").input_value() == row["caption"]


def test_a_draft_outlives_the_page_and_only_saving_makes_it_an_edit(lively, pages):
    page = pages(lively)
    row = lively.all_rows()[2]
    opens(page, row)
    page.keyboard.press("Enter")
    page.keyboard.press("Control+End")
    page.keyboard.insert_text(" And a draft.")
    page.reload()
    until(
        page, "text => document.querySelector('textarea')?.value === text", f"{row['caption']} And a draft."
    )
    assert "draft" in page.locator(".editor .hint").inner_text()
    assert Decisions(lively.folder).current(row["clip_id"]).text is None
    page.get_by_role("button", name="Save the edit").click()
    saved(page)
    assert Decisions(lively.folder).current(row["clip_id"]).text == f"{row['caption']} And a draft."
    page.reload()
    until(page, "document.querySelector('.history ins')?.textContent.includes('draft')")
    assert page.locator(".editor .row").is_hidden()


def test_scores_history_and_provenance_are_shown(lively, pages):
    page = pages(lively)
    row = lively.all_rows()[0]
    lively.decide("history-of-0-a", "edit", row, text=row["caption"].replace("kite", "paper glider"))
    lively.decide("history-of-0-b", "reject", row, reason="no glider")
    opens(page, {**row, "edited_caption": row["caption"].replace("kite", "paper glider")})
    scores = page.locator("details", has_text="Scores (1)")
    assert scores.locator("dt").all_inner_texts() == ["motion"]
    assert scores.locator("dd").all_inner_texts() == ["10"]
    assert page.locator(".history li").first.inner_text().startswith("ann rejected: no glider")
    change = page.locator(".history li").nth(1)
    assert (change.locator("del").inner_text(), change.locator("ins").inner_text()) == (
        "kite",
        "paper glider",
    )
    change.get_by_role("button", name="Undo").click()
    saved(page)
    until(page, "text => document.querySelector('textarea').value === text", row["caption"])
    assert Decisions(lively.folder).current(row["clip_id"]).text is None
    page.locator(".provenance summary").click()
    facts = dict(
        zip(
            page.locator(".provenance dt").all_inner_texts(),
            page.locator(".provenance dd").all_inner_texts(),
            strict=True,
        )
    )
    assert (facts["model"], facts["prompt"], facts["strategy"]) == ("tiny", "Describe this.", "chat")
