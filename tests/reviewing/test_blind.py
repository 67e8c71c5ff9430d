"""Two captions are compared blind in a real browser: those of two prompts, and those of two runs."""

import pytest

from framescribe import Decisions
from tests.reviewing.conftest import opens, until
from tests.reviewing.served import Server, append, caption_row, make_folder

pytestmark = pytest.mark.browser

PAIR = "[...document.querySelectorAll('.side .caption')].map((each) => each.textContent)"


def compared(page, better, names):
    """Chooses the better text of each of two clips; until then none of the names is on the page."""
    shown = ["", ""]
    for count in (1, 2):
        until(page, f"before => {PAIR}.every((each) => each && !before.includes(each))", shown)
        shown = page.evaluate(PAIR)
        text = page.locator("main").inner_text() if count == 1 else ""
        assert not any(name in text for name in names)
        page.keyboard.press("1" if shown[0].startswith(better) else "2")
        until(
            page, "said => document.querySelector('.blind > .hint').textContent.includes(said)", f"{count} × "
        )
    said = page.locator(".blind > .hint").inner_text()
    assert names[0] in said
    until(page, "document.querySelector('.blind h2').textContent === 'That was the last pair.'")


def test_two_prompts(tmp_path, pages):
    folder = make_folder(tmp_path / "clips", 3)
    for place in (0, 1):
        other = caption_row(
            tmp_path / "clips" / f"clip-{place:03}.mp4", place, f"Moves {place}.", prompt_index=1
        )
        append(folder, [other])
    server = Server(folder, tmp_path / "cache")
    try:
        page = pages(server, "view=blind")
        compared(page, "Moves", ["What moves?", "Describe this."])
        rows = server.all_rows()
    finally:
        server.kill()
    verdicts = [(row["caption"].startswith("Moves"), row["decision"]) for row in rows]
    assert sorted(verdicts, key=str) == sorted(
        [(False, "reject"), (False, "reject"), (False, None), (True, "accept"), (True, "accept")], key=str
    )


def test_two_runs(tmp_path, pages):
    one, two = make_folder(tmp_path / "clips", 3), tmp_path / "second-run"
    append(
        two,
        [caption_row(tmp_path / "clips" / f"clip-{n:03}.mp4", n, f"Second {n}.", model="m2") for n in (1, 2)],
    )
    server = Server(one, tmp_path / "cache", "--compare", str(two))
    try:
        page = pages(server)
        page.keyboard.press("c")
        compared(page, "Second", ["second-run", "m2"])
        row = server.all_rows()[1]
        page.keyboard.press("f")
        opens(page, row)
        assert page.locator(".verdict").inner_text().startswith("rejected by ann: compared blind")
    finally:
        server.kill()
    assert {state.verdict for state in Decisions(one).state().values()} == {"reject"}
    assert {state.verdict for state in Decisions(two).state().values()} == {"accept"}
    assert len(Decisions(one).state()) == len(Decisions(two).state()) == 2


def test_a_late_answer_shows_no_pair_again(tmp_path, pages):
    one, two = make_folder(tmp_path / "clips", 2), tmp_path / "second-run"
    append(two, [caption_row(tmp_path / "clips" / f"clip-{n:03}.mp4", n, f"Second {n}.") for n in (0, 1)])
    server = Server(one, tmp_path / "cache", "--compare", str(two))
    late = []

    def answer(route):
        if late:
            route.continue_()
        else:
            late.append((route, route.fetch()))

    try:
        page = pages(server, "view=blind")
        until(page, f"{PAIR}.every((each) => each)")
        page.context.route("**/api/compare*", answer)
        page.keyboard.press("R")  # as the page does by itself once all rows are read
        while not late:
            page.evaluate("1")
        shown = page.evaluate(PAIR)
        page.keyboard.press("1")
        until(page, f"before => {PAIR}.every((each) => !before.includes(each))", shown)
        page.keyboard.press("1")
        until(page, "document.querySelector('.blind h2').textContent === 'That was the last pair.'")
        route, response = late[0]
        with page.expect_response("**/api/compare*"):
            route.fulfill(response=response)
        page.evaluate("fetch('/api/folder').then((answer) => answer.text())")
        assert page.locator(".blind h2").inner_text() == "That was the last pair."
    finally:
        server.kill()


def test_a_choice_that_is_made_while_the_server_is_down_is_saved_once_it_answers(tmp_path, pages):
    one, two = make_folder(tmp_path / "clips", 2), tmp_path / "second-run"
    append(two, [caption_row(tmp_path / "clips" / f"clip-{n:03}.mp4", n, f"Second {n}.") for n in (0, 1)])
    server = Server(one, tmp_path / "cache", "--compare", str(two))
    try:
        page = pages(server, "view=blind")
        until(page, f"{PAIR}.every((each) => each)")
        server.kill()
        page.keyboard.press("1")
        until(page, "document.querySelector('.state').textContent.includes('1 waiting')")
        server.start()
        until(page, "document.querySelector('.blind > .hint').textContent.includes('1 × ')")
        until(page, f"{PAIR}.every((each) => each)")  # the next pair, which could not be had before
    finally:
        server.kill()
    assert len(Decisions(one).state()) == len(Decisions(two).state()) == 1
