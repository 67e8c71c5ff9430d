"""What thresholds keep and drop, against plain loops over the scores."""

import json
import math
import operator

import pytest

import framescribe
from framescribe import Dataset, UsageError
from tests.cli.run import invoke
from tests.dataset.test_row_file import row
from tests.profiles.scored import drawn_clips, write_clips

OPERATORS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
LIMITS = [
    ("motion", ">=", 2),
    ("motion", "<", 4),
    ("static_share", "<=", 0.75),
    ("brightness", ">", 30),
    ("bad_exposure_share", "<=", 0.05),
]
THRESHOLDS = [f"{score}{sign} {value}" for score, sign, value in LIMITS]
PROFILE = """
title = "Mine"
[[thresholds]]
keep = "motion >= 1"
[[thresholds]]
keep = "motion <= 3"
instead_of = "another flow"
[[missing]]
name = "aesthetic score"
published = ">= 4"
"""


@pytest.fixture(scope="module")
def clips():
    return drawn_clips(300)


@pytest.fixture(scope="module")
def folder(clips, tmp_path_factory):
    path = tmp_path_factory.mktemp("scored")
    write_clips(path, clips)
    return path


def verdict(scores, score, sign, value):
    """True, False, or None where the clip has no such value."""
    found = scores.get(score, math.nan)
    return None if math.isnan(found) else OPERATORS[sign](found, value)


def verdicts(clips, limits):
    """By clip, what each threshold says."""
    return {clip_id: [verdict(scores, *each) for each in limits] for clip_id, scores in clips.items()}


def test_every_clip_is_counted_once_and_as_it_is(clips, folder):
    report = framescribe.filter(folder, thresholds=THRESHOLDS)
    said = verdicts(clips, LIMITS)
    kept = [clip_id for clip_id, each in said.items() if all(each)]
    dropped = [clip_id for clip_id, each in said.items() if False in each]
    assert 0 < len(kept) < len(dropped) < len(clips)
    assert (report.clips, report.kept, report.dropped) == (len(clips), len(kept), len(dropped))
    assert report.unknown == len(clips) - len(kept) - len(dropped) > 0
    for place, outcome in enumerate(report.outcomes):
        column = [each[place] for each in said.values()]
        found = outcome.kept, outcome.dropped, outcome.unknown
        assert found == (column.count(True), column.count(False), column.count(None))
        alone = [each for each in said.values() if each[place] is False and each.count(False) == 1]
        assert outcome.dropped_alone == len(alone)


def test_the_condition_takes_the_clips_that_are_kept(clips, folder):
    said = verdicts(clips, LIMITS)
    report = framescribe.filter(folder, thresholds=THRESHOLDS)
    found = {each["clip_id"] for each in Dataset.scored(folder).rows(report.where)}
    assert found == {clip_id for clip_id, each in said.items() if all(each)}
    lenient = framescribe.filter(folder, thresholds=THRESHOLDS, keep_unknown=True)
    found = {each["clip_id"] for each in Dataset.scored(folder).rows(lenient.where)}
    assert found == {clip_id for clip_id, each in said.items() if False not in each}
    assert (lenient.kept, lenient.unknown) == (report.kept, report.unknown)


def test_own_thresholds_take_the_place_of_a_profiles_on_their_side(folder, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(PROFILE)
    report = framescribe.filter(folder, path, ["motion > 2"], use_nearest=True)
    assert [str(each.threshold) for each in report.outcomes] == ["motion <= 3", "motion > 2"]
    assert report.where == "motion <= 3 AND motion > 2"


def test_what_is_only_nearest_counts_on_request(clips, folder, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(PROFILE)
    report = framescribe.filter(folder, path)
    assert [each.is_on for each in report.outcomes] == [True, False]
    assert report.where == "motion >= 1"
    slow, fast = report.outcomes
    assert report.dropped == slow.dropped
    assert fast.dropped_alone == fast.dropped > 0  # no clip is both
    counted = framescribe.filter(folder, path, use_nearest=True)
    assert counted.dropped == slow.dropped + fast.dropped
    assert counted.missing[0].name == "aesthetic score"


def test_what_would_have_to_be_measured_is_named(folder):
    report = framescribe.filter(folder, thresholds=["motion >= 2", "text_area_share <= 0.02", "cuts < 1"])
    assert report.to_measure == ("cuts", "text")
    assert framescribe.filter(folder, thresholds=THRESHOLDS).to_measure == ()
    said = invoke("filter", folder, "--set", "text_area_share<=0.02").stderr
    assert f"framescribe score {folder} --scores text` measures them" in said.replace("\n", " ")


def test_a_score_that_no_clip_has_is_unknown_of_all(clips, folder):
    report = framescribe.filter(folder, thresholds=["bits_per_pixel >= 0.02"])
    assert (report.kept, report.dropped, report.unknown) == (0, 0, len(clips))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"thresholds": ["moton >= 2"]}, "no score 'moton'; near it: motion;"),
        ({"thresholds": ["clip_id >= 2"]}, "no score 'clip_id'"),
        ({"thresholds": ["motion = 2"]}, "such as motion>=2, not 'motion = 2'"),
        ({"thresholds": ["motion >= nan"]}, "not 'motion >= nan'"),
        ({"thresholds": ["motion >= 2 OR true"]}, "a threshold is"),
        ({}, "name a `profile`"),
        ({"profile": "alegro"}, "no profile 'alegro'; near it: allegro;"),
        ({"profile": "goku"}, "near it: goku-1080p, goku-480p, goku-720p;"),
    ],
)
def test_what_means_nothing_is_refused(folder, options, said):
    with pytest.raises(UsageError, match=r".") as raised:
        framescribe.filter(folder, **options)
    assert said in str(raised.value)


def test_a_folder_without_scores(tmp_path):
    with pytest.raises(UsageError, match="has no scores; `framescribe score` makes them"):
        framescribe.filter(tmp_path, thresholds="motion >= 2")


def test_the_command(clips, folder):
    shown = invoke("filter", str(folder), "--set", "motion>=2", "--set", "brightness<=200")
    report = framescribe.filter(folder, thresholds=["motion>=2", "brightness<=200"])
    lines = [line.split() for line in shown.stdout.splitlines()]
    first = report.outcomes[0]
    numbers = first.kept, first.dropped, first.unknown, first.dropped_alone
    assert lines[1] == ["motion", ">=", "2", *map(str, numbers)]
    assert lines[3] == ["all", "of", "300", *map(str, (report.kept, report.dropped, report.unknown))]
    assert shown.stdout.splitlines()[-1] == "--where 'motion >= 2 AND brightness <= 200'"
    said = json.loads(invoke("filter", str(folder), "--set", "motion>=2", "--json").stdout)
    assert said["kept"] == said["outcomes"][0]["kept"] == first.kept
    assert said["outcomes"][0]["threshold"]["score"] == "motion"


def test_the_condition_does_the_same_with_captions(clips, tmp_path):
    """``rows --where``: of captioned clips those that are kept."""
    store = write_clips(tmp_path, clips)
    ids = list(clips)[:50]
    store.table.append([row(number).to_dict() | {"clip_id": ids[number]} for number in range(50)], "run", 0)
    where = framescribe.filter(tmp_path, thresholds=THRESHOLDS[:3]).where
    shown = invoke("rows", str(tmp_path), "--where", where).stdout
    said = verdicts(clips, LIMITS[:3])
    wanted = [clip_id for clip_id in ids if all(said[clip_id])]
    assert wanted
    assert [line.split("\t")[0] for line in shown.splitlines()] == wanted
