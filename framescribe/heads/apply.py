"""Heads over the stored features of a dataset: ``framescribe.apply_heads``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike, fspath

from framescribe.dataset.lock import locked
from framescribe.dataset.stored_features import StoredFeatures
from framescribe.errors import UsageError
from framescribe.feature_row import FeatureRow
from framescribe.heads.head import HEAD_VERSION, Head
from framescribe.score_row import ScoreRow

GivenHeads = str | PathLike[str] | Head

_SHARED = ("clip_id", "source_video", "start_s", "end_s", "engine_version", "created_at")
"""Columns that scores take from the features that they are of."""


def load_heads(heads: GivenHeads | Iterable[GivenHeads]) -> tuple[Head, ...]:
    """Heads by their files.

    Raises:
        UsageError: a file is no head, or two give a score of one name.
    """
    given = [heads] if isinstance(heads, str | PathLike | Head) else list(heads)
    loaded = tuple(each if isinstance(each, Head) else Head.load(fspath(each)) for each in given)
    names = [name for head in loaded for name in head.labels]
    for kind in (names, [head.name for head in loaded]):
        if twice := next((name for number, name in enumerate(kind) if name in kind[:number]), None):
            raise UsageError(f"two heads are named, or score, {twice}; teach one under another name")
    return loaded


def apply_heads(folder: str | PathLike[str], heads: GivenHeads | Iterable[GivenHeads]) -> int:
    """Scores all clips of a dataset whose features are stored; nothing is decoded.

    The probabilities become columns, by the heads' labels: ``rows --where 'lecture > 0.5'``.

    >>> from framescribe import apply_heads
    >>> apply_heads("captions/", "lectures.safetensors")  # doctest: +SKIP

    Args:
        folder: the dataset's.
        heads: one or several, as ``teach`` wrote them.

    Returns:
        How many clips were scored.

    Raises:
        UsageError: a head cannot be read, or the folder holds no features of its model.
        OSError: scores cannot be written.
    """
    loaded = load_heads(heads)
    scored = 0
    stored = [StoredFeatures(fspath(folder), head.features_of) for head in loaded]
    for head, features in zip(loaded, stored, strict=True):
        with locked(features.folder):
            batches = ((batch, head.probabilities(batch.vectors_ND)) for batch in features)
            scored = max(scored, features.write_scores(batches, head.scorer, HEAD_VERSION, head.labels))
    return scored


def scores_of(row: FeatureRow, heads: Sequence[Head]) -> list[ScoreRow]:
    """What heads say of one clip, as its features come."""
    import numpy as np

    vector_1D = np.frombuffer(row.features, "<f2")[None]
    whose = {name: getattr(row, name) for name in _SHARED}
    return [
        ScoreRow(
            scorer=head.scorer,
            version=HEAD_VERSION,
            names=head.labels,
            values=tuple(map(float, head.probabilities(vector_1D)[0])),
            **whose,
        )
        for head in heads
    ]
