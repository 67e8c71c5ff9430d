"""Rows are found, sorted and shown side by side in a real browser; many are edited at once."""

import pytest

from framescribe import Decisions
from tests.reviewing.conftest import held_back, link_to, opens, saved, until

pytestmark = pytest.mark.browser

FOUND = "(document.querySelector('.found')?.textContent ?? '')"
TITLE = "document.querySelector('.focus h2')?.textContent"


def add_sql(page, condition):
    page.locator("input[aria-label*=SQL]").fill(condition)
    page.locator("input[aria-label*=SQL]").press("Enter")


def test_search_sql_and_chips_find_what_the_server_counts(lively, pages):
    rows = lively.all_rows()
    lively.decide("finding-edit", "edit", rows[20], text="A zeppelin that only this edit knows.")
    lively.decide("finding-tags", "tag", rows[21], tags=["balloon"])
    lively.decide("finding-reject", "reject", rows[22], reason="no")
    page = pages(lively)
    for words, clip in (("zeppelin EDIT", rows[20]), ("balloon", rows[21]), ("clip-023", rows[23])):
        page.fill("input[type=search]", words)
        until(page, f"{FOUND}.startsWith('1 of 41')")
        until(page, f"name => {TITLE} === name", clip["source_video"].rpartition("/")[2])
    page.fill("input[type=search]", "")
    until(page, f"{FOUND}.startsWith('41 of 41')")
    for chip, condition in [
        ("rejected", "decision = 'reject'"), ("undecided", "decision IS NULL"), ("cut_off", "len(flags) > 0"),
        ("balloon", "list_contains(tags, 'balloon')"),
    ]:  # fmt: skip
        expected = lively.get("/api/rows", where=condition)["count"]
        page.locator(".chip", has_text=chip).click()
        until(page, f"count => {FOUND}.startsWith(`${{count}} of 41`)", expected)
        page.locator(".chip", has_text=chip).click()
        until(page, f"{FOUND}.startsWith('41 of 41')")
    add_sql(page, "motion > 8 AND caption LIKE '%kite%'")
    until(page, f"{FOUND}.startsWith('2 of 41')")
    page.reload()  # the address holds what was looked for
    until(page, f"{FOUND}.startsWith('2 of 41')")
    page.locator(".chip.sql").click()
    until(page, f"{FOUND}.startsWith('41 of 41')")
    page.fill("input[type=search]", "nothing says this")
    until(page, "document.querySelector('#view').textContent.includes('No caption fits')")


def test_a_link_that_is_pasted_into_an_open_page_is_followed(own, pages):
    rows = own.all_rows()
    page = pages(own)
    shows = "text => document.querySelector('.focus textarea')?.value === text"
    with held_back(page, "**/api/clip?*"):  # what the page then writes into the address is not the link
        page.keyboard.press("n")
        page.evaluate("link => { location.hash = link }", link_to(rows[5]))
    until(page, shows, rows[5]["caption"])
    until(page, f"{FOUND}.startsWith('1 of 12')")
    page.goto(f"{own.origin}/#view=grid&q=clip-007&order=length(caption)")
    until(page, "document.querySelectorAll('.card[data-clip]').length === 1")
    assert page.locator("input[type=search]").input_value() == "clip-007"
    page.goto(f"{own.origin}/#order=source_video&at=3")
    until(page, shows, sorted(rows, key=lambda row: row["source_video"])[3]["caption"])
    assert page.locator("select[aria-label=Order]").input_value() == "source_video"
    assert page.locator("input[type=search]").input_value() == ""


def test_a_condition_that_is_none_is_said_and_leaves_what_was_found(lively, pages):
    page = pages(lively)
    add_sql(page, "no_such_column > 2")
    page.wait_for_selector(".filters .message:not([hidden])")
    assert "no_such_column" in page.locator(".filters .message").inner_text()
    assert page.locator(".focus h2").inner_text()


def test_rows_are_sorted_and_what_needs_me_comes_first(lively, pages):
    page = pages(lively)
    order = page.locator("select[aria-label=Order]")
    order.select_option("motion")
    until(page, f"{TITLE} === 'clip-003.mp4'")
    order.select_option("motion DESC")
    until(page, f"{TITLE} === 'clip-000.mp4'")
    order.select_option("needs")
    until(page, f"{TITLE} === 'clip-007.mp4'")


def test_strips_play_where_they_are_pointed_at_and_only_what_is_seen_is_there(served, pages):
    page = pages(served, "view=grid", viewport={"width": 900, "height": 600})
    page.wait_for_selector(".card[data-clip] img")
    assert 0 < page.locator(".card").count() < 32
    until(page, "document.querySelector('.strip img').naturalWidth >= 8 * 64")
    playing = """() => [...document.querySelectorAll('.strip img')]
      .filter((each) => each.getAnimations().some((run) => run.playState === 'running'))
      .map((each) => each.closest('.card').ariaPosInSet)"""
    page.mouse.move(2, 2)
    page.evaluate("document.activeElement.blur()")
    assert page.evaluate(playing) == []
    page.locator(".card[aria-posinset='2']").hover()
    assert page.evaluate(playing) == ["2"]
    page.locator(".scroller").evaluate("(each) => { each.scrollTop = each.scrollHeight }")
    page.wait_for_selector(".card[aria-posinset='32'][data-clip]")
    assert page.locator(".card[aria-posinset='1']").count() == 0


def test_a_bulk_edit_of_a_selection_leaves_the_others_and_is_undone_as_a_whole(own, pages):
    rows = own.all_rows()
    page = pages(own, "view=grid")
    for place in (1, 2, 8):
        page.locator(f".card[aria-posinset='{place}'] input").check()
    assert "3 selected" in page.locator("#bar").inner_text()
    page.keyboard.press("b")
    page.locator("dialog select").select_option("trigger")
    page.locator("dialog input[aria-label=Text]").fill("ohwx dog")
    page.wait_for_selector("dialog .changes ins")
    assert page.locator("dialog .changes li").count() == 3
    assert "3 captions change" in page.locator("dialog [role=status]").inner_text()
    page.get_by_role("button", name="Apply to 3").click()
    page.locator(".notice button", has_text="Undo").wait_for()
    edited = {key[0]: state.text for key, state in Decisions(own.folder).state().items()}
    assert edited == {rows[place]["clip_id"]: f"ohwx dog, {rows[place]['caption']}" for place in (0, 1, 7)}
    page.locator(".notice button", has_text="Undo").click()
    saved(page)
    assert not any(state.text for state in Decisions(own.folder).state().values())
    assert {len(Decisions(own.folder).history(clip)) for clip in edited} == {2}


@pytest.mark.parametrize(
    ("kind", "fields", "edited"),
    [
        ("replace", {"Find": "KITE", "Text": "glider", "ignore case": True},
         lambda text: text.replace("kite", "glider")),
        ("replace", {"Find": r"(\w+) kite", "Text": r"kite of \1", "regular expression": True},
         lambda text: text.replace("red kite", "kite of red")),
        ("prefix", {"Text": "Seen: "}, lambda text: f"Seen: {text}"),
        ("suffix", {"Text": " The end."}, lambda text: f"{text} The end."),
    ],
)  # fmt: skip
def test_every_kind_of_bulk_edit_shows_first_what_it_makes(lively, pages, kind, fields, edited):
    page = pages(lively)
    row = lively.all_rows()[15]
    opens(page, row)
    page.keyboard.press("b")
    page.locator("dialog select").select_option(kind)
    for name, value in fields.items():
        if value is True:
            page.locator("dialog label", has_text=name).locator("input").check()
        else:
            page.locator(f"dialog input[aria-label={name}]").fill(value)
    after = "[...document.querySelectorAll('dialog .changes li :not(del, p)')].map((each) => each.textContent).join('')"
    until(page, f"text => {after} === text", edited(row["caption"]))
    before = Decisions(lively.folder).position
    page.get_by_role("button", name="Cancel").click()
    assert Decisions(lively.folder).position == before
