"""What goes wrong while people decide, in a real browser: it is said, and nothing that was decided is lost."""

import resource

import pytest

from framescribe import Decisions
from tests.reviewing.conftest import saved, until

pytestmark = pytest.mark.browser


def test_decisions_wait_for_a_server_that_was_killed(own, pages):
    page = pages(own)
    page.keyboard.press("a")
    saved(page)
    own.kill()
    page.keyboard.press("n")
    page.keyboard.press("a")
    until(page, "document.querySelector('.state').textContent.includes('waiting')")
    own.start()
    saved(page)
    assert sum(state.verdict == "accept" for state in Decisions(own.folder).state().values()) >= 1
    assert (
        len(
            {
                entry.group_id
                for key in Decisions(own.folder).state()
                for entry in Decisions(own.folder).history(*key)
            }
        )
        == 2
    )


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits of another process are Linux's")
def test_a_disk_that_is_full_is_said_and_the_decision_waits_until_there_is_room(own, pages):
    page = pages(own)
    rows = own.all_rows()
    page.keyboard.press("a")
    saved(page)
    size = sum(path.stat().st_size for path in own.folder.glob("decisions/_journal*"))
    own.limit_files(size + 40)  # the next entry's write stops in its middle
    page.keyboard.press("r")
    page.keyboard.type("written later")
    page.keyboard.press("Enter")
    until(page, "document.querySelector('.state').textContent.includes('1 waiting')")
    until(page, "document.querySelector('.state').title.includes('not written')")
    assert [entry.action for entry in Decisions(own.folder).history(rows[0]["clip_id"])] == ["accept"]
    page.reload()  # it lies in the browser's storage
    until(page, "document.querySelector('.state')?.textContent.includes('1 waiting')")
    own.limit_files(None)
    saved(page)
    history = Decisions(own.folder).history(rows[0]["clip_id"])
    assert [(entry.action, entry.reason) for entry in history] == [
        ("accept", None),
        ("reject", "written later"),
    ]


def test_a_page_left_open_over_night_goes_on_once_it_is_let_in_again(own, pages):
    page = pages(own)
    rows = own.all_rows()
    own.kill()
    for token in own.cache.glob("framescribe/review/*/token"):
        token.unlink()  # somebody cleaned the cache: the next server has another token
    page.keyboard.press("a")
    until(page, "document.querySelector('.state').textContent.includes('no connection, 1 waiting')")
    before = own.token
    own.start()
    assert own.token != before
    until(page, "document.querySelector('#notices').textContent.includes('no longer let in')")
    page.keyboard.press("t")
    page.keyboard.type("night")
    page.keyboard.press("Enter")
    until(page, "document.querySelector('.state').textContent.includes('2 waiting')")
    assert Decisions(own.folder).position == 0
    pages(own, context=page.context)  # the address that was printed last, in another tab
    saved(page)
    history = Decisions(own.folder).history(rows[0]["clip_id"])
    assert [entry.action for entry in history] == ["accept", "tag"]


def test_two_pages_that_decide_on_the_same_clip_both_stand_in_its_history(own, pages):
    one, two = pages(own), pages(own)
    two.evaluate("localStorage.setItem('framescribe:reviewer', 'ben')")
    two.reload()
    until(two, "document.querySelector('.history')")
    row = own.all_rows()[0]
    one.keyboard.press("e")
    one.keyboard.press("Control+a")
    one.keyboard.insert_text("Ann writes this.")
    two.keyboard.press("e")
    two.keyboard.press("Control+a")
    two.keyboard.insert_text("Ben writes that.")
    one.keyboard.press("Control+Enter")
    saved(one)
    until(two, "document.querySelector('.editor .hint').textContent.includes('Somebody saved another text')")
    assert two.locator("textarea").input_value() == "Ben writes that."
    two.keyboard.press("Control+Enter")
    saved(two)
    two.keyboard.press("a")
    one.keyboard.press("r")
    one.keyboard.press("Enter")
    saved(one)
    saved(two)
    until(one, "document.querySelector('textarea').value === 'Ben writes that.'")
    until(one, "document.querySelector('.history').textContent.includes('ben accepted')")
    until(two, "document.querySelector('.history').textContent.includes('ann rejected')")
    until(
        one, "/ben had accepted it|ann had rejected it/.test(document.querySelector('.verdict').textContent)"
    )
    history = Decisions(own.folder).history(row["clip_id"])
    assert [entry.text for entry in history if entry.action == "edit"] == [
        "Ann writes this.",
        "Ben writes that.",
    ]
    assert sorted((entry.reviewer, entry.action) for entry in history if entry.action != "edit") == [
        ("ann", "reject"), ("ben", "accept"),
    ]  # fmt: skip


def test_a_clip_that_was_moved_is_said_and_can_be_decided_on(own, pages):
    page = pages(own)
    row = own.all_rows()[5]
    until(page, "document.querySelector('video').readyState >= 2")
    (own.folder.parent / "clip-005.mp4").unlink()
    for _ in range(5):
        page.keyboard.press("n")
    until(page, "document.querySelector('.screen .message').textContent.includes('No such file')")
    assert page.locator("textarea").input_value() == row["caption"]
    page.keyboard.press("r")
    page.keyboard.type("the clip is gone")
    page.keyboard.press("Enter")
    saved(page)
    assert Decisions(own.folder).current(row["clip_id"]).reason == "the clip is gone"
    page.keyboard.press("n")
    until(page, "!document.querySelector('video').hidden && document.querySelector('video').readyState >= 2")
    page.keyboard.press("g")
    until(page, "[...document.querySelectorAll('.strip .message')].length === 1")


def test_scores_and_captions_that_come_meanwhile_are_shown_without_a_restart(own, pages):
    from tests.reviewing.served import append, append_scores, caption_row

    page = pages(own)
    row = own.all_rows()[0]
    append_scores(own.folder, row, motion=3.25)
    until(page, "document.querySelector('.more').textContent.includes('motion3.25')")
    until(
        page, "[...document.querySelectorAll('select option')].some((each) => each.value === 'motion DESC')"
    )
    append(own.folder, [caption_row(row["source_video"], 0, "Captioned anew."), caption_row("/gone.mp4", 1)])
    until(page, "document.querySelector('textarea').value === 'Captioned anew.'")
    page.get_by_role("button", name="1 new").click()
    until(page, "document.querySelector('.found').textContent.startsWith('13 of 13')")
