"""All keys: each does what the list of keys says, and none does anything while one types."""

import pytest

from framescribe import Decisions
from tests.reviewing.conftest import held_back, opens, saved, until

pytestmark = pytest.mark.browser

VIDEO = "document.querySelector('video')"
TYPING = "document.activeElement.getAttribute('aria-label')"
DIALOG = "document.querySelector('dialog[open]')?.getAttribute('aria-label')"
VERDICT = "document.querySelector('.verdict').textContent"
AT = "document.querySelector('.right .hint').textContent"
HERE = "document.querySelector('.card.here')?.ariaPosInSet"

EVERYWHERE = {
    "?": f"{DIALOG} === 'Keys'",
    "b": f"{DIALOG} === 'Bulk edit'",
    "/": f"{TYPING}.startsWith('Search')",
    "s": f"{TYPING}.includes('SQL')",
    "R": f"{AT}.startsWith('1 of')",
    "g": "document.querySelector('.grid')",
    "f": "document.querySelector('.focus')",
    "c": "document.querySelector('.blind')",
}
CLIP = {
    "n": f"{AT}.startsWith('2 of')", "ArrowRight": f"{AT}.startsWith('3 of')", "p": f"{AT}.startsWith('2 of')",
    "ArrowLeft": f"{AT}.startsWith('1 of')", "Space": f"{VIDEO}.paused", ".": f"{VIDEO}.currentTime > 0.1",
    ",": f"{VIDEO}.currentTime < 0.1", "]": f"{VIDEO}.playbackRate === 1.5", "[": f"{VIDEO}.playbackRate === 1",
    "l": "document.querySelector('.controls button[aria-pressed]').ariaPressed === 'false'",
    "a": f"{VERDICT}.startsWith('accepted')", "u": f"{VERDICT}.startsWith('undecided')",
    "r": f"{TYPING}.startsWith('Reason')", "e": f"{TYPING} === 'Caption'", "Enter": f"{TYPING} === 'Caption'",
    "t": f"{TYPING} === 'Add a tag'", "A": f"{AT}.startsWith('2 of')",
}  # fmt: skip
GRID = {
    "ArrowRight": f"{HERE} === '2'", "n": f"{HERE} === '3'", "ArrowLeft": f"{HERE} === '2'", "p": f"{HERE} === '1'",
    "ArrowDown": f"Number({HERE}) > 1", "ArrowUp": f"{HERE} === '1'",
    "End": f"{HERE} === '12'", "Home": f"{HERE} === '1'",
    "x": "document.querySelector('.card.here input').checked",
    "r": "document.querySelector('.card.here .row').textContent.includes('rejected')",
    "a": "document.querySelector('.card.here .row').textContent.includes('accepted')",
    "Enter": "document.querySelector('.focus')", "f": "document.querySelector('.focus')",
}  # fmt: skip


def listed(page, where):
    """The keys that the list shows for a view."""
    page.keyboard.press("?")
    arrows = {"←": "ArrowLeft", "→": "ArrowRight", "↑": "ArrowUp", "↓": "ArrowDown"}
    names = (
        page.locator("dialog section", has=page.get_by_role("heading", name=where))
        .locator("kbd")
        .all_inner_texts()
    )
    page.keyboard.press("Escape")
    return {arrows.get(name, name) for name in names}


def test_each_key_does_what_the_list_says(own, pages):
    page = pages(own)
    saved(page)
    until(page, f"{VIDEO}.readyState >= 2")
    assert listed(page, "Clip") == set(CLIP)
    assert listed(page, "Everywhere") == {*EVERYWHERE, "o"}
    for key, condition in CLIP.items():
        if key == "Space":
            until(page, f"!{VIDEO}.paused && {VIDEO}.currentTime > 0")
        if key == ".":
            page.evaluate(f"{VIDEO}.currentTime = 0")
        page.keyboard.press(key)
        until(page, condition)
        if "TYPING" in condition or "activeElement" in condition:
            page.keyboard.press("Escape")
        if key in (".", ","):
            until(page, f"!{VIDEO}.seeking")
        saved(page)
    page.keyboard.press("p")
    until(page, f"{AT}.startsWith('1 of')")
    for key, condition in EVERYWHERE.items():
        page.keyboard.press(key)
        until(page, condition)
        if key in "?b/s":
            page.keyboard.press("Escape")
    with page.expect_popup() as tab:
        page.keyboard.press("o")
    tab.value.wait_for_url(f"{own.origin}/report")
    tab.value.close()
    page.keyboard.press("g")
    page.wait_for_selector(".card[data-clip].here")
    assert listed(page, "Grid") == set(GRID)
    for key, condition in GRID.items():
        if key == "f":
            page.keyboard.press("g")
            page.wait_for_selector(".card[data-clip].here")
        page.keyboard.press(key)
        until(page, condition)
        saved(page)


def test_no_key_acts_while_one_types(lively, pages):
    page = pages(lively)
    row = lively.all_rows()[5]
    opens(page, row)
    keys = "".join(sorted({each for each in {**EVERYWHERE, **CLIP, **GRID} if len(each) == 1}))
    before = Decisions(lively.folder).position
    for field in ("textarea", "input[type=search]", ".addtag"):
        page.locator(field).focus()
        page.keyboard.type(keys)
        assert keys in page.locator(field).input_value()
        assert page.locator("dialog[open]").count() == 0
    page.locator("select[aria-label=Speed]").focus()
    page.keyboard.press("r")
    assert page.locator("input[aria-label^=Reason]").is_hidden()
    assert Decisions(lively.folder).position == before
    assert page.locator(".focus").is_visible()


def test_next_is_not_approval(lively, pages):
    page = pages(lively)
    before = Decisions(lively.folder).position
    for place in range(2, 6):
        page.keyboard.press("n")
        until(page, f"{AT}.startsWith('{place} of')")
    saved(page)
    assert Decisions(lively.folder).position == before


def test_keys_in_the_grid_act_on_what_is_shown_while_rows_are_read_anew(own, pages):
    rows = own.all_rows()
    page = pages(own, "view=grid")
    page.wait_for_selector(".card[data-clip].here")
    with held_back(page, "**/api/rows?*") as held:
        own.decide("others-accept", "accept", rows[5], reviewer="ben")
        while not held:
            page.wait_for_timeout(20)
        for key in ("x", "ArrowRight", "x", "a", "ArrowRight", "r", "ArrowRight"):
            page.keyboard.press(key)
    until(page, "document.querySelectorAll('.card .tag.accept').length === 3")
    until(page, "document.querySelectorAll('.card .tag.reject').length === 1")
    saved(page)
    mine = [Decisions(own.folder).current(row["clip_id"]).verdict for row in rows[:4]]
    assert mine == ["accept", "accept", "reject", None]
