"""Groups of clips, from how much pairs of them differ.

The least different join first, and two groups join where at least half of the pairs between them are copies (average
linkage, with each pair as a vote): a clip that happens to look like one copy of another does not bring all of them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Pairs = NDArray[np.int64]
"""int64 [P, 2], the lower number first."""
Differences = NDArray[np.float32]
"""float32 [P]: at most 1 between copies."""

_VOTERS = 6
"""So many clips of each group are compared, spread over it: the work for a pair of groups is bounded."""


def grouped(
    pairs_P2: Pairs, differ_P: Differences, count: int, differ: Callable[[Pairs], Differences]
) -> Pairs:
    """int64 [count]: for each clip the first one of its group, itself where it has no copy.

    Args:
        pairs_P2: that were compared, each once, in ascending order.
        differ_P: how much these differ.
        count: how many clips there are.
        differ: compares further pairs.
    """
    first = np.arange(count)
    members: dict[int, list[int]] = {}
    keys = pairs_P2[:, 0] * count + pairs_P2[:, 1]
    refused: set[tuple[int, int, int, int]] = set()
    order = np.argsort(differ_P, kind="stable")
    for a, b in pairs_P2[order[: np.count_nonzero(differ_P <= 1)]].tolist():
        root, other = sorted((int(first[a]), int(first[b])))
        one, two = members.get(root, [root]), members.get(other, [other])
        tried = root, other, len(one), len(two)
        if root == other or tried in refused:
            continue
        votes = _voters(one, two)
        asked = votes[:, 0] * count + votes[:, 1]
        place = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
        is_known = keys[place] == asked
        differences = np.where(is_known, differ_P[place], np.inf)
        if not is_known.all():
            differences[~is_known] = differ(votes[~is_known])
        if np.mean(differences <= 1) < 0.5:
            refused.add(tried)
            continue
        first[two] = root
        members.pop(other, None)
        members[root] = one + two
    return first


def _voters(one: list[int], two: list[int]) -> Pairs:
    """Pairs of some clips of each of two groups."""
    some = [
        [group[place] for place in np.linspace(0, len(group) - 1, min(_VOTERS, len(group))).astype(int)]
        for group in (one, two)
    ]
    return np.sort(np.stack(np.meshgrid(*some), -1).reshape(-1, 2), axis=1)
