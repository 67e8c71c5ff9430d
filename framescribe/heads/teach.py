"""Labels and stored features to a head: ``framescribe.teach``."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from framescribe.dataset.stored_features import StoredFeatures
from framescribe.errors import UsageError
from framescribe.feature_row import PARTS, PIXEL_NUMBERS
from framescribe.heads.head import Floats, Head, check_labels, check_name, slug
from framescribe.heads.labels import GivenLabels, Labels, read_labels
from framescribe.shown import shown
from framescribe.version import __version__

if TYPE_CHECKING:
    from framescribe.heads.logistic import Fitted

FEWEST = 10
"""Clips with a label, and without it, that it takes to teach it."""
MOST_HIDDEN = 256
"""Units of a hidden layer."""
_SHOWN = 3

Vectors = dict[str, np.ndarray[Any, Any]]
"""The features of each labelled clip, by the name that its labels have for it."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What came of teaching.

    Attributes:
        head: what was taught.
        notes: what could not be used, in sentences.
    """

    head: Head
    notes: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join((self.table(), *self.notes))

    def table(self) -> str:
        """The held-out numbers of each label, as lines."""
        lines = [
            f"{'label':<28} {'yes':>5} {'no':>5} {'AUC':>6} {'precision':>9} {'recall':>6} {'calibration':>11}"
        ]
        for label, scores in self.head.card["labels"].items():
            lines.append(
                f"{label:<28} {scores['positives']:>5} {scores['negatives']:>5} {scores['auc']:>6.3f} "
                f"{scores['precision']:>9.3f} {scores['recall']:>6.3f} {scores['calibration_error']:>11.3f}"
            )
        return "\n".join(lines)


def teach(
    labels: GivenLabels,
    output: str | PathLike[str],
    *,
    features: str | PathLike[str],
    features_of: str | None = None,
    hidden: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Lesson:
    """Teaches a head labels, from clips whose features are stored, and writes it.

    Each label is a logistic regression of its own on the clips for which it is known, or has a hidden layer of its own,
    calibrated; the numbers are of clips that were held out, in five folds.

    >>> from framescribe import teach
    >>> lesson = teach("labels.csv", "lectures.safetensors", features="captions/")  # doctest: +SKIP

    Args:
        labels: a ``.csv`` or ``.jsonl`` file; a dataset's folder, for the tags that reviewers gave; or, by clip, the
            labels that it has, or labels and whether it has them (see ``docs/heads.md``). Clips are named by id,
            by source, or by the source's file name.
        output: the head, ``NAME.safetensors``; its name is that of its scores' scorer, ``head:NAME``.
        features: the dataset's folder that holds the clips' features.
        features_of: which features, where there are those of several models.
        hidden: units of each label's hidden layer, at most ``MOST_HIDDEN``; 0 for a logistic regression.
        progress: called with the steps of training that are done, and how many there are.

    Returns:
        The head with its numbers, and what could not be used.

    Raises:
        UsageError: labels or features cannot be read, or no label has enough clips.
        OSError: the head cannot be written.
    """
    if type(hidden) is not int or not 0 <= hidden <= MOST_HIDDEN:
        raise UsageError(f"`hidden` must be from 0 to {MOST_HIDDEN}, not {hidden!r}")
    path = Path(fspath(output))
    name = _name(path)
    known = read_labels(labels)
    stored = StoredFeatures(fspath(features), features_of)
    vectors, notes = _labelled(stored, known)
    chosen = list(_teachable(known, vectors, notes))
    if not chosen:
        raise UsageError("; ".join(("no label can be taught", *notes)))
    fitted = _fitted(known, vectors, chosen, hidden, progress or (lambda done, total: None))
    head = Head(
        name,
        tuple(fitted),
        stored.features_of,
        np.stack([each.weight_D for each in fitted.values()]).astype(np.float32),
        np.array([each.bias for each in fitted.values()], np.float32),
        _card({label: asdict(each.held_out) for label, each in fitted.items()}) | {"hidden": hidden},
        *_hidden_layers(list(fitted.values())),
    )
    head.save(path)
    return Lesson(head, tuple(notes))


def _name(path: Path) -> str:
    """The name of a head that is to be written there."""
    if path.suffix != ".safetensors":
        raise UsageError(f"`output` names a head, such as lectures.safetensors, not {shown(str(path))}")
    name = slug(path.stem)
    check_name(name)
    if not path.parent.is_dir():
        raise UsageError(f"`output` lies in {shown(str(path.parent))}, which is no folder")
    return name


def _hidden_layers(fitted: Sequence[Fitted]) -> tuple[Floats, Floats] | tuple[None, None]:
    weights = [each.hidden_HD for each in fitted if each.hidden_HD is not None]
    biases = [each.hidden_bias_H for each in fitted if each.hidden_bias_H is not None]
    return (np.stack(weights), np.stack(biases)) if weights else (None, None)


def _teachable(known: Labels, vectors: Vectors, notes: list[str]) -> Iterator[str]:
    """The labels that can name a score, and that enough clips have and have not; the others are noted."""
    for label in known.names:
        try:
            check_labels([label])
        except UsageError as error:
            notes.append(f"{shown(label)} is left out: {error}")
            continue
        answers = [known.by_clip[clip][label] for clip in vectors if label in known.by_clip[clip]]
        if min(sum(answers), len(answers) - sum(answers)) < FEWEST:
            notes.append(
                f"{label} is left out: it takes {FEWEST} clips with it and {FEWEST} without, and there are "
                f"{sum(answers)} and {len(answers) - sum(answers)}"
            )
        else:
            yield label


def _fitted(
    known: Labels,
    vectors: Vectors,
    labels: Sequence[str],
    hidden: int,
    progress: Callable[[int, int], None],
) -> dict[str, Fitted]:
    """What is fitted for each label."""
    done = itertools.count(1)

    def step() -> None:
        progress(next(done), total)

    if hidden:
        from framescribe.heads.hidden import STEPS, fit_hidden

        fit, total = partial(fit_hidden, units=hidden, step=step), len(labels) * STEPS
    else:
        from framescribe.heads.logistic import fit as fit_logistic

        size = len(next(iter(vectors.values())))
        quarter = size // PARTS
        ends = (*range(quarter, size, quarter), size - PIXEL_NUMBERS)
        fit, total = partial(fit_logistic, ends=ends), len(labels)

    fitted = {}
    for label in labels:
        clips = [clip for clip in vectors if label in known.by_clip[clip]]
        has_it = np.array([known.by_clip[clip][label] for clip in clips], bool)
        fitted[label] = fit(np.stack([vectors[clip] for clip in clips]).astype(np.float32), has_it)
        if not hidden:
            step()
    return fitted


def _labelled(stored: StoredFeatures, labels: Labels) -> tuple[Vectors, list[str]]:
    """The vectors of labelled clips, by the name that labels have for them; and what is wrong with the others."""
    vectors: Vectors = {}
    several: set[str] = set()
    for batch in stored:
        ids, sources = batch.clip_ids, batch.clips["source_video"].to_pylist()
        for number, (clip_id, source) in enumerate(zip(ids, sources, strict=True)):
            for name in dict.fromkeys((clip_id, source, source.rsplit("/", 1)[-1])):
                if name in labels.by_clip:
                    several.update({name} & vectors.keys())
                    vectors[name] = batch.vectors_ND[number]
                    break
    for name in several:
        del vectors[name]
    notes = []
    unknown = [name for name in labels.by_clip if name not in vectors and name not in several]
    contradicting = {clip for clips in labels.contradicting.values() for clip in clips}
    for names, what in (
        (unknown, "have no features"),
        (sorted(several), "name several clips: use their clip_id"),
        (sorted(contradicting), "have labels that contradict each other, which do not count"),
    ):
        if names:
            listed = ", ".join(map(shown, names[:_SHOWN])) + ", …" * (len(names) > _SHOWN)
            notes.append(f"{len(names)} labelled clips {what}: {listed}")
    return vectors, notes


def _card(labels: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "labels": labels,
        "taught_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "framescribe": __version__,
        "numpy": np.__version__,
    }
