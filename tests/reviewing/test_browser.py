"""The page in a real browser: clips play, keys decide, texts are texts, nothing that was decided is lost."""

import time

import pytest

from framescribe import Decisions
from tests.reviewing.conftest import HOSTILE, RIGHT_TO_LEFT
from tests.reviewing.served import Server, chromium, make_folder

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="no Chromium: name one by CHROMIUM"),
]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
]
WAIT_MS = 60_000


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def pages(browser):
    """Opens pages on a server, each a reviewer of its own; what goes wrong in one fails the test."""
    contexts, wrong = [], []

    def opened(server, at="", **options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request",
            lambda request: request.url.startswith((server.origin, "data:")) or wrong.append(request.url),
        )
        page.goto(server.address)
        page.wait_for_selector(".focus h2:not(:empty)")
        if at:
            page.goto("about:blank")
            page.goto(f"{server.origin}/#{at}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not wrong


@pytest.fixture
def own(tmp_path):
    server = Server(make_folder(tmp_path / "clips", 12), tmp_path / "cache")
    yield server
    server.kill()


def until(page, condition, arg=None):
    """Waits for a condition in JavaScript, by calls: the page's policy forbids what Playwright itself waits by."""
    end = time.monotonic() + WAIT_MS / 1000
    while not page.evaluate(condition if "=>" in condition else f"() => {condition}", arg):
        assert time.monotonic() < end, condition


def saved(page):
    until(page, "document.querySelector('.state').textContent === 'saved'")


def test_a_clip_plays_within_its_span_frame_by_frame(served, pages):
    page = pages(served)
    until(page, "document.querySelector('video').readyState >= 2")
    page.keyboard.press("Space")
    page.evaluate("document.querySelector('video').pause()")
    first = page.evaluate("document.querySelector('video').currentTime")
    for _ in range(3):
        page.keyboard.press(".")
        until(page, "!document.querySelector('video').seeking")
    moved = page.evaluate("document.querySelector('video').currentTime") - first
    assert 0.2 <= moved <= 0.4 or first > 0.6
    assert page.locator(".marks i").count() == 2
    assert page.locator(".unseen").is_visible()
    assert "frame" in page.locator(".place").inner_text()


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
    for text in (HOSTILE, RIGHT_TO_LEFT, "🪁 " * 5000):
        page.keyboard.press("n")
        until(
            page,
            "text => document.querySelector('textarea').value === text",
            arg=text,
        )
    assert page.title() != "owned"
    assert "15000/100" not in page.locator(".budgets").inner_text()


def test_filters_find_and_the_grid_shows(served, pages):
    page = pages(served)
    page.keyboard.press("g")
    page.wait_for_selector(".card[data-clip] img")
    page.keyboard.press("/")
    page.keyboard.type("onerror")
    until(page, "document.querySelector('.found').textContent.startsWith('1 of 32')")
    page.fill("input[type=search]", "")
    page.locator(".chip", has_text="cut_off").click()
    until(page, "document.querySelector('.found').textContent.startsWith('1 of 32')")
    page.locator(".chip", has_text="cut_off").click()
    page.locator("input[list=columns], .filters input[type=text]").first.fill("no_such_column > 2")
    page.locator(".filters input[type=text]").first.press("Enter")
    page.wait_for_selector(".filters .message:not([hidden])")
    assert "no_such_column" in page.locator(".filters .message").inner_text()


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
    from axe_playwright_python.sync_playwright import Axe

    page = pages(served, f"view={view}", color_scheme=scheme, reduced_motion="reduce")
    page.wait_for_selector(
        {"focus": ".budgets span", "grid": ".card[data-clip] .name", "blind": ".side .caption:not(:empty)"}[
            view
        ]
    )
    found = Axe().run(page).response["violations"]
    assert [(each["id"], [node["html"] for node in each["nodes"]][:3]) for each in found] == []
