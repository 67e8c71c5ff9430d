"""Decisions about captions, one by one and in bulk, and what they are in a dataset."""

import time

import pytest

from framescribe import Dataset, Decisions
from framescribe.decisions.text_edits import Prefix, Replace, Suffix, Trigger
from framescribe.errors import UsageError
from tests.dataset.test_row_file import row
from tests.dataset.test_store import write

CAPTIONS = ["A cat sits.", "Two cats, one Cat.", "A dog\nruns.", "a <b>kite</b> 日本語"]


@pytest.fixture
def folder(tmp_path):
    target = str(tmp_path / "out")
    write(target, *(row(number, clip_id=f"c{number}", caption=text) for number, text in enumerate(CAPTIONS)))
    return target


def column(folder: str, name: str, where: str | None = None) -> list:
    return [each[name] for each in Dataset(folder).rows(where, columns=("clip_id", name))]


def test_a_folder_without_decisions_has_no_columns_of_them(folder):
    assert "decision" not in Dataset(folder).columns
    assert Decisions(folder).position == 0
    assert "decision" not in Dataset(folder).columns


def test_decisions_are_columns_that_conditions_use(folder):
    ann, bob = Decisions(folder, "ann"), Decisions(folder, "bob")
    ann.accept(["c0", ("c1", 0)])
    ann.reject("c1", reason="two of them")
    bob.edit("c2", "A dog runs.")
    bob.tag(["c0", "c2"], ["pets", "slow"])
    bob.untag(where="caption LIKE '%dog%'", tags="slow")
    dataset = Dataset(folder)
    assert column(folder, "decision") == ["accept", "reject", None, None]
    assert column(folder, "clip_id", "decision = 'reject'") == ["c1"]
    assert column(folder, "clip_id", "list_contains(tags, 'pets') AND NOT list_contains(tags, 'slow')") == [
        "c2"
    ]
    assert column(folder, "clip_id", "NOT list_contains(tags, 'pets')") == ["c1", "c3"]
    rows = {each["clip_id"]: each for each in dataset}
    assert (rows["c1"]["decision_reason"], rows["c1"]["reviewer"]) == ("two of them", "ann")
    assert (rows["c2"]["caption"], rows["c2"]["edited_caption"]) == (CAPTIONS[2], "A dog runs.")
    assert rows["c3"]["tags"] == []
    assert not any(each["decision_is_stale"] for each in rows.values())
    assert ann.labels() == {"c0": ("pets", "slow"), "c1": (), "c2": ("pets",)}


def test_others_decisions_are_seen_and_history_is_whole(folder):
    ann, bob = Decisions(folder, "ann"), Decisions(folder, "bob")
    position = bob.position
    first = ann.accept("c0")
    second = ann.edit("c0", "new")
    assert [each.group_id for each in bob.since(position)] == [first.id, second.id]
    assert bob.current("c0").text == "new"
    undo = bob.undo(second.id)
    assert (ann.current("c0").text, ann.current("c0").verdict) == (None, "accept")
    assert [(each.action, each.reviewer) for each in ann.history("c0")] == [
        ("accept", "ann"), ("edit", "ann"), ("undo", "bob"),
    ]  # fmt: skip
    ann.undo(undo.entries[0].entry_id)
    assert bob.current("c0").text == "new"


def test_a_caption_that_was_made_anew_makes_decisions_stale_until_someone_decides_again(folder):
    decisions = Decisions(folder)
    decisions.accept("c0")
    decisions.edit("c0", "Edited.")
    decisions.tag("c0", "pets")
    decisions.tag("c1", "pets")
    write(folder, row(0, clip_id="c0", caption="Another."), row(1, clip_id="c1", caption="Another."))
    rows = {each["clip_id"]: each for each in Dataset(folder)}
    assert (rows["c0"]["decision"], rows["c0"]["decision_is_stale"]) == ("accept", True)
    assert rows["c0"]["edited_caption"] is None
    assert rows["c0"]["tags"] == ["pets"]
    assert not rows["c1"]["decision_is_stale"]  # tags are of the clip
    state = decisions.current("c0")
    assert state.current_verdict("Another.") is None
    assert state.current_verdict(CAPTIONS[0]) == "accept"
    decisions.accept("c0")
    assert not decisions.current("c0").is_stale("Another.")
    assert (
        decisions.current("c0").current_text("Another.") == "Another."
    )  # the edit was of the earlier caption


def test_a_choice_is_one_step_that_is_undone_as_a_whole(folder):
    decisions = Decisions(folder, "ann")
    group = decisions.choose("c1", ["c0", "c2"], reason="compared", group_id="a-choice-1")
    assert [(entry.clip_id, entry.action, entry.reason) for entry in group.entries] == [
        ("c1", "accept", None), ("c0", "reject", "compared"), ("c2", "reject", "compared"),
    ]  # fmt: skip
    assert not decisions.choose("c1", ["c0", "c2"], reason="compared", group_id="a-choice-1").is_new
    decisions.undo("a-choice-1")
    assert not any(state.verdict for state in decisions.state().values())
    assert decisions.choose().entries == ()
    with pytest.raises(UsageError, match="the caption of 'c1' is among both `better` and `worse`"):
        decisions.choose(["c0", "c1"], ["c2", "c1"])


def test_columns_follow_decisions_that_come_between_two_answers(folder):
    dataset = Dataset(folder)
    decisions = Decisions(folder, "ann")
    decisions.reject("c0", reason="no")
    assert column(folder, "decision") == ["reject", None, None, None]
    first = list(dataset.rows(columns=("decision_reason",)))
    decisions.undo(decisions.history("c0")[0].entry_id)
    decisions.accept("c1")
    assert first[0] == {"decision_reason": "no"}
    assert [each["decision"] for each in dataset.rows("decision IS NOT NULL")] == ["accept"]
    assert [each["decision"] for each in dataset.rows(columns=("decision",))] == [None, "accept", None, None]


def test_a_decision_is_on_the_caption_that_was_shown(folder):
    shown = next(Dataset(folder).rows())
    write(folder, row(0, clip_id="c0", caption="Made anew meanwhile."))
    Decisions(folder).accept(shown)
    assert column(folder, "decision_is_stale")[-1] is True


def test_a_step_that_is_made_again_changes_nothing(folder):
    first = Decisions(folder, "ann").reject(["c0", "c1"], group_id="client-1234")
    again = Decisions(folder, "ann").reject(["c0", "c1"], group_id="client-1234")
    assert (first.is_new, again.is_new) == (True, False)
    assert again.entries == first.entries
    assert Decisions(folder).position == 2


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (Replace("cat", "fox"), ["A fox sits.", "Two foxs, one Cat.", *CAPTIONS[2:]]),
        (Replace("CAT", "fox", ignores_case=True), ["A fox sits.", "Two foxs, one fox.", *CAPTIONS[2:]]),
        (Replace(".", "!"), ["A cat sits!", "Two cats, one Cat!", "A dog\nruns!", CAPTIONS[3]]),
        (
            Replace(r"(\w+)s\b", r"\1z", is_regex=True),
            ["A cat sitz.", "Two catz, one Cat.", "A dog\nrunz.", CAPTIONS[3]],
        ),
        (
            Replace(r"^a (?:cat|dog)", "It", is_regex=True, ignores_case=True),
            ["It sits.", CAPTIONS[1], "It\nruns.", CAPTIONS[3]],
        ),
        (Replace("<b>", ""), [*CAPTIONS[:3], "a kite</b> 日本語"]),
        (Prefix("ohwx, "), ["ohwx, " + text for text in CAPTIONS]),
        (Suffix(" 4k"), [text + " 4k" for text in CAPTIONS]),
        (Trigger("cat"), [CAPTIONS[0], CAPTIONS[1], "cat, " + CAPTIONS[2], "cat, " + CAPTIONS[3]]),
    ],
)  # fmt: skip
def test_a_bulk_edit_is_previewed_then_made_then_undone_as_a_whole(folder, edit, expected):
    decisions = Decisions(folder)
    preview = decisions.preview(edit, where="true")
    changes = {change.clip_id: (change.before, change.after) for change in preview.changes}
    assert changes == {
        f"c{number}": (before, after)
        for number, (before, after) in enumerate(zip(CAPTIONS, expected, strict=True))
        if before != after
    }
    assert preview.unchanged == len(CAPTIONS) - len(changes)
    assert decisions.position == 0
    group = decisions.apply(preview)
    texts = [decisions.current(f"c{number}").current_text(text) for number, text in enumerate(CAPTIONS)]
    assert texts == expected
    decisions.undo(group.id)
    assert set(column(folder, "edited_caption")) == {None}
    assert decisions.position == 2 * len(changes)


def test_bulk_edits_build_on_edits_and_refuse_to_overwrite_what_came_in_between(folder):
    decisions, other = Decisions(folder), Decisions(folder)
    decisions.edit("c0", "A fox sits.")
    preview = decisions.preview(Replace("fox", "hen"), rows=["c0", "c1"])
    assert [change.after for change in preview.changes] == ["A hen sits."]
    other.edit("c0", "A pig sits.")
    with pytest.raises(UsageError, match="c0 was edited since the preview"):
        decisions.apply(preview)
    assert decisions.current("c0").text == "A pig sits."


def test_no_regular_expression_hangs(tmp_path):
    target = str(tmp_path / "out")
    write(target, row(0, clip_id="c0", caption="a" * 20_000 + "!"))
    started = time.monotonic()
    preview = Decisions(target).preview(Replace(r"(a|aa)+$", "x", is_regex=True), rows="c0")
    assert time.monotonic() - started < 100
    assert preview.changes == ()


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda d: d.accept("c9"), "has no row of clip c9"),
        (lambda d: d.accept(("c0", 3)), "has no row of clip c0, prompt 3"),
        (lambda d: d.accept(), "give `rows` or `where`"),
        (lambda d: d.accept("c0", where="true"), "give `rows` or `where`"),
        (lambda d: d.accept([5]), "`rows` takes clip ids"),
        (lambda d: d.edit("c0", "  "), "`text` must be a text"),
        (lambda d: d.edit("c0", "x" * 100_001), "at most 100,000"),
        (lambda d: d.tag("c0", []), "`tags` is empty"),
        (lambda d: d.tag("c0", "a\nb"), "must be a name on one line"),
        (lambda d: d.undo("nothing"), "no decision with the id 'nothing'"),
        (lambda d: d.accept("c0", group_id="../../etc"), "8 to 64 letters"),
        (
            lambda d: d.preview(Replace("(", "", is_regex=True), where="true"),
            r"regular expression '\(': .*missing \)",
        ),
        (lambda d: d.preview(Replace(".+", "", is_regex=True), where="true"), "no text left"),
        (lambda d: Replace(""), "`find` must be a text"),
        (lambda d: Replace("a", "b" * 10_001), "at most 10,000"),
        (lambda d: d.accept(where="nonsense = 1"), "no column nonsense"),
    ],
)
def test_what_makes_no_sense_is_said_and_nothing_is_written(folder, act, message):
    decisions = Decisions(folder)
    with pytest.raises(UsageError, match=message):
        act(decisions)
    assert decisions.position == 0


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(UsageError, match="nothing to decide on"):
        Decisions(tmp_path)


def test_a_user_without_a_name_can_decide(folder, monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 2**31 - 7)
    assert Decisions(folder).accept("c0").entries[0].reviewer == "reviewer"
