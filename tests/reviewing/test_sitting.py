"""200 decisions in one sitting by keys alone, then a bulk edit and its undo: captions and history are as decided."""

import random

import pytest

from framescribe import Decisions
from tests.reviewing.conftest import saved, until
from tests.reviewing.served import Server, make_folder

pytestmark = pytest.mark.browser

DECISIONS, CLIPS = 200, 50


class Person:
    """Presses keys, and notes what should count then, and how many entries each clip should have."""

    def __init__(self, page, rows):
        self.page, self.rows, self.place = page, rows, 0
        self.counts = {
            row["clip_id"]: {"verdict": None, "reason": None, "text": None, "tags": ()} for row in rows
        }
        self.before = {clip: [] for clip in self.counts}
        self.entries = dict.fromkeys(self.counts, 0)

    def go(self, place):
        while self.place != place:
            step = 1 if place > self.place else -1
            self.page.keyboard.press("n" if step > 0 else "p")
            self.place += step
            at = f"{self.place + 1} of"
            until(self.page, "at => document.querySelector('.right .hint').textContent.startsWith(at)", at)

    def decide(self, what, number):
        clip = self.rows[self.place]["clip_id"]
        if what == "undo" and not self.before[clip]:
            what = "accept"
        now, keyboard = self.counts[clip], self.page.keyboard
        if what == "undo":
            keyboard.press("u")
            self.counts[clip] = self.before[clip].pop()
        else:
            self.before[clip].append(now)
            self.counts[clip] = {**now, **getattr(self, what)(now, keyboard, number)}
        self.entries[clip] += 1

    def accept(self, now, keyboard, number):
        keyboard.press("a")
        return {"verdict": "accept", "reason": None}

    def reject(self, now, keyboard, number):
        keyboard.press("r")
        keyboard.type(f"why {number}")
        keyboard.press("Enter")
        return {"verdict": "reject", "reason": f"why {number}"}

    def edit(self, now, keyboard, number):
        keyboard.press("e")
        keyboard.press("Control+a")
        keyboard.insert_text(f"Edit {number}: a kite.")
        keyboard.press("Control+Enter")
        return {"text": f"Edit {number}: a kite."}

    def tag(self, now, keyboard, number):
        keyboard.press("t")
        keyboard.type(f"tag{number}")
        keyboard.press("Enter")
        return {"tags": (*now["tags"], f"tag{number}")}


def tab_to(page, name):
    """Goes on by the Tab key until a button or field of this name has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        here = "(document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent)"
        if page.evaluate(f"name => {here}.startsWith(name)", name):
            return
    raise AssertionError(name)


def kept(folder):
    states = Decisions(folder).state()
    return {
        key[0]: {name: getattr(state, name) for name in ("verdict", "reason", "text", "tags")}
        for key, state in states.items()
        if state.is_reviewed
    }


def test_two_hundred_decisions_by_keys_alone(tmp_path, pages):
    server = Server(make_folder(tmp_path / "clips", CLIPS), tmp_path / "cache")
    try:
        rows, page, chance = server.all_rows(), pages(server), random.Random(16)
        person = Person(page, rows)
        for number in range(DECISIONS):
            person.decide(chance.choice(("accept", "reject", "edit", "tag", "undo")), number)
            person.go((person.place + chance.choice((0, 1, 1))) % CLIPS)
        saved(page)
        undecided = {"verdict": None, "reason": None, "text": None, "tags": ()}
        expected = {clip: now for clip, now in person.counts.items() if now != undecided}
        assert kept(server.folder) == expected
        histories = {clip: Decisions(server.folder).history(clip) for clip in person.entries}
        assert {clip: len(entries) for clip, entries in histories.items()} == person.entries
        assert sum(person.entries.values()) == DECISIONS

        texts = {row["clip_id"]: person.counts[row["clip_id"]]["text"] or row["caption"] for row in rows}
        page.keyboard.press("b")
        for field, text in (("Find", "kite"), ("Text", "paper glider")):
            tab_to(page, field)
            page.keyboard.insert_text(text)
        changed = {
            clip: text.replace("kite", "paper glider") for clip, text in texts.items() if "kite" in text
        }
        apply = f"Apply to {len(changed)}"
        until(page, "text => document.querySelector('dialog .accept').textContent === text", apply)
        tab_to(page, apply)
        page.keyboard.press("Enter")
        until(page, "document.querySelector('#notices').textContent.includes('captions were edited')")
        edited = kept(server.folder)
        assert {clip: edited[clip]["text"] for clip in changed} == changed
        assert {clip: now["text"] for clip, now in edited.items() if clip not in changed} == {
            clip: now["text"] for clip, now in expected.items() if clip not in changed
        }
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")  # the button of the notice: undo all of it
        saved(page)
        assert kept(server.folder) == expected
        for clip, entries in histories.items():
            bulk = Decisions(server.folder).history(clip)[len(entries) :]
            assert [entry.action for entry in bulk] == (["edit", "undo"] if clip in changed else [])
    finally:
        server.kill()
