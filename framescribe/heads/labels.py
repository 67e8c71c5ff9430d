"""Labels of clips: from a CSV or JSON lines, from reviewers' tags, or as they are given."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike, fspath
from typing import Any

from framescribe.dataset.store import RowFolder
from framescribe.errors import UsageError
from framescribe.heads.head import slug
from framescribe.reading import read_text
from framescribe.shown import shown, shown_value

_MAX_BYTES = 256 << 20
_CLIP, _TAGS = ("clip_id", "source_video", "file"), ("tags", "labels", "label")
_YES, _NO = {"1", "1.0", "true", "yes", "y"}, {"0", "0.0", "false", "no", "n"}


@dataclass(slots=True)
class Labels:
    """What clips were labelled.

    Attributes:
        by_clip: for the name of each clip, an id or a source: by label, whether it has it. A label that is not there is
            not known.
        contradicting: names of clips that were said to have a label and not to have it, by label.
    """

    by_clip: dict[str, dict[str, bool]] = field(default_factory=lambda: defaultdict(dict))
    contradicting: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    @property
    def names(self) -> list[str]:
        """The labels, in the order in which they came."""
        return list(dict.fromkeys(label for labels in self.by_clip.values() for label in labels))

    def add(self, clip: str, label: str, has_it: bool) -> None:
        """Takes one answer; two that differ count as none."""
        known = self.by_clip[clip]
        if clip in self.contradicting[label] or known.get(label, has_it) is not has_it:
            self.contradicting[label].add(clip)
            known.pop(label, None)
        else:
            known[label] = has_it


GivenLabels = str | PathLike[str] | Mapping[str, Mapping[str, bool]] | Mapping[str, Collection[str]]


def read_labels(source: GivenLabels) -> Labels:
    """Reads labels.

    Args:
        source: a ``.csv`` or ``.jsonl`` file with a column ``clip_id``, ``source_video`` or ``file``, and either a
            column ``tags`` (the labels that a clip has, apart by ``;`` or as a list) or a column for each label (1 or
            0, yes or no, empty where it is not known); a dataset's folder, for the tags that reviewers gave; or, by
            clip, either the labels that it has, or labels and whether it has them.

    Raises:
        UsageError: it is none of these, or cannot be read.
    """
    if isinstance(source, Mapping):
        return _given(source)
    if not isinstance(source, str | PathLike):
        raise UsageError(f"labels are a file, a folder, or a mapping by clip, not {shown_value(source)}")
    name = fspath(source)
    if not name.endswith((".csv", ".jsonl")):
        return _tagged((clip, list(tags)) for clip, tags in _reviewed(name).items())
    try:
        text = read_text(name, _MAX_BYTES)
    except OSError as error:
        raise UsageError(f"{shown(name)} cannot be read: {error.strerror or error}") from error
    rows = list(_csv_rows(text, name) if name.endswith(".csv") else _json_rows(text, name))
    columns = dict.fromkeys(column for _, row in rows for column in row)
    clip = next((column for column in _CLIP if column in columns), None)
    if clip is None:
        raise UsageError(
            f"{shown(name)} names no clips: it needs a column {', '.join(_CLIP[:-1])} or {_CLIP[-1]}, and commas "
            "between its cells"
        )
    for number, row in rows:
        if not isinstance(row.get(clip), str) or not row[clip]:
            raise UsageError(f"{shown(name)}, line {number}: names no clip")
    if tags := next((column for column in _TAGS if column in columns), None):
        return _tagged((row[clip], _listed(row.get(tags))) for _, row in rows)
    labels = Labels()
    for number, row in rows:
        for column in columns.keys() - set(_CLIP):
            answer = str(row.get(column, "")).strip().lower()
            if answer in _YES | _NO:
                labels.add(row[clip], _label(column), answer in _YES)
            elif answer not in ("", "none"):
                raise UsageError(
                    f"{shown(name)}, line {number}: {shown(column)} is {shown_value(row[column])}, not 1 or 0"
                )
    return labels


def _reviewed(folder: str) -> Mapping[str, tuple[str, ...]]:
    from framescribe.decisions.decisions import Decisions

    if not RowFolder(folder).has_any():
        raise UsageError(
            f"{shown(folder)}: labels are read from .csv and .jsonl files, or a dataset's folder"
        )
    return Decisions(folder).labels()


def _given(source: Mapping[str, Any]) -> Labels:
    for clip, answers in source.items():
        if (
            not isinstance(clip, str)
            or not isinstance(answers, Collection)
            or isinstance(answers, str | bytes)
        ):
            raise UsageError(
                f"the labels of {shown_value(clip)} are {shown_value(answers)}: give a list of labels, or a mapping of "
                "labels to True and False"
            )
    if not all(isinstance(answers, Mapping) for answers in source.values()):
        return _tagged((clip, list(tags)) for clip, tags in source.items())
    labels = Labels()
    for clip, answers in source.items():
        for label, has_it in answers.items():
            labels.add(clip, _label(label), bool(has_it))
    return labels


def _label(given: Any) -> str:
    """A label as the name of a score; as it was given, where nothing of it can be one."""
    return slug(str(given)) or str(given)


def _tagged(tagged: Iterable[tuple[str, list[str]]]) -> Labels:
    """Of clips that were looked at whole: a clip has not the labels that others have and it was not given."""
    tags_of: dict[str, set[str]] = defaultdict(set)
    for clip, given in tagged:
        tags_of[clip].update(map(_label, given))
    labels = Labels()
    for name in dict.fromkeys(sorted(name for tags in tags_of.values() for name in tags)):
        for clip, tags in tags_of.items():
            labels.add(clip, name, name in tags)
    return labels


def _csv_rows(text: str, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        for row in reader:
            if None in row or None in row.values():
                raise UsageError(
                    f"{shown(name)}, line {reader.line_num}: it has not as many cells as the first line"
                )
            yield reader.line_num, row
    except csv.Error as error:
        raise UsageError(f"{shown(name)}, line {reader.line_num}: {error}") from error


def _json_rows(text: str, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{shown(name)}, line {number}: is not JSON") from error
        if not isinstance(row, dict):
            raise UsageError(f"{shown(name)}, line {number}: is no JSON object")
        yield number, row


def _listed(value: Any) -> list[str]:
    parts = value if isinstance(value, list) else str(value or "").replace(",", ";").split(";")
    return [text for part in parts if (text := str(part).strip())]
