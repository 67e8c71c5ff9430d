"""Which captioned clips are trained on, and what is said of those that are not."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from framescribe.errors import UsageError
from framescribe.prompt import PromptBuilder
from framescribe.synthetic.files import file_clips, write_clips
from framescribe.tokenizer import CaptionTokenizer
from framescribe.train.batches import ClipBatches
from framescribe.train.examples import Examples, drop_long_captions, read_examples
from tests.train.conftest import CAPTIONS
from tests.train.small import run_training, small_settings


def names(examples: Examples) -> list[str]:
    return [Path(example.clip.source_video).name for example in examples.usable]


def write_rows(path: Path, rows: list[dict[str, Any]]) -> str:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_folder(clips: Path) -> None:
    (clips / "1.txt").unlink()
    (clips / "2.txt").write_text(" \n ")
    (clips / "3.txt").write_bytes(b"\xff\xfe\xfd")
    (clips / "4.txt").write_text("One\n  caption on\ttwo lines. \n")
    examples = read_examples(str(clips))
    assert names(examples) == ["0.mp4", "4.mp4", "5.mp4"]
    assert [example.caption for example in examples.usable] == [
        CAPTIONS[0], "One caption on two lines.", CAPTIONS[5]
    ]  # fmt: skip
    reasons = {Path(source).name: reason for source, reason in examples.skipped}
    assert reasons["1.mp4"] == "no caption: 1.txt is missing"
    assert reasons["2.mp4"] == "the caption is empty"
    assert "3.txt: is UTF-16" in reasons["3.mp4"]  # FF FE is its mark


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_rows(suffix: str, clips: Path) -> None:
    row: dict[str, Any] = dict.fromkeys(("source_video", "file_name", "start_s", "end_s"))
    row["caption_status"] = "success"
    data = write_rows(
        clips / f"rows.{suffix}",
        [
            row | {"source_video": str(clips / "0.mp4"), "caption": "A.", "start_s": 0.5, "end_s": 1.5},
            row | {"source_video": str(clips / "1.mp4"), "caption": "", "caption_status": "empty"},
            row | {"source_video": str(clips / "2.mp4"), "caption": None, "caption_status": "error"},
            row | {"file_name": "3.mp4", "caption": "B."},
        ],
    )
    examples = read_examples(data)
    assert [(e.clip.source_video, e.clip.start_s, e.clip.end_s, e.caption) for e in examples.usable] == [
        (str(clips / "0.mp4"), 0.5, 1.5, "A."),
        (str(clips / "3.mp4"), 0.0, None, "B."),
    ]
    assert examples.skipped == [
        (str(clips / "1.mp4"), "the caption is empty"),
        (str(clips / "2.mp4"), "its row is an error"),
    ]


def test_captions_file_of_synthesize(tmp_path: Path) -> None:
    drawn = file_clips(1, seed=1)
    paths = list(write_clips(drawn, tmp_path))
    examples = read_examples(str(tmp_path / "captions.jsonl"))
    assert [(e.clip.source_video, e.caption) for e in examples.usable] == [
        (str(path), clip.caption) for path, clip in zip(paths, drawn, strict=True)
    ]


def test_sources_that_hold_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="neither `synthetic` nor a folder nor a file of rows"):
        read_examples(str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="there are no video files in this folder"):
        read_examples(str(tmp_path))


def test_rows_that_are_none_are_skipped_and_counted(tmp_path: Path) -> None:
    lines = [
        '{"file": "v1.mp4", "caption": NaN}',
        '{"file": "v2.mp4", "caption": ["a", "b"]}',
        '{"file": "v3.mp4", "caption": 3}',
        "",
        '{"file": "v4.mp4", "caption": null}',
        '{"file": "v5.mp4"}',
        '{"file": "v6.mp4", "caption": "ok"}',
        '{"caption": "whose?"}',
        '{"file": 7, "caption": "c"}',
        '{"file": "v7.mp4", "caption": "c", "start_s": "soon"}',
        '{"file": "v8.mp4", "caption": "c", "start_s": 3, "end_s": 2}',
        '{"file": "v9.mp4", "caption": "c", "start_s": NaN, "end_s": null}',
        '["no row"]',
        "no json",
        '{"file": "v10.mp4", "caption": {"text": "c"}}',
        '{"file": "https://host/v11.mp4", "caption": "far"}',
        "  ",
        '{"file": "v12.mp4", "caption": " "}',
        "last",
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("\ufeff" + "\n".join(lines), encoding="utf-8")
    examples = read_examples(str(path))
    assert [(e.clip.source_video, e.caption, e.clip.start_s, e.clip.end_s) for e in examples.usable] == [
        (str(tmp_path / "v6.mp4"), "ok", 0.0, None),
        (str(tmp_path / "v9.mp4"), "c", 0.0, None),
        ("https://host/v11.mp4", "far", 0.0, None),
    ]
    assert len(examples.skipped) == sum(bool(line.strip()) for line in lines) - 3
    said = " | ".join(f"{source}: {reason}" for source, reason in examples.skipped)
    for part in (
        "it has no caption",
        "caption is ['a', 'b'], not",
        "caption is 3, not",
        "file is 7",
        "'soon'",
        "has neither",
    ):
        assert part in said


def test_rows_from_pandas(tmp_path: Path) -> None:
    """What ``DataFrame.to_parquet`` makes of missing values: NaN in columns of numbers, null in those of text."""
    table = pa.table(
        {
            "file": ["a.mp4", "b.mp4", None],
            "caption": ["A.", None, "C."],
            "end_s": pa.array([float("nan"), 2.0, 3.0]),
        }
    )
    pq.write_table(table, tmp_path / "rows.parquet")
    examples = read_examples(str(tmp_path / "rows.parquet"))
    assert [(e.clip.source_video, e.clip.end_s) for e in examples.usable] == [(str(tmp_path / "a.mp4"), None)]
    assert len(examples.skipped) == 2


def test_captions_with_a_mark_and_in_other_encodings(clips: Path) -> None:
    (clips / "0.txt").write_text("Ein Hund läuft.\n", encoding="utf-8-sig")
    (clips / "1.txt").write_text("UTF-16", encoding="utf-16")
    (clips / "2.txt").write_bytes(b"caf\xe9")
    examples = read_examples(str(clips))
    assert examples.usable[0].caption == "Ein Hund läuft."
    reasons = {Path(source).name: reason for source, reason in examples.skipped}
    assert reasons["1.mp4"].endswith("1.txt: is UTF-16; save it as UTF-8")
    assert "2.txt: is not UTF-8" in reasons["2.mp4"]


def test_long_captions(clips: Path, checkpoint: Path) -> None:
    tokenizer = CaptionTokenizer(checkpoint)
    lengths = [len(tokenizer.encode(caption)) for caption in CAPTIONS]
    longest = max(lengths)
    examples = read_examples(str(clips))
    drop_long_captions(examples, tokenizer, longest)
    assert (len(examples.usable), examples.skipped) == (6, [])
    drop_long_captions(examples, tokenizer, longest - 1)
    assert len(examples.usable) == sum(length < longest for length in lengths)
    assert {reason for _, reason in examples.skipped} == {
        f"the caption has {longest} tokens, more than max_caption_tokens = {longest - 1}"
    }


def test_unreadable_clips_are_reported_once_and_replaced(
    clips: Path, checkpoint: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("1.mp4", "4.mp4"):
        (clips / name).write_bytes(b"no video")
    settings = small_settings(clips, data=str(clips), model=str(checkpoint), batch_size=3)
    tokenizer = CaptionTokenizer(checkpoint)
    prompts = PromptBuilder(tokenizer, bos_token_id=0, eos_token_id=1, slot_token_id=2, tokens_per_frame=6)
    examples = read_examples(str(clips))
    batches = ClipBatches(examples, prompts, settings, image_size=28)
    with caplog.at_level(logging.WARNING, "framescribe"):
        drawn = list(batches.batches(range(4)))
    assert [len(batch.clip_ids) for batch in drawn] == [3] * 4
    readable = {e.clip.id for e in examples.usable if Path(e.clip.source_video).stem not in "14"}
    assert {clip_id for batch in drawn for clip_id in batch.clip_ids} == readable
    assert sorted(Path(source).name for source, _ in examples.skipped) == ["1.mp4", "4.mp4"]
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 2
    # Resumed at any batch, the batches are the same.
    again = list(ClipBatches(read_examples(str(clips)), prompts, settings, 28).batches(range(2, 4)))
    assert [batch.clip_ids for batch in again] == [batch.clip_ids for batch in drawn[2:]]
    # One by one, as for validation: those that can be read, each once.
    assert [batch.clip_ids[0] for batch in batches.one_by_one()] == [
        e.clip.id for e in examples.usable if e.clip.id in readable
    ]


def test_training_stops_where_nothing_is_left(clips: Path, checkpoint: Path, tmp_path: Path) -> None:
    settings = small_settings(tmp_path, data=str(clips), model=str(checkpoint))
    for path in clips.glob("*.mp4"):
        path.write_bytes(b"no video")
    with pytest.raises(ValueError, match="none of the clips can be read: nothing is left to train on"):
        run_training(settings, tmp_path / "a")
    for path in clips.glob("*.txt"):
        path.unlink()
    with pytest.raises(ValueError, match="nothing is left to train on; see what was skipped above"):
        run_training(settings, tmp_path / "b")
