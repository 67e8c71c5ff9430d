"""What a cut file keeps of its video: shape and turning of pictures, colours, depth, durations, sound."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.sidedata.sidedata import Type

from framescribe.types import Clip, FrameSampling
from framescribe.video.cutting import writing_clips
from framescribe.video.decode import decode_frames, probe
from tests.awkward.making import grey, turn, video
from tests.video.steps import finished

FPS = 10
LIGHT = (Type.MASTERING_DISPLAY_METADATA, Type.CONTENT_LIGHT_LEVEL)


def recorded(
    path: Path,
    codec: str = "libx264",
    *,
    pix_fmt: str = "yuv420p",
    aspect: Fraction | None = None,
    colours: tuple[int, int, int, int] | None = None,
    params: str = "",
) -> Clip:
    """4 s of a moving ramp; ``colours`` are FFmpeg's numbers of range, primaries, transfer and matrix."""
    with av.open(str(path), "w") as container:
        name = "x265-params" if codec == "libx265" else "x264-params"
        quiet = "log-level=none" if codec == "libx265" else "ref=1"
        stream = container.add_stream(
            codec, rate=FPS, options={name: ":".join(filter(None, [quiet, params]))}
        )
        stream.width, stream.height, stream.pix_fmt = 72, 48, pix_fmt
        context = stream.codec_context
        if aspect is not None:
            context.sample_aspect_ratio = aspect
        if colours is not None:
            context.color_range, context.color_primaries, context.color_trc, context.colorspace = colours
        ramp = np.linspace(16, 235, 72).astype(np.uint8)
        for number in range(4 * FPS):
            rgb = np.broadcast_to(np.roll(ramp, number)[None, :, None], (48, 72, 3))
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24").reformat(format=pix_fmt)
            if colours is not None:
                frame.color_range, frame.color_primaries, frame.color_trc, frame.colorspace = colours
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return Clip(str(path))


def cut(clip: Clip, folder: Path, start_s: float = 1.0, end_s: float = 3.0, **options: bool) -> Path:
    path = folder / "cut.mp4"
    finished(writing_clips(clip, {path: (start_s, end_s)}, **options))
    return path


def facts(path: Path) -> dict[str, object]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frame = next(container.decode(stream))
        return {
            "aspect": stream.sample_aspect_ratio or Fraction(1),
            "size": (stream.width, stream.height),
            "pix_fmt": stream.codec_context.pix_fmt,
            "colours": tuple(
                int(value)
                for value in (frame.color_range, frame.color_primaries, frame.color_trc, frame.colorspace)
            ),
            "light": [bytes(data) for kind in LIGHT if (data := frame.side_data.get(kind)) is not None],
            "seconds": float(stream.duration * stream.time_base),
            "sound": [(s.codec_context.name, s.sample_rate) for s in container.streams.audio],
        }


def test_the_shape_of_pixels_is_kept(tmp_path):
    # ffprobe -show_entries stream=sample_aspect_ratio,display_aspect_ratio: 32:27, 16:9
    clip = recorded(tmp_path / "dv.mp4", aspect=Fraction(32, 27))
    assert facts(Path(clip.source_video))["aspect"] == Fraction(32, 27)
    assert facts(cut(clip, tmp_path))["aspect"] == Fraction(32, 27)


def test_turned_pictures_are_stored_turned_with_their_shape(tmp_path):
    clip = turn(Path(recorded(tmp_path / "phone.mp4", aspect=Fraction(4, 3)).source_video), 1)
    path = cut(clip, tmp_path)
    assert (facts(path)["size"], facts(path)["aspect"]) == ((48, 72), Fraction(3, 4))
    wanted = decode_frames(Clip(clip.source_video, 1, 3), FrameSampling("uniform", 100)).pixels.astype(int)
    found = decode_frames(Clip(str(path)), FrameSampling("uniform", 100)).pixels
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).mean() < 3


@pytest.mark.parametrize(
    ("colours", "pix_fmt"),
    [
        ((1, 1, 1, 1), "yuv420p"),  # BT.709, limited
        ((2, 1, 1, 1), "yuvj420p"),  # full range
        ((1, 6, 6, 6), "yuv420p"),  # BT.601
        ((1, 9, 14, 9), "yuv420p10le"),  # BT.2020
        ((1, 9, 18, 9), "yuv420p10le"),  # HLG
        ((1, 1, 1, 1), "yuv422p10le"),
        ((1, 1, 1, 1), "yuv444p"),
    ],
)
def test_colours_and_depth_are_kept(colours, pix_fmt, tmp_path):
    clip = recorded(tmp_path / "colours.mp4", pix_fmt=pix_fmt, colours=colours)
    source = facts(Path(clip.source_video))
    assert source["colours"] == colours
    found = facts(cut(clip, tmp_path))
    assert (found["colours"], found["pix_fmt"]) == (colours, pix_fmt)
    wanted = decode_frames(Clip(clip.source_video, 1, 3), FrameSampling("uniform", 100)).pixels.astype(int)
    pixels = decode_frames(Clip(str(tmp_path / "cut.mp4")), FrameSampling("uniform", 100)).pixels
    assert np.abs(pixels - wanted).mean() < 3


def test_colours_that_are_not_said_stay_so(tmp_path):
    assert facts(cut(recorded(tmp_path / "plain.mp4"), tmp_path))["colours"] == (0, 2, 2, 2)


def test_hdr10_keeps_its_light(tmp_path):
    light = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400"
    clip = recorded(
        tmp_path / "hdr10.mp4",
        "libx265",
        pix_fmt="yuv420p10le",
        colours=(1, 9, 16, 9),
        params=f"hdr10=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:{light}",
    )
    source = facts(Path(clip.source_video))
    assert len(source["light"]) == 2
    found = facts(cut(clip, tmp_path))
    assert (found["colours"], found["pix_fmt"]) == ((1, 9, 16, 9), "yuv420p10le")
    numbers = [np.frombuffer(data, np.int32).tolist() for data in found["light"]]
    assert sorted(map(len, numbers)) == [2, 22]
    assert sorted(numbers, key=len)[0] == [1000, 400]
    values = sorted(numbers, key=len)[1]
    ratios = [a / b for a, b in zip(values[:20:2], values[1:20:2], strict=True)]
    assert ratios == pytest.approx(
        [0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329, 0.005, 1000], rel=1e-3
    )


@pytest.mark.parametrize(
    ("start_s", "end_s", "times_s"),
    [
        (2, 5, [0, 2.875]),
        (0, 5, [0, 0.5, 1, 4.875]),
        (4, 9.5, [0, 5]),
        (0.5, 1.25, [0, 0.5]),
        (6, 8, [0, 1.875]),
    ],
)
def test_a_held_picture_lasts_as_long_as_it_is_shown(start_s, end_s, times_s, tmp_path):
    path = video(tmp_path / "screen.mkv", pts=[0, 500, 1000, 9000], ticks_per_s=1000, options={"bf": "2"})
    found = cut(Clip(str(path)), tmp_path, start_s, end_s)
    seen = probe(Clip(str(found)))
    assert seen.timestamps_s.tolist() == pytest.approx(times_s, abs=2e-3)
    wanted_s = min(end_s, 9.125) - start_s
    assert seen.facts.duration_s == pytest.approx(wanted_s, abs=2e-3)
    assert facts(found)["seconds"] == pytest.approx(wanted_s, abs=2e-3)
    assert seen.facts.missing_s == 0


@pytest.mark.parametrize("first_end_s", [2.0, 0.8])
def test_a_later_span_begins_with_the_picture_that_is_held(first_end_s, tmp_path):
    """Whether it follows the span before it at once, or behind a gap in which the picture came."""
    path = video(tmp_path / "screen.mkv", pts=[0, 500, 1000, 9000], ticks_per_s=1000)
    first, second = tmp_path / "first.mp4", tmp_path / "second.mp4"
    finished(writing_clips(Clip(str(path)), {first: (0, first_end_s), second: (2, 5)}))
    seen = probe(Clip(str(second)))
    assert seen.timestamps_s.tolist() == pytest.approx([0, 2.875], abs=2e-3)
    assert seen.facts.duration_s == pytest.approx(3, abs=2e-3)
    picture = decode_frames(Clip(str(second)), FrameSampling("uniform", 1)).pixels[0]
    assert abs(picture[:, -5, -5].mean() - grey(2)) < 6


@pytest.mark.parametrize("bframes", ["0", "3"])
def test_every_cut_lasts_as_long_as_its_span(bframes, tmp_path):
    path = video(tmp_path / "video.mp4", pts=range(64), options={"bf": bframes})
    spans = {tmp_path / f"{number}.mp4": (number * 1.5, number * 1.5 + 1.5) for number in range(6)}
    finished(writing_clips(Clip(str(path)), spans))
    for cut_file, (start_s, end_s) in spans.items():
        assert facts(cut_file)["seconds"] == pytest.approx(min(end_s, 8) - start_s, abs=2e-3)
        assert probe(Clip(str(cut_file))).facts.missing_s == 0


def tone(path: Path) -> Clip:
    """4 s: silence, but for the third second, a tone."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("aac", rate=16000)
        sound.codec_context.layout = "mono"
        for number in range(4 * FPS):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        seconds = np.arange(64_000) / 16_000
        wave = np.where((seconds >= 2) & (seconds < 3), 0.5 * np.sin(2 * np.pi * 440 * seconds), 0)
        for start in range(0, 64_000, 1000):
            samples = np.ascontiguousarray(wave[None, start : start + 1000], np.float32)
            frame = av.AudioFrame.from_ndarray(samples, "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 16_000, start, Fraction(1, 16_000)
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    return Clip(str(path))


def loud_s(path: Path) -> tuple[float, float]:
    """From when to when there is sound."""
    with av.open(str(path)) as container:
        loud = [frame.time for frame in container.decode(audio=0) if np.abs(frame.to_ndarray()).max() > 0.2]
    return min(loud), max(loud)


def test_sound_is_kept_at_its_time(tmp_path):
    path = cut(tone(tmp_path / "tone.mp4"), tmp_path, 1.5, 3.5)
    assert facts(path)["sound"] == [("aac", 16_000)]
    start_s, end_s = loud_s(path)
    assert start_s == pytest.approx(0.5, abs=0.08)
    assert end_s == pytest.approx(1.5, abs=0.12)
    with av.open(str(path)) as container:
        audio = container.streams.audio[0]
        assert float(audio.duration * audio.time_base) == pytest.approx(2.0, abs=0.07)


def test_sound_can_be_left_out(tmp_path):
    assert facts(cut(tone(tmp_path / "tone.mp4"), tmp_path, keep_sound=False))["sound"] == []


def test_a_video_without_sound_has_none(tmp_path):
    assert facts(cut(recorded(tmp_path / "plain.mp4"), tmp_path))["sound"] == []


def test_bytes_are_cut_too(tmp_path):
    content = Path(tone(tmp_path / "tone.mp4").source_video).read_bytes()
    path = cut(Clip("memory", data=content), tmp_path, 2, 3)
    assert facts(path)["sound"] == [("aac", 16_000)]
    assert facts(path)["seconds"] == pytest.approx(1, abs=1e-3)


def test_nothing_is_left_of_a_file_that_fails(tmp_path):
    clip = tone(tmp_path / "tone.mp4")
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.mp4").mkdir()
    with pytest.raises(OSError, match=r"a\.mp4"):
        finished(writing_clips(clip, {tmp_path / "clips" / "a.mp4": (0.0, 1.0)}))
    assert [path.name for path in (tmp_path / "clips").iterdir()] == ["a.mp4"]
