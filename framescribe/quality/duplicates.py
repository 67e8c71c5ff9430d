"""Captions that say the same: one caption written for thousands of clips teaches a trainer nothing.

Two captions are near-identical when their shingles (three words in a row) have a Jaccard similarity of 0.85 or more:
two words changed among a hundred, none in a caption of thirty. MinHash with banding (Broder 1997; Leskovec, Rajaraman,
Ullman, *Mining of Massive Datasets*, chapter 3) finds candidates, which are then compared exactly.
"""

from __future__ import annotations

import re
import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rensa import RMinHash

from framescribe.caption_row import CaptionRow
from framescribe.quality.words import bare_words

THRESHOLD = 0.85
MAX_COMPARED = 50_000
"""Where time matters, so many captions at most are compared; of more, those of the same text are found."""
SAME_TEXT_SQL = "hash(lower(caption))"
"""Alike for captions of the same text, whatever its case: an expression of DuckDB's SQL."""
# A pair at the threshold shares a band with probability 1 - (1 - 0.85**6)**12 = 0.997; at 0.5 with 0.17.
_BANDS, _BAND_HASHES = 12, 6
# Of each band the first so many; of those the ones that share most bands are compared. Captions of one pattern, which
# are alike and yet not the same, would otherwise each be compared with all others.
_IN_BAND, _CANDIDATES = 32, 32
_JOINTS = re.compile("['’-]")  # whether a word is hyphenated makes no other caption
_OF_BAND = f"SELECT * FROM (SELECT number FROM bands WHERE hash = ? LIMIT {_IN_BAND})"
_FIND = f"""SELECT clip_id, shingles FROM captions JOIN
(SELECT number, count(*) AS shared FROM ({" UNION ALL ".join([_OF_BAND] * _BANDS)})
 GROUP BY number ORDER BY shared DESC, number LIMIT {_CANDIDATES}) USING (number)
WHERE size BETWEEN ? AND ? ORDER BY number"""


class DuplicateFinder:
    """Tells whether a caption was seen before. Takes 100 MB of memory at most, and 1 kB a caption on temporary disk.

    Only captions that are not themselves duplicates are kept, so that chains of small changes do not creep along.
    """

    def __init__(self) -> None:
        # The empty name is a private database in a temporary file, which goes when it is closed.
        self._database = sqlite3.connect("")
        self._database.executescript(
            """
            PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536;
            CREATE TABLE captions (number INTEGER PRIMARY KEY, clip_id BLOB, size INTEGER, shingles BLOB);
            CREATE TABLE bands (hash INTEGER, number INTEGER, PRIMARY KEY (hash, number)) WITHOUT ROWID;
            CREATE TABLE same (hash INTEGER PRIMARY KEY, clip_id BLOB);
            """
        )

    def add(self, clip_id: str, caption: str) -> str | None:
        """The id of the first clip with nearly this caption; None if there is none, and the caption is remembered.

        A caption without words is nobody's duplicate.
        """
        if not (shingles := shingle(caption)):
            return None
        id = clip_id.encode("utf-8", "surrogatepass")
        execute = self._database.execute
        same = hash(shingles)
        if found := execute("SELECT clip_id FROM same WHERE hash = ?", (same,)).fetchone():
            return _decoded(found[0])
        hashes = _band_hashes(shingles)
        if (first := self._find(hashes, shingles)) is not None:
            return first
        content = array("q", map(hash, shingles)).tobytes()
        values = (id, len(shingles), content)
        number = execute("INSERT INTO captions (clip_id, size, shingles) VALUES (?, ?, ?)", values).lastrowid
        execute("INSERT INTO same VALUES (?, ?)", (same, id))
        self._database.executemany(
            "INSERT OR IGNORE INTO bands VALUES (?, ?)", ((band, number) for band in hashes)
        )
        return None

    def _find(self, hashes: list[int], shingles: frozenset[str]) -> str | None:
        own = frozenset(map(hash, shingles))
        # Sets of other sizes cannot be so similar.
        sizes = (len(own) * THRESHOLD, len(own) / THRESHOLD)
        for id, content in self._database.execute(_FIND, (*hashes, *sizes)):
            if similarity(own, frozenset(array("q", content))) >= THRESHOLD:
                return _decoded(id)
        return None


class RepeatCounter:
    """Counts good captions of a run that nearly repeat one before.

    Attributes:
        count: so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._finder = DuplicateFinder()

    def __enter__(self) -> RepeatCounter:
        return self

    def __exit__(self, *exception: object) -> None:
        """Keeps the count."""

    def write(self, row: CaptionRow) -> None:
        """Takes note of a row."""
        if row.caption and row.caption_status == "success":
            self.count += self._finder.add(row.clip_id, row.caption) is not None


def flag_duplicates(rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows, each with the flag ``duplicate`` where a clip before it has nearly the same caption.

    Which clip is in a column ``duplicate_of`` of these rows. Only good captions (status ``success``) are such clips.
    The flag is of the set, not of the row: it is found whenever rows are read, and not stored.
    """
    finder = DuplicateFinder()
    for row in rows:
        first = None
        if row.get("caption") and row["caption_status"] == "success":
            first = finder.add(row["clip_id"], row["caption"])
        if first is None:
            yield {**row}
        else:
            yield {**row, "flags": [*(row.get("flags") or ()), "duplicate"], "duplicate_of": first}


def shingle(caption: str) -> frozenset[str]:
    """Each three words in a row, without case and punctuation; a Chinese or Japanese character counts as a word."""
    # Half a surrogate pair, which JSON may hold, is no text that can be hashed.
    text = caption.encode("utf-8", "replace").decode()
    if not (words := bare_words(_JOINTS.sub(" ", text))):
        return frozenset()
    # Margins put the first and the last word into as many shingles as any other.
    padded = ["", "", *words, "", ""]
    return frozenset(map(" ".join, zip(padded, padded[1:], padded[2:], strict=False)))


def similarity(one: frozenset[int], other: frozenset[int]) -> float:
    """The Jaccard similarity of two sets of shingles."""
    return len(one & other) / len(one | other)


def _decoded(id: bytes) -> str:
    return id.decode("utf-8", "surrogatepass")


def _band_hashes(shingles: frozenset[str]) -> list[int]:
    minhash = RMinHash(num_perm=_BANDS * _BAND_HASHES, seed=0)
    minhash.update(list(shingles))
    digest = minhash.digest()
    # Python's hash of a tuple of integers is the same in every process, and fits SQLite's 64 bits.
    return [
        hash((start, *digest[start : start + _BAND_HASHES])) for start in range(0, len(digest), _BAND_HASHES)
    ]
