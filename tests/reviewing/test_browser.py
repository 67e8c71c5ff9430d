"""The page in a real browser: keys decide, texts are texts, reviewers meet, and axe finds it accessible."""

import pytest

from framescribe import Decisions
from tests.browser import violations
from tests.reviewing.conftest import HOSTILE, RIGHT_TO_LEFT, saved, until

pytestmark = pytest.mark.browser


def test_decisions_are_made_by_keys_alone_and_none_while_typing(own, pages):
    page = pages(own)
    rows = own.all_rows()
    page.keyboard.press("a")
    saved(page)
    page.keyboard.press("n")
    until(page, "document.querySelector('.right .hint').textContent.startsWith('2 of')")
    page.keyboard.press("e")
    page.keyboard.press("Control+a")
    page.keyboard.type("A narrow path, and a great lake.")
    page.keyboard.press("Control+Enter")
    page.keyboard.press("r")
    page.keyboard.type("not a kite")
    page.keyboard.press("Enter")
    page.keyboard.press("t")
    page.keyboard.type("lake")
    page.keyboard.press("Enter")
    saved(page)
    decisions = Decisions(own.folder)
    first, second = (decisions.current(row["clip_id"]) for row in rows[:2])
    assert (first.verdict, first.text) == ("accept", None)
    assert (second.verdict, second.reason, second.text, second.tags) == (
        "reject", "not a kite", "A narrow path, and a great lake.", ("lake",),
    )  # fmt: skip
    assert page.locator(".history ins").first.inner_text()
    page.keyboard.press("u")
    until(page, "!document.querySelector('.tags button')")
    saved(page)
    assert Decisions(own.folder).current(rows[1]["clip_id"]).tags == ()
    assert len(Decisions(own.folder).state()) == 2


def test_texts_of_any_kind_are_shown_as_texts(served, pages):
    page = pages(served)
    for text, direction in ((HOSTILE, "ltr"), (RIGHT_TO_LEFT, "rtl"), ("🪁 " * 5000, "ltr")):
        page.keyboard.press("n")
        until(
            page,
            "text => document.querySelector('textarea').value === text",
            arg=text,
        )
        assert page.locator("textarea").evaluate("(each) => getComputedStyle(each).direction") == direction
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.title() != "owned"
    assert page.locator("main img[src=x], main script").count() == 0
    page.keyboard.press("g")
    page.wait_for_selector(".card[data-clip][aria-posinset='4']")
    for place, text in ((2, HOSTILE), (3, RIGHT_TO_LEFT), (4, "🪁 " * 100)):
        assert page.locator(f".card[aria-posinset='{place}'] .text").text_content() == text
    assert page.locator("main img[src=x], main script").count() == 0


def test_a_bulk_edit_shows_every_change_first_and_is_undone_as_a_whole(own, pages):
    page = pages(own)
    page.keyboard.press("b")
    page.locator("dialog input[aria-label=Find]").fill("kite")
    page.locator("dialog input[aria-label=Text]").fill("glider")
    page.wait_for_selector("dialog .changes ins")
    expected = sum("kite" in row["caption"] for row in own.all_rows())
    page.locator("dialog button.accept").click()
    page.locator(".notice button", has_text="Undo").wait_for()
    assert sum(state.text is not None for state in Decisions(own.folder).state().values()) == expected
    page.locator(".notice button", has_text="Undo").click()
    saved(page)
    assert not any(state.text for state in Decisions(own.folder).state().values())


def test_reviewers_see_each_other(own, pages):
    page = pages(own)
    other = pages(own)
    other.evaluate("localStorage.setItem('framescribe:reviewer', 'ben')")
    other.reload()
    until(page, "[...document.querySelectorAll('.looking')].some((each) => each.textContent.includes('ben'))")
    other.wait_for_selector(".focus h2:not(:empty)")
    other.keyboard.press("a")
    until(page, "document.querySelector('.verdict').textContent.includes('accepted by ben')")


@pytest.mark.parametrize(
    ("view", "scheme"),
    [("focus", "light"), ("grid", "light"), ("blind", "light"), ("focus", "dark"), ("grid", "dark")],
)
def test_axe_finds_no_violation(served, pages, view, scheme):
    page = pages(served, f"view={view}", color_scheme=scheme, reduced_motion="reduce")
    page.wait_for_selector(
        {"focus": ".budgets span", "grid": ".card[data-clip] .name", "blind": ".side .caption:not(:empty)"}[
            view
        ]
    )
    assert violations(page) == []
