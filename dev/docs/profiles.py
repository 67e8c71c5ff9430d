"""The page of profiles: whose thresholds there are, what of them is measured here, and what is not."""

from __future__ import annotations

from collections.abc import Iterator

from framescribe.profiles.profile import Profile, find_profile, profile_names
from framescribe.profiles.threshold import Threshold

_HEAD = """# Profiles

A profile is a set of thresholds that somebody published, as a data file with its source. `framescribe filter FOLDER
--profile NAME` shows what it would keep and drop of a folder's scored clips; [Filters](filters.md) says how.
Thresholds in parentheses are on a score that is only the nearest to what the source measures. They count where
`--nearest` asks for it. What a source filters by as well, and is not measured here, is named too.
"""


def page() -> str:
    """The page ``docs/profiles.md``."""
    return "\n".join([_HEAD, *(line for name in profile_names() for line in _section(find_profile(name)))])


def _section(profile: Profile) -> Iterator[str]:
    yield f"## {profile.name}\n"
    yield f"{profile.title}: [{profile.source}]({profile.url}).{f' {profile.note}' if profile.note else ''}\n"
    if profile.thresholds:
        yield "| threshold | published | the source measures |"
        yield "| --- | --- | --- |"
        for each in profile.thresholds:
            yield f"| {_written(each)} | {_cell(each.published)} | {_cell(each.instead_of) or 'the same'} |"
        yield ""
    if profile.missing:
        yield "| not measured | published | nearest |"
        yield "| --- | --- | --- |"
        for missing in profile.missing:
            yield f"| {_cell(missing.name)} | {_cell(missing.published)} | {_cell(missing.advice) or 'nothing'} |"
        yield ""


def _written(threshold: Threshold) -> str:
    return f"(`{threshold}`)" if threshold.instead_of else f"`{threshold}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
