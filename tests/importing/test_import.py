"""Captions that were made elsewhere become rows, once, for the clips that `caption` knows them by."""

import io
import json
import shutil
import tarfile
from pathlib import Path

import av
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import framescribe
from framescribe import CaptionSettings, Dataset, GenerationSettings, import_captions
from framescribe.dataset.store import RowFolder
from framescribe.errors import UsageError
from framescribe.export.run import export
from framescribe.pipeline.sources import expand_sources
from framescribe.video.address import split_member
from tests.cli.run import invoke
from tests.export.conftest import LAYOUTS, expected, rows  # noqa: F401 - fixtures
from tests.reference import CLIPS

SHORT = CLIPS / "short-half-second.mp4"


@pytest.fixture
def videos(tmp_path) -> Path:
    """Four clips in two folders."""
    folder = tmp_path / "videos"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.mp4", "b.mp4", "sub/c.mp4", "sub/d.mp4"):
        shutil.copy(SHORT, folder / name)
    return folder


def found(out) -> dict[str, str]:
    return {Path(each["source_video"]).name: each["caption"] for each in Dataset(out)}


def content(source: str) -> bytes:
    member = split_member(source)
    if member is None:
        return Path(source).read_bytes()
    with tarfile.open(member[0]) as tar:
        return tar.extractfile(member[1]).read()


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_was_exported_is_imported_again(name, rows, expected, tmp_path):  # noqa: F811
    export(rows, LAYOUTS[name], tmp_path / "set")
    summary = import_captions(tmp_path / "set", tmp_path / "out", probe_videos=False)
    assert summary.problems == []
    read = list(Dataset(tmp_path / "out"))
    assert sorted((content(each["source_video"]), each["caption"]) for each in read) == expected
    again = import_captions(tmp_path / "set", tmp_path / "out", probe_videos=False)
    assert (again.added, again.changed, again.unchanged) == (0, 0, len(expected))
    assert RowFolder(str(tmp_path / "out")).table.num_rows() == len(expected)


def test_texts_beside_videos_and_the_rest_is_captioned_into_the_same_folder(videos, tmp_path):
    (videos / "a.txt").write_text("A first clip.\n", encoding="utf-8")
    (videos / "sub/c.txt").write_bytes("\ufeffDünen, 砂丘.\r\n".encode())
    out = tmp_path / "out"
    summary = import_captions(videos, out, model="a person")
    assert str(summary) == "2 captions imported, 2 without a caption"
    first = next(Dataset(out).rows("caption LIKE 'A first%'"))
    assert first["imported_from"] == str(videos / "a.txt")
    assert (first["model"], first["seed"], first["caption_status"]) == ("a person", None, "success")

    settings = CaptionSettings(generation=GenerationSettings(max_new_tokens=3), repair=False)
    quick = {"model": "tiny-random", "settings": settings, "progress": False}
    assert framescribe.caption(videos, out, **quick).rows == 2
    assert framescribe.caption(videos, out, **quick).rows == 0
    assert len(list(Dataset(out))) == 4
    assert {"a.mp4": "A first clip.", "c.mp4": "Dünen, 砂丘."}.items() <= found(out).items()
    (videos / "b.txt").write_text("Not in the place of what a run made.")
    assert import_captions(videos, out).kept == 1
    assert import_captions(videos, out, replace=True).changed == 1
    assert found(out)["b.mp4"].startswith("Not in")
    assert framescribe.caption(videos, out, redo="imported", new_run=True, **quick).rows == 3
    assert Dataset(out).count("imported_from IS NOT NULL") == 0


def test_a_text_that_was_changed_becomes_a_new_row(videos, tmp_path):
    (videos / "a.txt").write_text("First.")
    import_captions(videos, tmp_path / "out")
    (videos / "a.txt").write_text("Second.")
    assert import_captions(videos, tmp_path / "out").changed == 1
    assert found(tmp_path / "out") == {"a.mp4": "Second."}


ENTRIES = [
    {"path": "a.mp4", "caption": "One, with a \"quote\"\nand a break.", "model": "m1", "score": 3.5},
    {"path": "sub/c.mp4", "caption": "Two 🐈.", "model": None, "score": None},
    {"path": "b.mp4", "caption": None, "model": "m1", "score": 1.0},
]  # fmt: skip


def write_entries(path: Path) -> None:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(each) + "\n" for each in ENTRIES))
    elif path.suffix == ".json":
        path.write_text(json.dumps(ENTRIES))
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(ENTRIES), path)
    else:
        import csv

        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ENTRIES[0])
            writer.writeheader()
            writer.writerows(ENTRIES)


@pytest.mark.parametrize("ending", [".jsonl", ".json", ".csv", ".parquet"])
def test_files_of_entries(ending, videos, tmp_path):
    path = videos / f"captions{ending}"
    write_entries(path)
    out = tmp_path / "out"
    for source in (path, videos):  # the folder is the same as its file
        summary = import_captions(source, out, model="m2", probe_videos=False)
        assert (summary.without_caption, summary.unusable) == (1, 0)
    assert found(out) == {"a.mp4": ENTRIES[0]["caption"], "c.mp4": "Two 🐈."}
    assert {each["model"] for each in Dataset(out)} == {"m1", "m2"}
    assert {each["clip_id"] for each in Dataset(out)} <= {clip.id for clip in expand_sources([str(videos)])}
    if ending != ".parquet":
        assert summary.dropped == {"score"}


def test_spans_ids_questions_and_another_column(videos, tmp_path):
    lines = [
        {
            "video": "a.mp4",
            "start_s": 0.1,
            "end_s": 0.3,
            "short": "A span.",
            "prompt": "What is it?",
            "caption": "no",
        },
        {"video": "a.mp4", "id": "mine", "short": "The whole."},
    ]
    path = videos / "list.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))
    import_captions(path, tmp_path / "out", caption_column="short")
    one, two = Dataset(tmp_path / "out")
    assert (one["caption"], one["start_s"], one["end_s"], one["prompt"]) == (
        "A span.",
        0.1,
        0.3,
        "What is it?",
    )
    assert one["clip_id"] == framescribe.Clip(str(videos / "a.mp4"), 0.1, 0.3).id
    assert (two["caption"], two["clip_id"]) == ("The whole.", "mine")
    assert two["imported_from"] == f"{path}:2"


def test_what_cannot_be_used_is_said_line_by_line_and_the_rest_goes_on(videos, tmp_path):
    lines = [
        {"path": "gone.mp4", "caption": "No such video."},
        {"path": "a.mp4", "caption": 5},
        {"path": "a.mp4", "caption": "x" * 100_001},
        "no object",
        {"path": "a.mp4", "words": "no caption"},
        {"path": ["a.mp4"], "caption": "odd"},
        {"path": "b.mp4", "caption": float("nan")},
        {"path": "a.mp4", "caption": "Good."},
        {"path": "a.mp4", "caption": "Another."},
        {"path": "a.mp4", "caption": "Good."},
        {"path": "sub/c.mp4", "caption": "<script>alert(1)</script>\x1b[31m"},
    ]
    path = videos / "list.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in lines) + "{broken\n")
    summary = import_captions(path, tmp_path / "out")
    assert found(tmp_path / "out") == {"a.mp4": "Good.", "c.mp4": "<script>alert(1)</script>\x1b[31m"}
    assert (summary.added, summary.without_caption, summary.unusable) == (2, 1, 8)
    reasons = [problem.removeprefix(f"{path}:") for problem in summary.problems]
    for reason, (line, words) in zip(
        reasons,
        [
            (1, "there is no video"), (2, "is 5, no text"), (3, "at most 100,000"), (4, "not a JSON object"),
            (5, "it has no path"), (6, "a path or URL is needed"), (9, "another caption of this clip"),
            (12, "is not JSON"),
        ],
        strict=True,
    ):  # fmt: skip
        assert reason.startswith(f"{line}: ")
        assert words in reason


@pytest.mark.parametrize(
    "text",
    [b"\xff\xfeU\x00T\x00F\x00", b"caf\xe9", b"x" * ((1 << 20) + 1)],
    ids=["UTF-16", "Latin-1", "huge"],  # else a megabyte in the environment of what the test starts
)
def test_texts_in_other_encodings_and_huge_ones_are_refused_alone(text, videos, tmp_path):
    (videos / "a.txt").write_bytes(text)
    (videos / "b.txt").write_text("Good.")
    summary = import_captions(videos, tmp_path / "out")
    assert found(tmp_path / "out") == {"b.mp4": "Good."}
    assert summary.unusable == 1
    assert "a.txt" in summary.problems[0] or "a.mp4" in summary.problems[0]


def test_rows_have_the_facts_of_their_videos_unless_those_are_not_opened(videos, tmp_path):
    lines = [
        {"path": "a.mp4", "start_s": 0.1, "end_s": 0.3, "caption": "A span."},
        {"path": "b.mp4", "caption": "Whole."},
    ]
    (videos / "captions.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines))
    import_captions(videos / "captions.jsonl", tmp_path / "out")
    span, whole = Dataset(tmp_path / "out")
    with av.open(str(SHORT)) as container:
        stream = container.streams.video[0]
        expected = stream.width, stream.height, float(stream.average_rate)
        duration_s = float(stream.duration * stream.time_base)
    assert [(each["width"], each["height"], each["fps"]) for each in (span, whole)] == [expected] * 2
    assert whole["duration_s"] == pytest.approx(duration_s)
    assert span["duration_s"] == pytest.approx(0.2, abs=1 / expected[2])
    assert (whole["codec"], whole["missing_s"]) == ("h264", 0)
    import_captions(videos / "captions.jsonl", tmp_path / "unopened", probe_videos=False)
    assert {
        (each["width"], each["duration_s"], each["codec"]) for each in Dataset(tmp_path / "unopened")
    } == {(None, None, None)}


def test_what_is_no_video_is_said_and_the_rest_goes_on(videos, tmp_path):
    (videos / "a.mp4").write_bytes(b"no video at all")
    (videos / "b.mp4").write_bytes(SHORT.read_bytes()[:500])
    (videos / "sub/d.mp4").write_text("without a caption")
    for name in ("a", "b", "sub/c"):
        (videos / f"{name}.txt").write_text("A caption.")
    summary = import_captions(videos, tmp_path / "out")
    assert found(tmp_path / "out") == {"c.mp4": "A caption."}
    assert (summary.added, summary.without_caption, summary.unusable) == (1, 0, 3)
    result = invoke("import", "/etc/passwd", "-o", tmp_path / "secret")
    assert result.exit_code == 1
    assert "/etc/passwd: cannot be read as a video file" in result.stderr
    assert not RowFolder(str(tmp_path / "secret")).table.shards()


def test_a_tar_with_texts_in_it(tmp_path):
    with tarfile.open(tmp_path / "set.tar", "w") as tar:
        for name, data in [
            ("k.mp4", SHORT.read_bytes()),
            ("k.txt", b"In a tar."),
            ("l.mp4", SHORT.read_bytes()),
        ]:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    assert (
        str(import_captions(tmp_path / "set.tar", tmp_path / "out"))
        == "1 captions imported, 1 without a caption"
    )
    (only,) = Dataset(tmp_path / "out")
    assert only["imported_from"] == f"{tmp_path / 'set.tar'}::k.txt"
    assert only["clip_id"] in {clip.id for clip in expand_sources([str(tmp_path / "set.tar")])}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "nothing", "there is no such file or folder"),
        (lambda folder: folder, "there are no video files"),
        (lambda folder: (folder / "list.txt").write_text("a.mp4") and folder / "list.txt", "has no captions"),
        (
            lambda folder: (folder / "x.csv").write_text("a,b\n1,2\n") and folder / "x.csv",
            "no column of paths",
        ),
        (lambda folder: (folder / "x.json").write_text('{"a": 1}') and folder / "x.json", "no JSON list"),
        (
            lambda folder: (folder / "x.json").write_text("[" * 100_000) and folder / "x.json",
            "cannot be read",
        ),
        (lambda folder: [], "nothing to import"),
    ],
)
def test_sources_that_are_none_are_refused_before_anything_is_made(make, message, tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(UsageError, match=message):
        import_captions(make(tmp_path / "in"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command(videos, tmp_path):
    (videos / "a.txt").write_text("Good.")
    (videos / "b.txt").write_bytes(b"\xff\xfe")
    result = invoke("import", videos, "-o", tmp_path / "out", "--model", "me")
    assert result.exit_code == 1
    assert "1 captions imported, 2 without a caption, 1 unusable" in " ".join(result.stdout.split())
    assert "b.mp4" in result.stderr
