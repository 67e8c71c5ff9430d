"""The scores: what each scorer says of itself."""

from __future__ import annotations

from framescribe.scores.pictures import LOOKED_AT_S, SMALL_PER_S
from framescribe.scores.registry import SCORERS
from framescribe.scores.scorer import Scorer

_HEAD = f"""# Scores

`framescribe score` measures clips: which hardly move, are slide shows, cut together, blurred, dark, bordered.
No model is loaded, and no GPU is used, but for [features](heads.md).

```bash
framescribe score clips/ -o captions/                 # videos, as `caption` takes them
framescribe score captions/                           # the clips of a dataset folder
framescribe caption clips/ -o captions/ --scores all  # while captioning, from the same decoding
framescribe rows captions/ --where "motion >= 2 AND cuts = 0" --columns source_video,motion --order-by "motion DESC"
```

```python
from framescribe import Dataset, score

score("clips/", "captions/", scores=["motion", "cuts"])
print(Dataset.scored("captions/").count("motion < 1"), "clips hardly move")
```

Scores are a table of the [dataset folder](rows.md), `scores/`: a row for each clip and scorer, with the
scorer's version, or why there are none (`error_stage`, `error_message`). In SQL each score is a column beside captions;
it is null where a clip has no such value, as one frame has no motion. `rows` prints scored clips also where there are
no captions yet; `rows FOLDER --where "error_message IS NOT NULL"` prints those that failed. Nothing is deleted: what a
threshold keeps is for whoever reads. A run resumes: it scores what has no row yet, and measures anew where a scorer's
version has risen; `--redo failed` tries again what failed. `--hash` keeps each source's SHA-256, and measures anew what
has changed since it was kept.

Of clips longer than {LOOKED_AT_S:g} s the first {LOOKED_AT_S:g} s are looked at: {SMALL_PER_S:g} pictures a
second, small; about ten a second, tiny and grey, fewer where a video is coded with frames that no other refers to;
five large ones.
They come from the decoding processes, which measure them too, under the same limits of time and memory as captioning.

While captioning, scores look at the same pictures as alone, and are the same; CPUs then decode all clips, also where
a GPU has a decoder. As captioning by itself reads 24 s of a clip as published, more is decoded of longer clips.
On two CPU cores they add 20 % (720p, 24 frames a second) and 24 % (480p, 8) to the CPU time of decoding and
transform. Alone, all default scores take 0.8 and 1.2 times the CPU time of decoding every frame
(`benchmarks/score_speed.py`).

On a [cluster](scale.md), `score --ray` spreads clips over the hosts' CPUs, and the command writes all rows.

## Copies

`fingerprint` keeps what is needed to find copies of a clip in the same set: coded anew, scaled, letterboxed, cut by up
to a tenth of its width and height, played at another speed, or all of that.

```python
from framescribe import Dataset, near_duplicates, score

score("clips/", "captions/", scores=["fingerprint"])
found = near_duplicates("captions/")
print(len(found.groups), "clips have copies")
kept = Dataset.scored("captions/").rows(where="duplicate_number = 0")
```

`framescribe similar captions/ --duplicates` prints the groups, a clip a line, with its source.

Two clips are copies where their mean pictures agree, in grey and in colour, and so does what changes about them in
grey, each over an eighth of the clip's time; still clips need the same picture. So another moment of a scene is no
copy, unless it looks the same all along. Clips of one colour (black, white) are not compared, and counted apart: they
have no `duplicate_number`. Not found: mirrored clips, cuts of more than a tenth, parts of a longer clip, and copies
with more than 1.25 times the contrast or saturation (in black and white, for one), with a tint of more than about 5
levels, or more than 20 levels lighter: by day and in the evening a place is two clips. In black-and-white footage
more pairs are taken for copies that are none, as brightness alone tells.
Two groups of copies are one where at least half of the pairs of clips between them are copies (at most 36 pairs are
looked at), the least different first; so a chain of copies that drift apart is several groups. A group's first clip is
the one that was scored first. The scores `near_duplicates` (how
many other clips are copies) and `duplicate_number` (0 for the first) are of the set as it was: after new clips, call it
again.
A fingerprint takes 8 kB, in the folder and in memory. The copies among 100,000 were found in eleven minutes, on two
busy CPU cores and with 0.3 GB besides the fingerprints (`benchmarks/near_duplicates.py`).

## Text

The extra `text` brings PP-OCR with its weights; nothing is downloaded. Five pictures of a clip are read, in the process
that decodes it; it runs only where it is named (`--scores text`, or `all,text`). Detection finds text in any script,
and things besides: a dog, a door, a wheel. So `text_area_share` counts boxes up to a fifth of the picture's height, or
up to a third where they are at least twice as wide as high; columns of vertical text are left out with the things.
`detected_text_area_share` counts all that the detector marks, as rapidocr alone does, and is near 1 for many clips
without any text; it is there to compare with others' numbers. `read_text_area_share` counts what could be read as
Chinese, Japanese or in Latin letters.

## Motion vectors

`motion_vectors` takes what the encoder stored, 2 pictures a second, without any search for movement; it is measured
only where it is named (`--scores all` leaves it out). It is there for H.264 and MPEG-4, and as good as the encoder,
which looks for what saves bits, not for movement. `motion` measures the pictures themselves, whatever their codec.
"""

_MOTION = """## Motion

`motion` counts pixels of the video in half a second, so that published thresholds apply; `motion_diagonals` compares
videos of different sizes. Both are of the whole picture: a small subject before a still background moves little.
Of clips above three seconds the flow is measured in every other half second. What is fast is measured over an
eighth of a second, so that pans count in full up to a fifth of the diagonal in half a second. Rotations of 6 % of the
diagonal in half a second come out 7 % too slow in the median; faster ones were not measured.

OpenCV's Farneback flow orders parts of real clips as `motion` does where its settings find the length of known
movements: pictures of 192 pixels, windows of 25, over an eighth of a second. EasyAnimate's settings, at full size over
half a second, find less than half of pans of 6 % of the diagonal, so that they order fast clips otherwise
(`benchmarks/planted_faults.py`).
"""

_MEASURED = """## What is measured

Below each scorer's table stand example clips with a low and a high value of each score, by `python -m dev.docs scores`.
"""


def page() -> str:
    """The page ``docs/scores.md``."""
    return "\n".join([_HEAD, _MOTION, _MEASURED, *map(_section, SCORERS)])


def _section(scorer: Scorer) -> str:
    notes = [f"version {scorer.version}"]
    if scorer.package is not None:
        notes.append(f"needs {scorer.package} ([extra](install.md))")
    if not scorer.is_default:
        notes.append("only where it is named")
    rows = [
        f"| `{score.name}` | {score.unit} | {score.higher} | {score.meaning} |" for score in scorer.scores
    ]
    table = (
        "| score | unit | higher means | what it is |\n| --- | --- | --- | --- |\n" + "\n".join(rows)
        if rows
        else ""
    )
    vector = (
        f"Gives a vector, `{scorer.features_of}`, in the table of features.\n" if scorer.features_of else ""
    )
    examples = (
        f"\n![Clips with a low and a high value of each score](scores/{scorer.name}.jpg)\n" if rows else ""
    )
    parts = filter(None, (vector, table, examples))
    return f"### {scorer.name}\n\n{'; '.join(notes)}\n\n" + "\n".join(parts) + "\n"
