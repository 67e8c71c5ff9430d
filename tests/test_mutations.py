"""The kept list of changes fits the code, and the command that tries them can tell which are noticed."""

import re
from collections import Counter
from pathlib import Path

from dev.mutate import Change, Unusable, attempt_all, read_changes
from tests.reference import ROOT

CHANGES = list(read_changes())


def test_every_change_fits_the_code_and_names_tests_that_are_there():
    assert len(CHANGES) >= 150
    assert [id for id, times in Counter(change.id for change in CHANGES).items() if times > 1] == []
    wrong = []
    for change in CHANGES:
        try:
            change.text(ROOT)
        except Unusable as reason:
            wrong.append(f"{change.id}: {reason}")
        for name in change.tests + change.room_tests:
            file, *inside = re.sub(r"\[.*", "", name).split("::")
            text = (ROOT / file).read_text() if file.endswith(".py") and (ROOT / file).exists() else ""
            if not (ROOT / file).exists() or any(not re.search(rf"\b{one}\b", text) for one in inside):
                wrong.append(f"{change.id}: there is no {name}")
    assert wrong == []


def test_noticed_unnoticed_hung_and_stale_changes_are_told_apart(tmp_path: Path, monkeypatch):
    (tmp_path / "sums.py").write_text(
        "def add(a, b):\n    return a + b\n\n\ndef twice(a):\n    return a * 2\n"
    )
    (tmp_path / "test_sums.py").write_text(
        "from sums import add, twice\n\n"
        "def test_add():\n    assert add(2, 3) == 5\n\n"
        "def test_twice():\n    assert twice(2) == 4\n\n"
        "def test_that_always_fails():\n    assert add(0, 0) == 1\n"
    )

    def change(id: str, old: str, new: str, *tests: str) -> Change:
        return Change(id, "sums.py", old, new, "", tests, ("test_sums.py",))

    changes = [
        change("noticed", "a + b", "a - b", "test_sums.py::test_add"),
        change("by the room", "a + b", "a - b", "test_sums.py::test_twice"),
        change("unnoticed", "a * 2", "a + a", "test_sums.py"),
        change("stale", "a / b", "a"),
        change("not Python", "a * 2", "a *"),
        change("twice there", "return", "yield"),
    ]
    endless = [change("hung", "return a * 2", "while True: pass", "test_sums.py::test_twice")]
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    found = [*attempt_all(changes, tmp_path, 1, 600), *attempt_all(endless, tmp_path, 1, 2)]
    verdicts = {each.id: (each.verdict, each.by) for each in found}
    told_in_words = {id: verdicts.pop(id)[0] for id in ("stale", "not Python", "twice there")}
    assert set(told_in_words.values()) == {"unusable"}
    # On a busy machine the tests may not end in time without the change either, which is then said.
    assert verdicts.pop("hung") in (
        ("noticed", ("the tests had not ended after 2 s",)),
        ("unusable", ("without it too its tests had not ended after 2 s",)),
    )
    assert verdicts == {
        "noticed": ("noticed", ("test_sums.py::test_add",)),
        "by the room": ("noticed", ("test_sums.py::test_add",)),
        "unnoticed": ("unnoticed", ()),
    }
    assert "a + b" in (tmp_path / "sums.py").read_text()
