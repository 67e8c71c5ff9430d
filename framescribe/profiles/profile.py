"""A published set of thresholds: the TOML files of this folder, or a person's own."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cache
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from framescribe.errors import UsageError
from framescribe.profiles.threshold import Threshold
from framescribe.reading import read_text
from framescribe.shown import shown, shown_value

_MAX_BYTES = 1 << 20
_SUFFIX = ".toml"
_NO_TEXTS = ("name", "thresholds", "missing")


@dataclass(frozen=True, slots=True)
class Missing:
    """What a source filters by that is not measured here.

    Attributes:
        name: what it is.
        published: the source's threshold.
        advice: what can be done, or looked at, in its place; empty where nothing can.
    """

    name: str
    published: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """Thresholds that somebody published.

    Attributes:
        name: as users write it.
        title: whose they are.
        source: the paper or code, and where in it they stand.
        url: of the source.
        note: what else is to be known, in whole sentences.
        thresholds: on scores that are measured here.
        missing: what else the source filters by.
    """

    name: str
    title: str
    source: str
    url: str = ""
    note: str = ""
    thresholds: tuple[Threshold, ...] = ()
    missing: tuple[Missing, ...] = ()


def profile_names() -> list[str]:
    """Names of the published profiles."""
    return sorted(path.stem for path in Path(__file__).parent.glob(f"*{_SUFFIX}"))


def find_profile(profile: str | PathLike[str] | Profile) -> Profile:
    """A published profile by its name, or one's own by the path of its ``.toml`` file.

    Raises:
        UsageError: there is none, or the file is no profile.
    """
    if isinstance(profile, Profile):
        return profile
    name = fspath(profile)
    if name in profile_names():
        return _published(name)
    if name.endswith(_SUFFIX):
        return _read(Path(name))
    raise UsageError(
        f"there is no profile {shown_value(name)}{near(name, profile_names())}; choose one of "
        f"{', '.join(profile_names())}, or the path of a {_SUFFIX} file"
    )


def near(name: str, names: Iterable[str]) -> str:
    """``; near it: a, b`` for a name that may have been meant as another; empty if none is like it."""
    known = list(names)
    found = [each for each in known if name and each.startswith(name)]
    found = (found or difflib.get_close_matches(name, known, n=3, cutoff=0.5))[:3]
    return f"; near it: {', '.join(found)}" if found else ""


@cache
def _published(name: str) -> Profile:
    return _read(Path(__file__).parent / (name + _SUFFIX))


def _read(path: Path) -> Profile:
    text, place = read_text(path, _MAX_BYTES), shown(str(path))
    try:
        return _profile(path.stem, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{place}: is not TOML: {shown(str(error))}") from error
    except RecursionError as error:
        raise UsageError(f"{place}: is nested too deeply") from error
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from error


def _profile(name: str, table: dict[str, Any]) -> Profile:
    thresholds = [_threshold(each) for each in _tables(table, "thresholds")]
    missing = [Missing(**_texts(each, Missing, "missing score")) for each in _tables(table, "missing")]
    if not thresholds and not missing:
        raise UsageError("names no thresholds")
    texts = _texts({"title": name, "source": "", **table}, Profile, "profile", _NO_TEXTS)
    return Profile(name=name, thresholds=tuple(thresholds), missing=tuple(missing), **texts)


def _tables(table: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = table.pop(name, [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise UsageError(f"`{name}` is no list of tables: each begins with [[{name}]]")
    return found


def _threshold(table: dict[str, Any]) -> Threshold:
    written = table.pop("keep", None)
    if not isinstance(written, str):
        raise UsageError('a threshold has no text `keep`, such as keep = "motion >= 2"')
    texts = _texts(table, Threshold, "threshold", but=("score", "operator", "value"))
    return Threshold.parse(written, **texts)


def _texts(table: dict[str, Any], kind: type, name: str, but: Sequence[str] = ()) -> dict[str, str]:
    """The table, which may only have the texts that ``kind`` has."""
    known = [each.name for each in fields(kind) if each.name not in but]
    for key, value in table.items():
        if key not in known:
            raise UsageError(f"unknown key {shown_value(key)} of a {name}{near(key, known)}")
        if not isinstance(value, str):
            raise UsageError(f"`{key}` of a {name} is {shown_value(value)}, not a text")
    for each in fields(kind):
        if each.name in known and each.default is MISSING and each.name not in table:
            raise UsageError(f"a {name} has no `{each.name}`")
    return table
