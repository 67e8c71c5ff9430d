"""Captions that certainly loop, told by their tokens while they are generated.

Stricter than ``quality/loops.py``, which judges the text of finished captions: what a good caption might say, such as a
refrain, a list of the same objects frame by frame, or a count, goes on here.
"""

from __future__ import annotations

CHECK_EVERY = 16
"""Tokens from one look at a caption to the next."""

_REPEATS, _LEAST_REPEATED = 4, 96
_STRETCH, _FEW = 128, 12


def certainly_loops(token_ids: list[int]) -> bool:
    """Whether a caption has ended up in a loop: once it is certain, there is no way for it to become good again.

    Certain is: the last 96 tokens or more are one stretch of tokens four times in a row, or more often; or the last 128
    tokens are but 12 different ones.
    """
    return _few_tokens(token_ids) or _repeats(token_ids)


def _few_tokens(token_ids: list[int]) -> bool:
    return len(token_ids) >= _STRETCH and len(set(token_ids[-_STRETCH:])) <= _FEW


def _repeats(token_ids: list[int]) -> bool:
    if len(token_ids) < _LEAST_REPEATED:
        return False
    newest_first = token_ids[::-1]
    period, longest = 0, len(token_ids) // _REPEATS
    # From one place where the last token came before to the next.
    while newest_first[0] in (rest := newest_first[period + 1 : longest + 1]):
        period += 1 + rest.index(newest_first[0])
        repeated = max(_LEAST_REPEATED, _REPEATS * period)
        if newest_first[period:repeated] == newest_first[: repeated - period]:
            return True
    return False
