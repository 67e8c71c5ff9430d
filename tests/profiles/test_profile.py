"""Profiles: the published ones are whole and name scores that there are; a person's own are checked."""

import re

import pytest

from framescribe import UsageError
from framescribe.profiles.profile import find_profile, profile_names
from framescribe.scores.catalogue import SCORERS

ONE = '[[thresholds]]\nkeep = "motion >= 2"\n'


@pytest.mark.parametrize("name", profile_names())
def test_published_profiles_say_where_they_come_from(name):
    profile = find_profile(name)
    assert profile.name == name
    assert profile.url.startswith("https://")
    assert len(profile.source) > 20
    assert len(profile.thresholds) + len(profile.missing) > 1
    for each in profile.thresholds:
        assert re.search(r"\d", each.published), f"{each}: the source's own number"
    assert len({(each.score, each.is_lower) for each in profile.thresholds}) == len(profile.thresholds)


@pytest.mark.parametrize("name", profile_names())
def test_published_profiles_name_scores_that_there_are(name):
    known = {score.name for scorer in SCORERS for score in scorer.scores}
    profile = find_profile(name)
    assert {each.score for each in profile.thresholds} <= known
    advised = {word for each in profile.missing for word in re.findall(r"`([a-z_]+)`", each.advice)}
    assert advised <= known


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no thresholds"),
        ("keep =", "is not TOML"),
        ('thresholds = "motion >= 2"', "`thresholds` is no list of tables"),
        ("[[thresholds]]\nkeep = 2\n", "has no text `keep`"),
        ('[[thresholds]]\nkeep = "motion"\n', "such as motion>=2, not 'motion'"),
        (ONE + 'publishd = "2"\n', "unknown key 'publishd' of a threshold; near it: published"),
        (ONE + "published = 2\n", "`published` of a threshold is 2, not a text"),
        ('titel = "x"\n' + ONE, "unknown key 'titel' of a profile; near it: title"),
        ('name = "x"\n' + ONE, "unknown key 'name'"),
        (ONE + '[[missing]]\nname = "flow"\n', "a missing score has no `published`"),
        ("a = " + "[" * 100_000, "is"),
    ],
)
def test_files_that_are_no_profiles(tmp_path, text, said):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as raised:
        find_profile(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert said in str(raised.value)


def test_ones_own_profile(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(ONE)
    profile = find_profile(path)
    assert (profile.name, profile.title, str(profile.thresholds[0])) == ("mine", "mine", "motion >= 2")
