import time
from contextlib import contextmanager
from urllib.parse import urlencode

import pytest

from framescribe import Dataset
from tests.reference import TINY
from tests.reviewing.served import (
    Server,
    append,
    append_scores,
    caption_row,
    make_folder,
    write_clip,
)

HOSTILE = "<img src=x onerror=alert(1)><script>document.title='owned'</script>"
RIGHT_TO_LEFT = "طائرة ورقية حمراء ترتفع فوق البحر."
WAIT_MS = 120_000


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """A server over 30 captions, of which some are awkward; tests leave its rows as they are."""
    home = tmp_path_factory.mktemp("review")
    changes = {
        1: {"caption": HOSTILE},
        2: {"caption": RIGHT_TO_LEFT},
        3: {"caption": "🪁 " * 5000},
        4: {"caption": "Cut off in the", "caption_status": "truncated", "flags": ("cut_off",)},
        5: {"caption": None, "caption_status": "error", "error_stage": "decode", "error_message": "broken"},
    }
    folder = make_folder(home / "clips", 30, changes)
    missing = home / "clips" / "gone.mp4"
    second = caption_row(home / "clips" / "clip-000.mp4", 0, "Only the kite moves.", prompt_index=1)
    append(folder, [caption_row(missing, 30), second])
    server = Server(folder, home / "cache")
    server.all_rows()  # until these are read it says so
    yield server
    server.stop()


SPAN_FRAMES = 40
"""Of the video of the first clip of ``lively``, at 10 frames a second, of which the clip is a span."""


@pytest.fixture(scope="session")
def lively(tmp_path_factory):
    """A server over 40 captions with scores that counts tokens; each test decides on clips of its own."""
    home = tmp_path_factory.mktemp("lively")
    long = home / "long.mp4"
    write_clip(long, 0, SPAN_FRAMES)
    folder = make_folder(home / "clips", 40, {7: {"flags": ("cut_off",), "caption": "It ends in the"}})
    span = {
        "start_s": 1.0, "end_s": 2.5, "duration_s": 1.5, "covered_s": 1.2,
        "frame_indices": (0, 3, 6, 9), "frame_timestamps_s": (0.0, 0.3, 0.6, 0.9),
    }  # fmt: skip
    append(folder, [caption_row(long, 100, "The span of a long clip.", **span)])
    for place, row in enumerate(Dataset(folder).rows(limit=4)):
        append_scores(folder, row, motion=float(10 - place))
    server = Server(
        folder, home / "cache", "--t5-tokenizer", str(TINY / "tokenizer.json"), "--clip-tokenizer",
        str(TINY / "tokenizer.json"),
    )  # fmt: skip
    server.all_rows()
    yield server
    server.kill()


@pytest.fixture
def own(tmp_path):
    """A server over 12 captions for one test."""
    server = Server(make_folder(tmp_path / "clips", 12), tmp_path / "cache")
    yield server
    if server.process.poll() is None:
        server.kill()


@pytest.fixture
def pages(browser):
    """Opens pages on a server, each a reviewer of its own; what goes wrong in one fails the test."""
    contexts, wrong = [], []

    def opened(server, at="", context=None, **options):
        if context is None:
            contexts.append(context := browser.new_context(**options))
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request",
            lambda request: request.url.startswith((server.origin, "data:")) or wrong.append(request.url),
        )
        page.goto(server.address)
        page.wait_for_selector(".focus h2:not(:empty)")
        if at:
            page.goto("about:blank")  # so that it opens anew
            page.goto(f"{server.origin}/#{at}")
            page.wait_for_selector("#view > div")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not wrong


def until(page, condition, arg=None):
    """Waits for a condition in JavaScript, by calls: the page's policy forbids what Playwright itself waits by."""
    end = time.monotonic() + WAIT_MS / 1000
    while not page.evaluate(condition if "=>" in condition else f"() => {condition}", arg):
        assert time.monotonic() < end, condition


def saved(page):
    until(page, "document.querySelector('.state').textContent === 'saved'")


@contextmanager
def held_back(page, path):
    """Requests for a path, which are answered only after the block."""
    held, is_over = [], False

    def answer(route):
        if is_over:
            route.continue_()
        else:
            held.append(route)

    page.context.route(path, answer)
    yield held
    is_over = True
    for route in held:
        route.continue_()


def link_to(row):
    """The address of the one clip, from its ``#`` on."""
    return "#" + urlencode({"where": f"clip_id = '{row['clip_id']}'"})


def opens(page, row):
    """Opens the page anew with the row's clip alone, and waits until all of it is shown."""
    origin = page.evaluate("location.origin")
    page.goto("about:blank")  # to another hash alone it would go without opening anew
    page.goto(f"{origin}/{link_to(row)}")
    until(page, "text => document.querySelector('textarea')?.value === text && document.querySelector('.history')",
          row["edited_caption"] or row["caption"])  # fmt: skip
