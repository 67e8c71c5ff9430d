"""Clips made ready for an export: spans cut out, whole videos made anew, each once, whatever hangs."""

import json
import os
import time
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from framescribe.errors import UsageError
from framescribe.export.layout import LAYOUTS
from framescribe.export.run import export
from framescribe.export.target import REPORT
from framescribe.video.normalize import Normalize
from tests import awkward
from tests.awkward import grey
from tests.export.conftest import of_any_length, row
from tests.export.loaders import LOADERS

LTX = of_any_length(LAYOUTS["ltx"])


@pytest.fixture
def long(tmp_path) -> Path:
    """Four seconds at eight frames per second."""
    (tmp_path / "source").mkdir()
    return awkward.video(tmp_path / "source" / "long.mp4", pts=range(32), sound_s=4.0)


def spans(source: Path) -> list[dict]:
    times = [(0.0, 1.0), (1.0, 2.5), (0.5, 1.5), (2.5, None), (0.0, None)]
    return [
        row(number, source, f"Span {number}.", start_s=start_s, end_s=end_s)
        for number, (start_s, end_s) in enumerate(times)
    ]


def levels(content: bytes, folder: Path) -> list[float]:
    """The grey of each frame of a clip."""
    path = folder / "one.mp4"
    path.write_bytes(content)
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24")[-4, -4].mean() for frame in container.decode(video=0)]


@pytest.mark.parametrize("name", LAYOUTS)
def test_spans_are_cut_out_with_their_captions(name, long, tmp_path):
    report = export(spans(long), of_any_length(LAYOUTS[name]), tmp_path / "set")
    assert report.left_out == []
    found = {caption: content for content, caption in LOADERS[name](tmp_path / "set")}
    for number, (first, count) in enumerate([(0, 8), (8, 12), (4, 8), (20, 12), (0, 32)]):
        expected = [grey(first + at) for at in range(count)]
        assert levels(found[f"Span {number}."], tmp_path) == pytest.approx(expected, abs=4)
    assert sorted(path.name for path in (tmp_path / "set").iterdir() if path.name.startswith(".")) == [
        ".framescribe"
    ]


def test_what_is_asked_twice_is_cut_once_and_kept_on_request(long, tmp_path):
    twice = [row(0, long, "One.", start_s=1.0, end_s=2.0), row(1, long, "Two.", start_s=1.0, end_s=2.0)]
    keep = tmp_path / "kept"
    keep.mkdir()
    export(twice, LTX, tmp_path / "set", keep_clips=keep)
    (kept,) = keep.iterdir()
    made_ns = kept.stat().st_mtime_ns
    contents = {content for content, _ in LOADERS["ltx"](tmp_path / "set")}
    assert contents == {kept.read_bytes()}
    export(twice, LAYOUTS["diffsynth"], tmp_path / "other", keep_clips=keep)
    assert [path.stat().st_mtime_ns for path in keep.iterdir()] == [made_ns]
    os.utime(long, ns=(1, 1))  # another video under this name is another clip
    export(twice, LTX, tmp_path / "again", keep_clips=keep)
    assert len(list(keep.iterdir())) == 2
    small = Normalize(size=(32, 32))
    export(
        twice, LTX, tmp_path / "small", keep_clips=keep, normalize=small
    )  # nor is another form the same clip
    assert len(list(keep.iterdir())) == 3


def test_one_span_of_many_clips_outlives_each_of_them(long, tmp_path):
    """More of them than are made in one reading: one group's files do not go with another's."""
    many = [row(at, long, f"Span {at}.", start_s=1.0, end_s=1.5) for at in range(70)]
    report = export(many, LTX, tmp_path / "set", accepted_flags=["duplicate"])
    assert (report.exported, report.left_out) == (70, [])


def test_whole_videos_and_spans_are_made_anew(long, tmp_path):
    """By ffprobe 5.1 of the two files: 32x16, 25/1, yuv420p, 49 frames (1.96 s) and 97 (3.88 s)."""
    rows = [row(0, long, "Span.", start_s=1.0, end_s=3.0), row(1, long, "Whole.")]
    wanted = Normalize(fps=25, size=(32, 16), frame_step=8)
    report = export(rows, LTX, tmp_path / "set", link="symlink", normalize=wanted)
    assert report.left_out == []
    counts = {}
    for content, caption in LOADERS["ltx"](tmp_path / "set"):
        (tmp_path / "one.mp4").write_bytes(content)
        with av.open(str(tmp_path / "one.mp4")) as container:
            stream = container.streams.video[0]
            assert (stream.width, stream.height, stream.pix_fmt) == (32, 16, "yuv420p")
            assert stream.average_rate == Fraction(25)
            assert not container.streams.audio
            counts[caption] = sum(1 for _ in container.decode(stream))
    assert counts == {"Span.": 49, "Whole.": 97}
    told = json.loads((tmp_path / "set" / REPORT).read_text(encoding="utf-8"))
    assert told["normalize"] == asdict(wanted) | {"size": [32, 16], "side_step": 16}
    assert not any(path.is_symlink() for path in (tmp_path / "set").rglob("*"))


def test_what_the_trainer_cannot_read_is_made_so_that_it_can(tmp_path):
    (tmp_path / "source").mkdir()
    awkward.video(tmp_path / "source" / "a.gif", "gif", pix_fmt="rgb8")
    rows = [row(0, tmp_path / "source" / "a.gif", "A gif.")]
    with pytest.raises(UsageError, match=r"reads no \.gif"):
        export(rows, LAYOUTS["llava"], tmp_path / "set")
    report = export(rows, LAYOUTS["llava"], tmp_path / "set", normalize=Normalize())
    assert (report.exported, report.left_out) == (1, [])
    assert [path.suffix for path in (tmp_path / "set/videos").iterdir()] == [".mp4"]


def test_one_that_cannot_be_made_is_left_out_and_said(long, tmp_path):
    for name in ("hdr", "good"):
        with av.open(str(tmp_path / "source" / f"{name}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=8)
            stream.width, stream.height = 64, 48
            stream.pix_fmt = "yuv420p10le" if name == "hdr" else "yuv420p"
            if name == "hdr":
                stream.codec_context.color_trc = 16
            picture = np.zeros((48, 64, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
            container.mux(stream.encode(None))
    (tmp_path / "source" / "broken.mp4").write_bytes(b"no video")
    rows = [
        row(at, tmp_path / "source" / f"{name}.mp4", name)
        for at, name in enumerate(("hdr", "broken", "good"))
    ]
    report = export(rows, LTX, tmp_path / "set", normalize=Normalize())
    assert report.exported == 1
    assert {(Path(each.source_video).stem, each.reason) for each in report.left_out} == {
        ("hdr", "it cannot be cut out or made anew"),
        ("broken", "the clip's file cannot be read"),
    }
    assert "HDR (PQ)" in report.left_out[-1].detail


def test_a_video_that_makes_no_progress_is_given_up(long, tmp_path):
    start_s = time.monotonic()
    with pytest.raises(UsageError, match="2 the clip's file cannot be read"):
        export(spans(long)[:2], LTX, tmp_path / "set", decode_timeout_s=1e-6)
    assert time.monotonic() - start_s < 100  # by itself a clip may take 120 s
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]
    assert export(spans(long)[:2], LTX, tmp_path / "set").exported == 2


def test_first_frames_beside_the_clips(long, tmp_path):
    """Of the span's first moment, and as large as the clip; in the list that the trainer reads beside the others."""
    small = Normalize(size=(48, 32))
    export(spans(long)[:4], "cogvideo-finetune", tmp_path / "set", normalize=small, first_frames=True)
    images = (tmp_path / "set/images.txt").read_text().splitlines()
    videos = (tmp_path / "set/videos.txt").read_text().splitlines()
    assert [Path(image).stem for image in images] == [Path(video).stem for video in videos]
    shown = {}
    for image, caption in zip(images, (tmp_path / "set/prompts.txt").read_text().splitlines(), strict=True):
        with av.open(str(tmp_path / "set" / image)) as file:
            picture = next(file.decode(video=0)).to_ndarray(format="rgb24")
        assert picture.shape == (32, 48, 3)
        shown[caption] = picture[-4, -4].mean()
    assert shown == pytest.approx(
        {"Span 0.": grey(0), "Span 1.": grey(8), "Span 2.": grey(4), "Span 3.": grey(20)}, abs=4
    )
    with pytest.raises(UsageError, match="no place for first frames"):
        export(spans(long), LTX, tmp_path / "other", first_frames=True)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_trainer_has_a_form_that_it_reads(name, tmp_path):
    """A lying 10-bit video of 67x51 with 121 uneven frames becomes one that the trainer takes."""
    (tmp_path / "source").mkdir()
    source = tmp_path / "source" / "awkward.mkv"
    awkward.video(source, "ffv1", size=(66, 50), pts=[42 * n + n % 3 for n in range(160)], ticks_per_s=1000)
    reads = LAYOUTS[name].reads
    layout = replace(LAYOUTS[name], reads=replace(reads, min_frames=1, min_s=0, max_s=60, window=None))
    report = export([row(0, source, "A clip.")], layout, tmp_path / "set", normalize=Normalize())
    assert report.left_out == []
    ((content, _),) = LOADERS[name](tmp_path / "set")
    (tmp_path / "one.mp4").write_bytes(content)
    with av.open(str(tmp_path / "one.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.width % reads.side_step, stream.height % reads.side_step) == (0, 0)
        assert stream.average_rate == pytest.approx(Fraction(reads.fps or stream.average_rate))
        assert sum(1 for _ in container.decode(stream)) % reads.frame_step == (
            1 if reads.frame_step > 1 else 0
        )
