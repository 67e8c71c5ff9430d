"""The history of decisions: whole after kills, full disks and damage, in one order for all who write to it."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter

import pytest

from framescribe.dataset import decision_log
from framescribe.dataset.decision_log import DecisionLog
from framescribe.dataset.decision_state import Decided, DecisionStates, fold
from framescribe.dataset.folder import Folder
from framescribe.errors import UsageError
from tests.dataset import decision_writer
from tests.dataset.decision_writer import entry
from tests.reference import ROOT


@pytest.fixture(params=["local", "memory"])
def folder(request, tmp_path):
    if request.param == "local":
        yield Folder(tmp_path)
        return
    place = Folder("memory://decisions-test/out")
    yield place
    if place._files.exists("/decisions-test"):
        place._files.rm("/decisions-test", recursive=True)


def test_entries_come_back_in_order_in_other_processes_and_in_those_that_have_read_before(folder):
    log, other = DecisionLog(folder), DecisionLog(folder)
    assert list(other.refresh()) == []
    groups = [
        [entry("g1", text="日本語 \u2028 \U0001f98a\n", action="edit")],
        [entry("g2.0", "a", "tag", tags=("x", "y")), entry("g2.1", "b", "reject", reason="<b>")],
        [entry("g3", action="undo", undoes="g1.0")],
    ]
    for group in groups:
        assert log.append(group) == (group, True)
    expected = [each for group in groups for each in group]
    assert list(other.refresh()) == expected == list(DecisionLog(folder).refresh())
    assert other.named("g2") == groups[1]
    assert other.named("g2.1") == groups[1][1:]
    assert other.named("g4") == []


def test_a_group_that_is_there_is_not_added_again_whoever_tries(folder):
    log, other = DecisionLog(folder), DecisionLog(folder)
    log.append([entry("g1")])
    again = [entry("g1", reviewer="bob")]
    assert other.append(again) == ([entry("g1")], False)
    assert len(DecisionLog(folder).refresh()) == 1


def test_a_check_sees_what_others_added_and_can_refuse(tmp_path):
    log, other = DecisionLog(Folder(tmp_path)), DecisionLog(Folder(tmp_path))
    log.append([entry("g1")])

    def check():
        assert [each.group_id for each in other.refresh()] == ["g1"]
        raise UsageError("no")

    with pytest.raises(UsageError, match=r"^no$"):
        other.append([entry("g2")], check)
    assert len(log.refresh()) == 1


def test_a_journal_that_has_grown_becomes_a_shard_and_nothing_is_there_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(decision_log, "_MAX_JOURNAL_BYTES", 500)
    monkeypatch.setattr(decision_log, "_MAX_JOURNAL_ENTRIES", 5)
    log, other = DecisionLog(Folder(tmp_path)), DecisionLog(Folder(tmp_path))
    names = []
    for number in range(20):
        size = 7 if number % 6 == 5 else 1  # a large group is a shard of its own
        group = [entry(f"g{number}.{n}", clip=f"c{n}") for n in range(size)]
        log.append(group)
        names += [each.entry_id for each in group]
        if number % 4 == 0:
            assert [each.entry_id for each in other.refresh()] == names
    assert [each.entry_id for each in other.refresh()] == names
    assert [each.entry_id for each in DecisionLog(Folder(tmp_path)).refresh()] == names
    kinds = Counter(path.suffix for path in (tmp_path / "decisions").iterdir())
    assert kinds[".parquet"] >= 4
    assert kinds[".jsonl"] == 1


def test_a_kill_between_a_compacted_shard_and_its_journal_leaves_no_doubles(tmp_path, monkeypatch):
    log = DecisionLog(Folder(tmp_path))
    log.append([entry("g1")])
    monkeypatch.setattr(decision_log, "_MAX_JOURNAL_BYTES", 0)
    (journal,) = (tmp_path / "decisions").glob("_journal*")
    content = journal.read_bytes()
    log.append([entry("g2")])
    journal.write_bytes(content)  # as if it had not been removed yet
    fresh = DecisionLog(Folder(tmp_path))
    assert [each.group_id for each in fresh.refresh()] == ["g1", "g2"]
    fresh.append([entry("g3")])
    assert [each.group_id for each in DecisionLog(Folder(tmp_path)).refresh()] == ["g1", "g2", "g3"]


@pytest.mark.parametrize("cut", [1, 20, 100])
def test_half_a_line_that_a_kill_left_counts_for_nothing_and_is_cut_off(tmp_path, cut):
    DecisionLog(Folder(tmp_path)).append([entry("g1")])
    (journal,) = (tmp_path / "decisions").glob("_journal*")
    whole = journal.read_bytes()
    journal.write_bytes(whole + decision_log._line([entry("g2")])[:cut])
    log = DecisionLog(Folder(tmp_path))
    assert [each.group_id for each in log.refresh()] == ["g1"]
    log.append([entry("g3")])
    assert [each.group_id for each in DecisionLog(Folder(tmp_path)).refresh()] == ["g1", "g3"]
    assert journal.read_bytes() == whole + decision_log._line([entry("g3")])


def test_damage_in_the_middle_is_an_error_that_names_the_file(tmp_path):
    log = DecisionLog(Folder(tmp_path))
    for number in range(3):
        log.append([entry(f"g{number}")])
    (journal,) = (tmp_path / "decisions").glob("_journal*")
    journal.write_bytes(journal.read_bytes().replace(b"g1", b"g9"))
    with pytest.raises(UsageError, match=r"_journal-000000.jsonl is damaged at byte \d+"):
        DecisionLog(Folder(tmp_path)).refresh()


@pytest.mark.parametrize("row", ["5", '{"clip_id": "a"}', '{"schema_version": 1, "text": 5}', "[" * 100_000])
def test_a_journal_that_holds_something_else_is_refused(tmp_path, row):
    log = DecisionLog(Folder(tmp_path))
    log.append([entry("g1")])
    (journal,) = (tmp_path / "decisions").glob("_journal*")
    content = f"[{row}]".encode()
    journal.write_bytes(decision_log._digest(content) + b" " + content + b"\n")
    with pytest.raises(UsageError, match="holds no decisions"):
        DecisionLog(Folder(tmp_path)).refresh()


def test_entries_of_a_newer_version_are_refused(tmp_path):
    log = DecisionLog(Folder(tmp_path))
    with pytest.raises(UsageError, match="newer framescribe"):
        log.append([entry("g1", schema_version=99)])


def test_a_full_disk_is_an_error_and_nothing_is_half(tmp_path):
    """As ``ulimit -f`` has it: a write stops in the middle of a line."""
    script = f"""
import resource, signal, sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests/dataset")!r}]
from decision_writer import DecisionLog, Folder, entry
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = DecisionLog(Folder({str(tmp_path)!r}))
log.append([entry("g1", text="x" * 3000)])
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
try:
    log.append([entry("g2", text="y" * 3000)])
except OSError as error:
    print(error.strerror)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, resource.RLIM_INFINITY))
print(log.append([entry("g2", text="z" * 3000)])[1])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "nothing of this decision was written" in done.stdout
    assert done.stdout.endswith("True\n")
    found = DecisionLog(Folder(tmp_path)).refresh()
    assert [each.text[0] for each in found] == ["x", "z"]


def test_what_was_acknowledged_is_there_once_when_two_writers_are_killed_again_and_again(
    tmp_path, monkeypatch
):
    acknowledged: dict[str, int] = {"one": 0, "two": 0}
    for kill in range(4):
        writers = {}
        for name, done in acknowledged.items():
            writers[name] = subprocess.Popen(
                [sys.executable, decision_writer.__file__, name, str(done), str(tmp_path)],
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )
        for _ in range(10 + kill):
            for name, writer in writers.items():
                acknowledged[name] = int(writer.stdout.readline()) + 1
        for name, writer in writers.items():
            writer.send_signal(signal.SIGKILL)
            for line in writer.communicate()[0].split():
                acknowledged[name] = int(line) + 1  # said before the kill came
    found = DecisionLog(Folder(tmp_path)).refresh()
    names = Counter(each.entry_id for each in found)
    assert set(names.values()) == {1}
    for name, done in acknowledged.items():
        assert all(f"{name}{number}.{n}" in names for number in range(done) for n in (0, 1))
        assert len([each for each in names if each.startswith(name)]) <= 2 * (done + 1)  # one may be unsaid
        order = [int(each.group_id.removeprefix(name)) for each in found if each.clip_id == name]
        assert order == sorted(order)


def test_folding_knows_the_last_of_each_aspect_and_undoes_undos():
    history = [
        entry("a1"),
        entry("a2", action="edit", text="t1", caption_digest="e"),
        entry("a3", action="tag", tags=("x", "y")),
        entry("a4", action="reject", reason="r", reviewer="bob"),
        entry("a5", action="untag", tags=("x",)),
        entry("a6", action="edit", text="t2"),
    ]
    last = fold(history)
    assert (last.verdict, last.reason, last.text, last.tags) == ("reject", "r", "t2", ("y",))
    undone = [*history, entry("u1", action="undo", undoes="a4.0"), entry("u2", action="undo", undoes="a6.0")]
    before = fold(undone)
    assert (before.verdict, before.text, before.text_of, before.reviewer) == ("accept", "t1", "e", "ann")
    assert fold([*undone, entry("u3", action="undo", undoes="u1.0")]).verdict == "reject"
    assert fold([entry("a1"), entry("u1", action="undo", undoes="a1.0")]) == Decided()


@pytest.mark.parametrize("_", range(10))
def test_threads_that_share_states_take_each_entry_once_and_in_order(_):
    entries = [entry(f"g{number}", action="tag", tags=(str(number),)) for number in range(1000)]
    key, states, log, seen = entries[0].key, DecisionStates(), [], []

    def read():
        is_whole = False
        while not is_whole:
            is_whole = len(log) == len(entries)
            states.take(log)
            tags = states.of(key).tags
        seen.append(tags)

    readers = [threading.Thread(target=read) for _ in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for reader in readers:
            reader.start()
        for each in entries:
            log.append(each)
        for reader in readers:
            reader.join()
    finally:
        sys.setswitchinterval(interval)
    assert states.history(key) == entries
    assert seen == [tuple(map(str, range(1000)))] * 4
