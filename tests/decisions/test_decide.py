"""``framescribe decide``, and decisions from a spreadsheet."""

import csv

import pytest

from framescribe import Dataset, Decisions
from framescribe.errors import UsageError
from tests.cli.run import invoke
from tests.dataset.test_row_file import row
from tests.dataset.test_store import write


@pytest.fixture
def folder(tmp_path):
    target = str(tmp_path / "captions")
    write(target, *(row(number, clip_id=f"clip{number}") for number in range(6)))
    return target


def decided(folder, *arguments):
    result = invoke("decide", folder, *arguments, "--reviewer", "ann")
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_the_shell_decides_tags_edits_and_undoes(folder):
    assert decided(folder, "accept", "clip0", "clip1").startswith("accept: 2 captions")
    said = decided(folder, "reject", "--where", "clip_id > 'clip2'", "--reason", "too dark")
    decided(folder, "edit", "clip1", "--text", "A person wrote this.")
    decided(folder, "tag", "clip1", "--tag", "lecture", "--tag", "slow")
    decided(folder, "untag", "clip1", "--tag", "slow")
    now = Decisions(folder).state()
    assert {key[0]: state.verdict for key, state in now.items()} == {
        "clip0": "accept", "clip1": "accept", "clip3": "reject", "clip4": "reject", "clip5": "reject",
    }  # fmt: skip
    assert now["clip3", 0].reason == "too dark"
    assert (now["clip1", 0].text, now["clip1", 0].tags) == ("A person wrote this.", ("lecture",))
    assert {state.reviewer for state in now.values()} == {"ann"}
    undone = said.partition("decide ")[2].split()  # the command that it printed
    assert decided(*undone).startswith("undo: 3 captions")
    assert Decisions(folder).current("clip3").verdict is None


def write_csv(path, *lines, columns=("clip_id", "decision", "decision_reason", "edited_caption", "tags")):
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows([columns, *lines])
    return path


def test_a_spreadsheet_is_taken_as_a_whole_and_once(folder, tmp_path):
    path = write_csv(
        tmp_path / "decisions.csv",
        ("clip0", "accept", "", "Two\nlines, \"quoted\".", "lecture; slow"),
        ("clip1", "reject", "no kite", "", ""),
        ("clip2", "", "", "", ""),
    )  # fmt: skip
    assert decided(folder, "take", path).startswith("take: 2 captions")
    decisions = Decisions(folder)
    first, second = decisions.current("clip0"), decisions.current("clip1")
    assert (first.verdict, first.text, first.tags) == ("accept", 'Two\nlines, "quoted".', ("lecture", "slow"))
    assert (second.verdict, second.reason) == ("reject", "no kite")
    assert len({entry.group_id for entry in decisions.history("clip0") + decisions.history("clip1")}) == 1
    before = decisions.position
    assert decisions.take(path).entries == ()
    assert decisions.position == before


def test_what_rows_say_of_decisions_can_be_taken_by_another_folder(folder, tmp_path):
    decisions = Decisions(folder)
    decisions.reject(["clip1", "clip2"], reason="why")
    decisions.edit("clip3", "Edited.")
    decisions.tag("clip3", ["a", "b"])
    columns = ("clip_id", "prompt_index", "decision", "decision_reason", "edited_caption", "tags", "caption")
    rows = list(Dataset(folder).rows(columns=columns))
    for each in rows:
        each["tags"] = ";".join(each["tags"])
    path = write_csv(
        tmp_path / "all.csv", *([each[name] for name in columns] for each in rows), columns=columns
    )
    other = str(tmp_path / "other")
    write(other, *(row(number, clip_id=f"clip{number}") for number in range(6)))
    Decisions(other).take(path)
    kept = [
        (each["clip_id"], each["decision"], each["edited_caption"], each["tags"]) for each in Dataset(other)
    ]
    assert kept == [
        (
            each["clip_id"],
            each["decision"],
            each["edited_caption"],
            each["tags"].split(";") if each["tags"] else [],
        )
        for each in rows
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("clip_id,decision\nclip0,accept\nclip9,accept\n", "has no row of clip clip9"),
        ("clip_id,decision\nclip0,accept\nclip1,maybe\n", "line 3: `decision` must be accept, reject or empty"),
        ("clip_id,verdict\nclip0,accept\n", "has a column verdict"),
        ("decision\naccept\n", "needs a column clip_id"),
        ("clip_id,decision\nclip0,accept,more\n", "more values"),
        ("clip_id,decision,decision_reason\nclip0,accept,why\n", "has a reason, but rejects nothing"),
        ("clip_id,decision,prompt_index\nclip0,accept,first\n", "must be a number"),
        ('clip_id,decision\n"clip0,accept\n', "is no CSV"),
        ("clip_id,decision\n,accept\n", "names no clip"),
    ],
)  # fmt: skip
def test_a_file_with_a_line_that_makes_no_sense_decides_nothing(folder, tmp_path, content, said):
    path = tmp_path / "decisions.csv"
    path.write_text(content)
    with pytest.raises(UsageError, match=said):
        Decisions(folder).take(path)
    assert Decisions(folder).state() == {}


@pytest.mark.parametrize(
    "arguments",
    [
        ("accept",),
        ("accept", "clip0", "--where", "true"),
        ("accept", "clip0", "--reason", "why"),
        ("edit", "clip0"),
        ("edit", "--where", "true", "--text", "Of all."),
        ("tag", "clip0"),
        ("undo",),
        ("undo", "no-such-id"),
        ("take", "no-such-file.csv"),
        ("accept", "no-such-clip"),
        ("forget", "clip0"),
    ],
)
def test_mistakes_are_wrong_usage_and_decide_nothing(folder, arguments):
    assert invoke("decide", folder, *arguments).exit_code == 2
    assert Decisions(folder).state() == {}
