"""The page does not take away what a person is on the way to: notices with a button, the focus, opened parts."""

import pytest

from framescribe import Decisions
from tests.reviewing.conftest import held_back, opens, saved, until

pytestmark = pytest.mark.browser

FOCUS = "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
HOUR_MS = 3_600_000


def bulk_edit(page, suffix):
    page.keyboard.press("b")
    page.locator("dialog select").select_option("suffix")
    page.locator("dialog input[aria-label=Text]").fill(suffix)
    page.wait_for_selector("dialog .changes ins")
    page.locator("dialog button.accept").click()
    page.wait_for_selector("dialog", state="detached")


def test_a_notice_with_a_button_has_the_focus_and_stays_until_it_is_closed(own, pages):
    page = pages(own)
    page.clock.install()
    bulk_edit(page, " One.")
    until(page, "document.activeElement.matches('.notice')")
    page.keyboard.press("p")  # a notice without a button
    until(page, "document.querySelector('#notices').textContent.includes('This is the first clip')")
    page.clock.fast_forward(HOUR_MS)
    until(page, "document.querySelectorAll('.notice').length === 1")
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUS) == "Undo all of it"
    page.keyboard.press("Enter")
    until(page, "document.querySelectorAll('.notice').length === 0")
    page.clock.resume()
    saved(page)
    assert not any(state.text for state in Decisions(own.folder).state().values())
    bulk_edit(page, " Two.")
    until(page, "document.activeElement.matches('.notice')")
    page.keyboard.press("Escape")
    until(page, "document.querySelectorAll('.notice').length === 0 && document.activeElement.id === 'view'")


def test_what_has_the_focus_keeps_it_while_others_decide(own, pages):
    page = pages(own)
    row = own.all_rows()[0]
    own.decide("focus-tags", "tag", row, tags=["kite", "sea"])
    until(page, "document.querySelector('.history li')")
    for locator in (".chip[title*=sea]", ".tags button >> nth=1", ".history button >> nth=0"):
        page.locator(locator).focus()
        before = page.evaluate(FOCUS)
        count = page.locator(".history li").count()
        own.decide(f"focus-{count}-accept", "accept", row, reviewer="ben")
        until(page, "count => document.querySelectorAll('.history li').length > count", count)
        assert page.evaluate(FOCUS) == before
    page.keyboard.press("g")
    page.wait_for_selector(".card[data-clip].here")
    own.decide("focus-last", "reject", row, reviewer="ben")
    until(page, "document.querySelector('.card.here').textContent.includes('rejected')")
    assert page.evaluate("document.activeElement.matches('.card.here button.open')")


def test_a_selected_text_stays_selected_when_another_takes_its_place(own, pages):
    page = pages(own)
    page.keyboard.press("e")
    page.keyboard.press("Control+a")
    own.decide("selected-edit", "edit", own.all_rows()[0], text="Ben's text.", reviewer="ben")
    until(page, "document.querySelector('textarea').value === \"Ben's text.\"")
    page.keyboard.insert_text("Mine.")
    assert page.locator("textarea").input_value() == "Mine."


def test_what_was_opened_or_closed_stays_so(own, pages):
    page = pages(own)
    first, second = own.all_rows()[:2]
    own.decide("folded-edit", "tag", first, tags=["x"])
    until(page, "document.querySelector('.history').open")
    page.locator(".provenance summary").click()
    page.locator(".history summary").click()
    own.decide("folded-accept", "accept", first)
    until(page, "document.querySelector('.history summary').textContent === 'History (2)'")
    assert page.evaluate(
        "document.querySelector('.provenance').open && !document.querySelector('.history').open"
    )
    page.keyboard.press("n")
    until(page, "document.querySelector('.right .hint').textContent.startsWith('2 of')")
    until(page, "document.querySelector('.provenance')?.open")
    opens(page, second)
    assert not page.evaluate("document.querySelector('.provenance').open")


def test_a_card_that_is_clicked_opens(own, pages):
    page = pages(own, "view=grid")
    page.locator(".card[aria-posinset='3'][data-clip] button.open").click()
    until(page, "document.querySelector('.right .hint')?.textContent.startsWith('3 of')")


def test_whoever_went_on_while_rows_were_read_is_not_thrown_back(own, browser, pages):
    own.all_rows()
    context, held = browser.new_context(), []

    def answer(route):
        if held:  # looked for anew, as all rows are there now: this takes long
            held.append(route)
            return
        held.append(None)
        response = route.fetch()
        route.fulfill(response=response, json=response.json() | {"is_complete": False})

    context.route("**/api/rows?*", answer)
    page = pages(own, context=context)
    page.keyboard.press("n")
    at = "document.querySelector('.right .hint').textContent"
    until(page, f"{at}.startsWith('2 of')")
    while len(held) < 2:
        page.wait_for_timeout(50)
    page.keyboard.press("n")
    until(page, f"{at}.startsWith('3 of')")
    with page.expect_response("**/api/clip?*"):
        held[1].continue_()
    page.keyboard.press("n")
    until(page, f"{at}.startsWith('4 of')")
    context.close()


def test_the_grid_shows_what_was_decided_on_clips_that_were_left_at_once(own, pages):
    page = pages(own)
    page.keyboard.press("A")
    page.keyboard.press("A")
    until(page, "document.querySelector('.right .hint').textContent.startsWith('3 of')")
    saved(page)
    clip = own.all_rows()[2]["clip_id"]
    until(page, "clip => document.querySelector('video').src.includes(clip)", clip)
    page.keyboard.press("g")
    until(page, "[...document.querySelectorAll('.card .accept')].length === 2")
    until(page, "document.activeElement.matches('.card.here button.open')")


def test_a_view_that_is_left_before_its_rows_are_there_does_not_come_back(own, pages):
    page = pages(own)
    saved(page)
    with page.expect_response("**/api/rows?*"), held_back(page, "**/api/rows?*") as held:
        page.keyboard.press("g")
        until(page, "document.querySelector('.grid')")
        while not held:
            page.wait_for_timeout(20)
        page.keyboard.press("f")
        until(page, "document.querySelector('.focus')")
    page.wait_for_timeout(100)
    until(page, "document.querySelector('.focus') && !document.querySelector('.grid')")


def test_rows_that_come_after_others_were_looked_for_are_not_shown_among_them(own, pages):
    row = own.all_rows()[5]
    page = pages(own, "view=grid")
    page.wait_for_selector(".card[data-clip].here")
    held = []
    page.context.route("**/api/rows?*", lambda route: route.continue_() if held else held.append(route))
    own.decide("others-accept", "accept", row, reviewer="ben")
    while not held:
        page.wait_for_timeout(20)
    page.locator("input[type=search]").fill("Clip 5:")
    until(page, "document.querySelectorAll('.card').length === 1")
    with page.expect_response("**/api/rows?*"):
        held[0].continue_()
    own.decide("others-reject", "reject", row, reviewer="ben")
    until(page, "document.querySelector('.card').textContent.includes('rejected')")
    assert page.locator(".card").count() == 1
    assert "Clip 5:" in page.locator(".card").inner_text()
