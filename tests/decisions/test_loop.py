"""The loop that decisions close: captions are rejected, made anew, accepted, edited, exported, and tell labels."""

import csv
import shutil
from pathlib import Path

import pytest

import framescribe
from framescribe import CaptionSettings, Dataset, Decisions, GenerationSettings
from framescribe.dataset.store import RowFolder
from framescribe.errors import UsageError
from framescribe.eval.matching import match
from framescribe.export.run import export
from tests.dataset.test_row_file import ERROR, row
from tests.dataset.test_store import write
from tests.reference import CLIPS

SHORT, LECTURE = CLIPS / "short-half-second.mp4", CLIPS / "one-frame.mp4"
NUMBER, REJECTED = 36, 30


def settings(seed: int) -> CaptionSettings:
    return CaptionSettings(
        generation=GenerationSettings(max_new_tokens=4, temperature=1.0, seed=seed), repair=False
    )


def caption(videos, out, seed, **options):
    return framescribe.caption(
        videos, out, model="tiny-random", settings=settings(seed), progress=False, **options
    )


def exported(target) -> dict[str, str]:
    with (target / "clips.csv").open(newline="", encoding="utf-8") as lines:
        return {line["clip_id"]: line["caption"] for line in csv.DictReader(lines)}


def test_caption_reject_redo_accept_export_teach(tmp_path):
    videos, out = tmp_path / "videos", tmp_path / "out"
    videos.mkdir()
    for number in range(NUMBER):
        shutil.copy(SHORT if number % 2 else LECTURE, videos / f"{number:02}.mp4")
    assert caption(videos, out, 0, features=True).rows == NUMBER
    first = {each["clip_id"]: each["caption"] for each in Dataset(out)}
    decisions = Decisions(out, "ann")
    rejected = sorted(first)[:REJECTED]
    decisions.reject(rejected, reason="nonsense")
    assert Dataset(out).count("decision = 'reject' AND NOT decision_is_stale") == REJECTED

    assert caption(videos, out, 1, redo="rejected", new_run=True).rows == REJECTED
    anew = {each["clip_id"]: each for each in Dataset(out)}
    changed = {clip for clip in rejected if anew[clip]["caption"] != first[clip]}
    assert len(changed) > REJECTED // 2
    assert {clip for clip, each in anew.items() if each["decision_is_stale"]} == changed
    left = caption(videos, out, 2, redo="rejected", new_run=True).rows
    assert left == REJECTED - len(changed)  # the same text is the same caption, and still rejected

    accepted = rejected[:20]
    decisions.accept([anew[clip] | {"caption": now} for clip, now in texts(out).items() if clip in accepted])
    decisions.edit(rejected[3], "A person wrote this.")
    decisions.edit(rejected[25], "A person wrote this, too.")
    decisions.undo(decisions.accept(rejected[22]).id)
    lectures = {clip for clip in rejected if int(Path(anew[clip]["source_video"]).stem) % 2 == 0}
    decisions.tag(sorted(lectures), "lecture")

    export(out, "csv", tmp_path / "accepted", accept="accepted")
    expected = {clip: texts(out)[clip] for clip in accepted} | {rejected[3]: "A person wrote this."}
    assert exported(tmp_path / "accepted") == {
        clip: " ".join(text.split()) for clip, text in expected.items()
    }
    export(out, "csv", tmp_path / "reviewed", accept="reviewed")
    assert exported(tmp_path / "reviewed").keys() == {*accepted, rejected[25]}
    labels = decisions.labels()
    assert {clip for clip, tags in labels.items() if tags == ("lecture",)} == lectures
    assert {clip for clip, tags in labels.items() if tags == ()} == set(rejected) - lectures

    lesson = framescribe.teach(out, tmp_path / "tags.safetensors", features=out)
    counted = lesson.head.card["labels"]["lecture"]
    assert (counted["positives"], counted["negatives"]) == (len(lectures), REJECTED - len(lectures))
    assert framescribe.apply_heads(out, tmp_path / "tags.safetensors") == NUMBER
    known = Dataset(out).rows("lecture > 0.5", columns=("source_video",))
    assert {int(Path(each["source_video"]).stem) % 2 for each in known} == {0}
    assert Dataset(out).count("lecture > 0.5") == NUMBER // 2  # also the clips that nobody tagged


def texts(out) -> dict[str, str]:
    return {each["clip_id"]: each["caption"] for each in Dataset(out)}


@pytest.fixture
def folder(tmp_path):
    target = str(tmp_path / "out")
    flagged = {"caption": "and so on and", "flags": ("cut_off",)}
    rows = [row(0, clip_id="good"), row(1, clip_id="failed", **ERROR)]
    rows += [row(2 + n, clip_id=f"flagged{n}", **flagged) for n in range(4)]
    write(target, *rows)
    return target


def test_people_outrank_flags_when_captions_are_chosen_to_be_made_anew(folder):
    store = RowFolder(folder)
    decisions = Decisions(folder)
    assert store.chosen("flagged") == {f"flagged{n}" for n in range(4)}
    decisions.accept("flagged0")
    decisions.edit(["flagged1", "failed"], "A whole sentence.")
    decisions.reject(["flagged2", "good"])
    assert store.chosen("flagged") == {"flagged2", "flagged3"}
    assert store.chosen("failed") == set()
    assert store.chosen("rejected") == {"flagged2", "good"}
    assert store.chosen("imported") == set()


@pytest.mark.parametrize(
    ("accept", "expected", "left_out"),
    [
        (None, {"flagged0": "and so on and", "flagged1": "A whole sentence."},
         {"rejected": 2, "flagged cut_off": 1, "status error": 1}),
        ("reviewed", {"flagged0": "and so on and", "flagged1": "A whole sentence."},
         {"rejected": 2, "not reviewed": 1, "flagged cut_off": 1}),
        ("accepted", {"flagged0": "and so on and"}, {"rejected": 2, "not accepted": 3}),
    ],
)  # fmt: skip
def test_an_export_holds_what_people_accepted_and_wrote(folder, tmp_path, accept, expected, left_out):
    decisions = Decisions(folder)
    decisions.accept("flagged0")
    decisions.edit("flagged1", "A whole sentence.")
    decisions.edit("flagged3", "An edit that ends in the middle of a sentence. And so")
    decisions.reject(["flagged2", "good"], reason="no")
    videos = tmp_path / "clips"
    videos.mkdir()
    for number in range(6):
        shutil.copy(SHORT, videos / f"{number}.mp4")
    rows = [each | {"source_video": str(tmp_path / each["source_video"])} for each in Dataset(folder)]
    report = export(rows, "csv", tmp_path / "set", accept=accept)
    assert exported(tmp_path / "set") == expected
    assert dict(report.reasons) == left_out


def test_unknown_values_of_accept_are_refused(folder, tmp_path):
    with pytest.raises(UsageError, match="`accept` takes reviewed or accepted"):
        export(folder, "csv", tmp_path / "set", accept="all")


def test_where_people_decided_references_are_what_they_accepted_or_wrote(folder):
    decisions = Decisions(folder)
    decisions.accept("good")
    decisions.edit("flagged1", "A whole sentence.")
    decisions.reject("flagged2")
    rows = list(Dataset(folder))
    pairs = {pair.clip: (pair.caption, pair.references) for pair in match(rows, rows) if pair.references}
    assert pairs == {
        "good": ("Caption 0.", ("Caption 0.",)),
        "flagged1": ("and so on and", ("A whole sentence.",)),
    }
