"""Clips made anew: what is in the file, which picture is shown when, and where it lies.

Expected numbers were taken from ffprobe 5.1 on the files that this makes:
ffprobe -v error -count_frames -show_entries stream=width,height,pix_fmt,avg_frame_rate,nb_read_frames,duration
"""

import math
from fractions import Fraction

import av
import numpy as np
import pytest

from framescribe.errors import ClipError
from framescribe.types import Clip
from framescribe.video.normalize import Normalize, geometry
from framescribe.video.spans import Cut
from framescribe.video.transcode import normalize_clips
from tests.awkward import AWKWARD, grey, make, video
from tests.awkward.making import turn
from tests.video.steps import finished

RED = (200, 30, 30)


def made(clip, wanted, *cuts):
    return finished(normalize_clips(clip, cuts, wanted))


def contents(path):
    """What the file's own decoder gives: facts and pictures uint8 [T, H, W, 3]."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        facts = {
            "codec": stream.codec_context.codec.canonical_name,
            "pix_fmt": stream.codec_context.pix_fmt,
            "size": (stream.width, stream.height),
            "fps": stream.average_rate,
            "pixel_aspect": stream.sample_aspect_ratio,
            "times": [float(frame.time) for frame in frames],
            "sound": [(each.codec_context.name, each.rate) for each in container.streams.audio],
            "matrix": int(frames[0].colorspace),
        }
    return facts, np.stack([frame.to_ndarray(format="rgb24") for frame in frames])


def levels(pictures):
    """The grey in each picture's lower right."""
    height, width = pictures.shape[1:3]
    return pictures[:, height * 3 // 4, width * 3 // 4].mean(-1)


def test_a_file_as_trainers_want_it(tmp_path):
    source = video(tmp_path / "source.mkv", size=(72, 54), pix_fmt="yuv444p", sound_s=3.0)
    path = tmp_path / "made.mp4"
    wanted = Normalize(fps=16, frame_step=4, side_step=16, keep_audio=True)
    assert made(Clip(str(source)), wanted, Cut(path)) == {}
    facts, pictures = contents(path)
    # ffprobe: h264, 64x48, yuv420p, 16/1, 45 frames, 2.812500; aac 16000, 2.812
    said = (facts["codec"], facts["pix_fmt"], facts["size"], facts["fps"])
    assert said == ("h264", "yuv420p", (64, 48), 16)
    assert facts["times"] == pytest.approx(np.arange(45) / 16)
    assert facts["sound"] == [("aac", 16000)]
    assert not facts["pixel_aspect"] or facts["pixel_aspect"] == 1
    assert levels(pictures) == pytest.approx([grey(number // 2) for number in range(45)], abs=3)
    assert pictures[0, 10, 10] == pytest.approx(RED, abs=6)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["made.mp4", "source.mkv"]


def test_each_moment_shows_what_a_player_shows(tmp_path):
    """A variable rate, and a picture held for two seconds: the latest one by then, at every tick."""
    shown_ms = [0, 100, 133, 400, 433, 2433, 2500, 2600]
    source = video(tmp_path / "vfr.mkv", pts=shown_ms, ticks_per_s=1000)
    made(Clip(str(source)), Normalize(fps=10), Cut(tmp_path / "made.mp4"))
    _, pictures = contents(tmp_path / "made.mp4")
    number = np.searchsorted(shown_ms, np.arange(len(pictures)) * 100, side="right") - 1
    assert number.tolist()[:6] == [0, 1, 2, 2, 3, 4]
    assert levels(pictures) == pytest.approx([grey(each) for each in number], abs=3)
    assert len(pictures) in (27, 28)  # 2.6 s and the last frame's length, which the file does not say


def test_times_that_the_container_rounds_neither_double_nor_drop_a_frame(tmp_path):
    source = video(tmp_path / "ms.mkv", pts=[round(n * 1000 / 30) for n in range(24)], ticks_per_s=1000)
    made(Clip(str(source)), Normalize(fps=30), Cut(tmp_path / "made.mp4"))
    _, pictures = contents(tmp_path / "made.mp4")
    assert levels(pictures)[:23] == pytest.approx([grey(number) for number in range(23)], abs=3)


def test_spans_in_one_reading(tmp_path):
    source = video(tmp_path / "source.mp4", pts=range(32))
    spans = {
        "a": (0.5, 1.5),
        "b": (1.0, 2.0),
        "held": (1.06, 1.56),
        "end": (3.5, None),
        "beyond": (9.0, 10.0),
    }
    cuts = [Cut(tmp_path / f"{name}.mp4", *span) for name, span in spans.items()]
    problems = made(Clip(str(source)), Normalize(), *cuts)
    assert list(problems) == [tmp_path / "beyond.mp4"]
    assert "the video has 4 s" in problems[tmp_path / "beyond.mp4"]
    first = {"a": 4, "b": 8, "held": 8, "end": 28}
    for name, count in {"a": 8, "b": 8, "held": 4, "end": 4}.items():
        facts, pictures = contents(tmp_path / f"{name}.mp4")
        assert facts["times"] == pytest.approx(np.arange(count) / 8)
        assert levels(pictures) == pytest.approx([grey(first[name] + n) for n in range(count)], abs=3)


@pytest.mark.parametrize(("turns", "corner"), [(1, (0, -1)), (2, (-1, -1)), (3, (-1, 0))])
def test_turned_files_are_upright_and_say_no_more_of_it(tmp_path, turns, corner):
    turn(video(tmp_path / "source.mp4"), turns)
    made(Clip(str(tmp_path / "source.mp4")), Normalize(), Cut(tmp_path / "made.mp4"))
    facts, pictures = contents(tmp_path / "made.mp4")
    assert facts["size"] == ((48, 64) if turns % 2 else (64, 48))
    assert pictures[0][corner] == pytest.approx(RED, abs=6)
    with av.open(str(tmp_path / "made.mp4")) as container:
        assert next(container.decode(video=0)).rotation == 0


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_another_shape_without_distortion(tmp_path, fit):
    """A square of 32 in the middle of 96x64 stays a square; 64x64 takes the middle, or all between black bars."""
    picture = np.full((64, 96, 3), 120, np.uint8)
    picture[16:48, 32:64] = (30, 60, 200)
    with av.open(str(tmp_path / "source.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=8, options={"crf": "4"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv444p"
        for _ in range(8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    made(Clip(str(tmp_path / "source.mp4")), Normalize(size=(64, 64), fit=fit), Cut(tmp_path / "made.mp4"))
    _, pictures = contents(tmp_path / "made.mp4")
    blue = pictures[0, :, :, 2].astype(int) - pictures[0, :, :, 0] > 85
    rows, columns = np.nonzero(blue)
    box = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
    # Of 96x64 crop keeps 64x64 unscaled; pad scales by two thirds: 64x42, 11 above, a square of 21.
    assert box == pytest.approx((16, 48, 16, 48) if fit == "crop" else (21, 43, 21, 43), abs=1)
    assert pictures[0, 2, 32].mean() == pytest.approx(120 if fit == "crop" else 0, abs=6)


def test_pixels_that_are_not_square(tmp_path):
    to = geometry((720, 576), Fraction(64, 45), 0, Normalize())
    assert (to.scaled, to.size) == ((1024, 576), (1024, 576))
    to = geometry((1440, 1080), Fraction(4, 3), 1, Normalize(side_step=16))
    assert (to.scaled, to.size) == ((1080, 1920), (1072, 1920))
    to = geometry((64, 64), Fraction(1, 2), 0, Normalize(size=(64, 64), fit="pad"))
    assert (to.scaled, to.placed) == ((32, 64), (16, 0))


def test_colours_of_every_matrix_and_range_stay(tmp_path):
    """Files tagged BT.709, BT.601 and full range, of one colour: all read the same, with the tags and without."""
    colour = np.broadcast_to(np.array((200, 30, 40), np.uint8), (32, 32, 3))
    for name, matrix, number, color_range in [
        ("709", "ITU709", 1, 1),
        ("601", "ITU601", 6, 1),
        ("full", "ITU601", 6, 2),
    ]:
        with av.open(str(tmp_path / f"{name}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=8, options={"crf": "4"})
            stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
            stream.codec_context.colorspace, stream.codec_context.color_range = number, color_range
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(colour), "rgb24")
            frame = frame.reformat(
                format="yuv420p",
                dst_colorspace=matrix,
                dst_color_range="JPEG" if color_range == 2 else "MPEG",
            )
            frame.pict_type = 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        made(Clip(str(tmp_path / f"{name}.mp4")), Normalize(), Cut(tmp_path / f"made-{name}.mp4"))
        with av.open(str(tmp_path / f"made-{name}.mp4")) as container:
            frame = next(container.decode(video=0))
            assert (int(frame.colorspace), int(frame.color_range)) == (6, 1)
            planes = frame.to_ndarray(format="yuv420p")
        # BT.601, limited: Y = 16 + 65.738 R + 129.057 G + 25.064 B (of 256), and so on
        luma = 16 + (65.738 * 200 + 129.057 * 30 + 25.064 * 40) / 256
        blue = 128 + (-37.945 * 200 - 74.494 * 30 + 112.439 * 40) / 256
        red = 128 + (112.439 * 200 - 94.154 * 30 - 18.285 * 40) / 256
        assert planes[:32].mean() == pytest.approx(luma, abs=2), name
        assert planes[32:40].mean() == pytest.approx(blue, abs=2), name
        assert planes[40:48].mean() == pytest.approx(red, abs=2), name


def test_sound_stays_in_step(tmp_path):
    """A beep from 1.5 s to 2 s is where the span has it; before and behind is silence."""
    rate = 16000
    times = np.arange(3 * rate) / rate
    beep = np.where((times >= 1.5) & (times < 2.0), np.sin(2 * math.pi * 440 * times), 0).astype(np.float32)
    with av.open(str(tmp_path / "source.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        sound = container.add_stream("aac", rate=rate, layout="mono")
        for number in range(24):
            picture = np.full((32, 32, 3), grey(number), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        for start in range(0, len(beep), 1024):
            piece = np.ascontiguousarray(beep[None, start : start + 1024])
            frame = av.AudioFrame.from_ndarray(piece, "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    made(Clip(str(tmp_path / "source.mp4")), Normalize(keep_audio=True), Cut(tmp_path / "made.mp4", 1.0, 2.5))
    with av.open(str(tmp_path / "made.mp4")) as container:
        frames = list(container.decode(audio=0))
    heard = np.zeros(round(1.5 * rate) + 4096, np.float32)
    for frame in frames:
        at = round(frame.time * rate)
        samples = frame.to_ndarray()[0]
        if at < 0:
            samples, at = samples[-at:], 0
        heard[at : at + len(samples)] = samples
    (loud,) = np.nonzero(np.abs(heard) > 0.2)
    assert loud[0] / rate == pytest.approx(0.5, abs=0.02)
    assert loud[-1] / rate == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused_and_said(transfer, name, tmp_path):
    with av.open(str(tmp_path / "hdr.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p10le"
        stream.codec_context.color_trc, stream.codec_context.colorspace = transfer, 9
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    problems = made(Clip(str(tmp_path / "hdr.mp4")), Normalize(), Cut(tmp_path / "made.mp4"))
    assert f"HDR ({name})" in problems[tmp_path / "made.mp4"]
    assert [each.name for each in tmp_path.iterdir()] == ["hdr.mp4"]


@pytest.mark.parametrize("name", [name for name, each in AWKWARD.items()])
def test_awkward_videos(name, tmp_path):
    """Whatever can be captioned can be made anew; what cannot is an error or a reason, and leaves nothing behind."""
    clip = make(name, tmp_path)
    path = tmp_path / "made.mp4"
    wanted = Normalize(fps=16, size=(64, 48), frames=81, frame_step=4, keep_audio=True)
    cut = Cut(path, clip.start_s, clip.end_s)
    try:
        problems = made(clip, wanted, cut)
    except ClipError:
        assert AWKWARD[name].outcome in ("open", "decode")
        problems = {path: "error"}
    if AWKWARD[name].outcome == "success":
        assert problems == {}
        facts, _ = contents(path)
        assert (facts["codec"], facts["size"], facts["fps"]) == ("h264", (64, 48), 16)
        assert len(facts["times"]) % 4 == 1
    elif name == "span_between_frames":  # what was shown before it is shown in it too
        assert problems == {}
    else:
        assert list(problems) == [path]
        assert not path.exists()
    assert not [each for each in tmp_path.iterdir() if each.name.endswith(".tmp")]


def test_a_recording_of_held_pictures_keeps_its_usual_rate(tmp_path):
    """Bursts at 30 per second around a picture that is held for six seconds: 7 per second on average."""
    stamps = [round(n * 1000 / 30) for n in [*range(20), *range(200, 220)]]
    source = video(tmp_path / "screen.mkv", pts=stamps, ticks_per_s=1000)
    made(Clip(str(source)), Normalize(), Cut(tmp_path / "made.mp4"))
    facts, pictures = contents(tmp_path / "made.mp4")
    assert facts["fps"] == 30
    shown = [*range(20), *[19] * 180, *range(20, 40)]
    assert levels(pictures)[:219] == pytest.approx([grey(number) for number in shown[:219]], abs=4)


def test_sound_that_begins_late_and_ends_early_is_silence_around(tmp_path):
    with av.open(str(tmp_path / "source.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=16000, layout="mono")
        for _ in range(24):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")))
        container.mux(stream.encode(None))
        tone = (20000 * np.sin(np.arange(16000) / 16000 * 2 * np.pi * 440)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(tone[None], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 16000, 16000, Fraction(1, 16000)
        container.mux([*sound.encode(frame), *sound.encode(None)])
    made(Clip(str(tmp_path / "source.mkv")), Normalize(keep_audio=True), Cut(tmp_path / "made.mp4"))
    with av.open(str(tmp_path / "made.mp4")) as container:
        frames = [(round(frame.time * 16000), frame.to_ndarray()[0]) for frame in container.decode(audio=0)]
    loud = [at + np.nonzero(np.abs(samples) > 0.1)[0] for at, samples in frames]
    assert np.concatenate(loud)[[0, -1]] / 16000 == pytest.approx([1.0, 2.0], abs=0.03)
    assert (frames[-1][0] + len(frames[-1][1])) / 16000 == pytest.approx(3.0, abs=0.1)


def test_what_is_stopped_leaves_nothing_behind(tmp_path):
    source = video(tmp_path / "source.mp4", pts=range(64))
    steps = normalize_clips(Clip(str(source)), [Cut(tmp_path / "made.mp4")], Normalize())
    for _ in range(20):
        next(steps)
    assert len(list(tmp_path.iterdir())) == 2
    steps.close()
    assert [path.name for path in tmp_path.iterdir()] == ["source.mp4"]
