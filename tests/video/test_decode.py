import io
import json
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from framescribe.errors import ClipError
from framescribe.types import STRATEGIES, Clip, FrameSampling, Strategy
from framescribe.video.decode import decode_frames, probe
from framescribe.video.sample import select_frames
from tests.awkward import AWKWARD, FPS, NUM_FRAMES, clip, grey, make, video

DATA = Path(__file__).parents[1] / "data"
EXAMPLES = Path(__file__).parents[2] / "examples" / "real"
RECORDED = json.loads((DATA / "frame_indices.json").read_text())

HEALTHY = [name for name, case in AWKWARD.items() if case.outcome == "success" and not case.is_damaged]
DAMAGED = [name for name, case in AWKWARD.items() if case.is_damaged]
FAILING = [name for name, case in AWKWARD.items() if case.outcome != "success"]
# What a plain loop over the file does not show as it is to be shown, or cannot open with every PyAV.
NOT_PLAIN = {
    "turned_90",
    "turned_180",
    "turned_270",
    "span_between_frames",
    "size_changes_midway",
    "span",
    "metadata_that_is_not_text",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("awkward")


def reference_clip(name: str) -> Clip:
    path = EXAMPLES / name
    return Clip(str(path if path.exists() else DATA / "clips" / name))


def plain_frames(source: Clip) -> list[np.ndarray]:
    """Every frame, by the plainest loop there is: the truth for healthy files."""
    path = source.source_video.removeprefix("file://")
    with av.open(io.BytesIO(source.data or Path(path).read_bytes())) as container:
        return [frame.to_ndarray(format="rgb24").transpose(2, 0, 1) for frame in container.decode(video=0)]


@pytest.mark.parametrize("strategy", ["chat", "base"])
@pytest.mark.parametrize("name", RECORDED)
def test_frames_as_published(name, strategy: Strategy):
    recorded = RECORDED[name]
    frames = decode_frames(reference_clip(name), FrameSampling(strategy))
    assert list(frames.indices) == recorded[strategy]
    assert frames.facts.num_frames == recorded["num_frames"]
    assert frames.facts.fps == pytest.approx(recorded["average_fps"], rel=1e-6)
    assert frames.facts.missing_s == 0
    np.testing.assert_allclose(frames.pixels.mean((2, 3)), recorded[f"{strategy}_rgb_mean"], atol=0.5)


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_inputs_give_their_frames(name, folder):
    source = make(name, folder)
    frames = decode_frames(source, FrameSampling("uniform", 9))
    assert frames.facts.missing_s == 0
    assert frames.facts.num_frames >= 1
    assert frames.pixels.shape == (len(frames.indices), 3, frames.facts.height, frames.facts.width)
    assert frames.covered_s == frames.facts.duration_s > frames.timestamps_s[-1]
    if name not in NOT_PLAIN:
        truth = plain_frames(source)
        assert frames.facts.num_frames == len(truth)
        for picture, index in zip(frames.pixels, frames.indices, strict=True):
            np.testing.assert_array_equal(picture, truth[index])


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_inputs_give_what_can_be_read(name, folder):
    frames = decode_frames(make(name, folder), FrameSampling("uniform", 1000))
    assert frames.facts.num_frames == len(frames.indices) >= 10
    assert frames.facts.missing_s >= 1 / FPS
    # Each picture is that of its time: none is stale. TS damage may be half of a picture: let two be off.
    wrong = sum(
        abs(picture[:, -20:, -20:].mean() - grey(round(t * FPS))) > 6
        for picture, t in zip(frames.pixels, frames.timestamps_s, strict=True)
    )
    assert wrong <= 2


@pytest.mark.parametrize("name", FAILING)
def test_failing_inputs_are_refused_with_their_name_and_no_noise(name, folder, capfd):
    source = make(name, folder)
    capfd.readouterr()
    started_s = time.monotonic()
    with pytest.raises(ClipError) as caught:
        decode_frames(source, FrameSampling())
    assert caught.value.stage == AWKWARD[name].outcome
    assert str(caught.value).startswith(source.source_video[:100])  # long names are shortened
    assert time.monotonic() - started_s < 100
    assert capfd.readouterr() == ("", "")


def test_messages_say_what_is_wrong(folder):
    def message(name: str) -> str:
        with pytest.raises(ClipError) as caught:
            decode_frames(make(name, folder), FrameSampling())
        return str(caught.value)

    assert message("audio_only").endswith("has no video stream, only audio (aac)")
    assert message("cover_art_only").endswith("has no video stream, only audio (mp3)")
    assert "no decoder" in message("encrypted")
    assert "from 100 s to 110 s" in message("span_beyond_the_end")


def test_missing_seconds_of_a_cut_off_file(folder):
    facts = decode_frames(make("truncated_mp4", folder), FrameSampling()).facts
    assert facts.duration_s + facts.missing_s == pytest.approx(10.0)


def test_damage_outside_the_span_is_not_reported(folder):
    damaged = make("truncated_mp4", folder)
    facts = decode_frames(Clip(damaged.source_video, 0, 2), FrameSampling()).facts
    assert (facts.duration_s, facts.missing_s) == (2, 0)


@pytest.mark.parametrize(
    ("name", "row", "column"),
    [("plain", 0, 0), ("turned_90", 0, -1), ("turned_180", -1, -1), ("turned_270", -1, 0)],
)
def test_pictures_are_upright(name, row, column, folder):
    frames = decode_frames(make(name, folder), FrameSampling("chat", 1))
    size = (48, 64) if name in ("turned_90", "turned_270") else (64, 48)
    assert (frames.facts.width, frames.facts.height) == size
    corners = {(r, c): frames.pixels[0, :, r, c].astype(int) for r in (0, -1) for c in (0, -1)}
    red = [corner for corner, (r, g, b) in corners.items() if r - g > 100 and r - b > 100]
    assert red == [(row, column)]


def test_timestamps_count_from_the_first_frame(folder):
    for name in ("mpeg_ts_late_start", "late_start"):
        frames = decode_frames(make(name, folder), FrameSampling("chat"))
        assert frames.timestamps_s == pytest.approx((0, 1, 2, 2.875), abs=1e-3)


def test_frames_dropped_by_an_edit_list_do_not_count(folder):
    frames = decode_frames(make("edit_list", folder), FrameSampling("uniform", 100))
    assert frames.facts.num_frames == NUM_FRAMES - FPS
    assert abs(frames.pixels[0, :, -5, -5].mean() - grey(FPS)) < 6


def test_variable_frame_rate_is_sampled_by_time(folder):
    frames = decode_frames(make("variable_frame_rate", folder), FrameSampling("chat"))
    assert frames.indices == (0, 4, 7, 8, 9)
    assert frames.timestamps_s == (0, 1, 2.5, 2.6, 4)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_whole_span_is_the_whole_video(strategy: Strategy):
    whole = reference_clip("portrait-25s.mp4")
    a = decode_frames(whole, FrameSampling(strategy))
    b = decode_frames(Clip(whole.source_video, 0.0, 1000.0), FrameSampling(strategy))
    assert (a.indices, a.timestamps_s, a.covered_s, a.facts) == (
        b.indices,
        b.timestamps_s,
        b.covered_s,
        b.facts,
    )
    np.testing.assert_array_equal(a.pixels, b.pixels)


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_a_span_counts_from_its_own_start(container, tmp_path):
    path = video(tmp_path / f"video.{container}", pts=range(240), options={"g": "12", "bf": "2"})
    frames = decode_frames(Clip(str(path), 10.0, 13.0), FrameSampling("chat"))
    assert frames.indices == (0, 8, 16, 23)
    assert frames.timestamps_s == pytest.approx((0, 1, 2, 2.875), abs=1e-3)
    assert (frames.facts.num_frames, frames.facts.duration_s) == (24, 3)
    assert frames.covered_s == 3
    for picture, index in zip(frames.pixels, frames.indices, strict=True):
        assert abs(picture[:, -5, -5].mean() - grey(80 + index)) < 6


def test_a_short_clip_repeats_a_frame_as_published():
    frames = decode_frames(reference_clip("one-frame.mp4"), FrameSampling("base"))
    assert frames.indices == (0,) * 24
    assert (frames.pixels == frames.pixels[0]).all()


def test_probe_and_decoding_agree(folder):
    for name in ("plain", "b_frames", "vp8", "truncated_mp4", "raw_h264", "span"):
        source = make(name, folder)
        seen = probe(source)
        frames = decode_frames(source, FrameSampling("uniform", 6))
        selection = select_frames(
            seen.timestamps_s, seen.facts.fps, seen.facts.duration_s, FrameSampling("uniform", 6)
        )
        assert seen.facts == frames.facts
        assert selection.indices == frames.indices


def test_a_file_of_the_caller_stays_open():
    with open(reference_clip("vfr-6s.mp4").source_video, "rb") as file:
        frames = decode_frames(Clip("mine", data=file), FrameSampling())
        assert list(frames.indices) == RECORDED["vfr-6s.mp4"]["chat"]
        assert not file.closed


def test_a_playlist_does_not_open_other_files(folder):
    """Even when told to as a video: what a playlist names may be any file or address."""
    playlist = make("playlist", folder)
    with pytest.raises(ClipError):
        decode_frames(Clip("playlist.mp4", data=Path(playlist.source_video).read_bytes()), FrameSampling())


def pictures_of(path: Path, sizes: list[tuple[int, int]]) -> Clip:
    """Black PNGs, one a second, in an AVI whose header has the first one's size."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=1)
        (stream.width, stream.height), stream.pix_fmt = sizes[0], "monob"
        for number, (width, height) in enumerate(sizes):
            encoder = av.CodecContext.create("png", "w")
            encoder.width, encoder.height, encoder.pix_fmt = width, height, "monob"
            encoder.time_base = Fraction(1)
            frame = av.VideoFrame(width, height, "monob")
            frame.planes[0].update(bytes(frame.planes[0].buffer_size))
            for packet in [*encoder.encode(frame), *encoder.encode(None)]:
                packet.stream, packet.pts, packet.dts = stream, number, number
                packet.time_base, packet.is_keyframe = Fraction(1), True
                container.mux(packet)
    return Clip(str(path))


def test_pictures_beyond_the_limit_are_not_decoded(tmp_path):
    """67 megapixels are the most, whether the header tells or a picture outgrows it midway."""
    large = pictures_of(tmp_path / "large.avi", [(8200, 8200)])
    with pytest.raises(ClipError, match=r"8200x8200 are too large \(67 megapixels at most\)"):
        decode_frames(large, FrameSampling())
    grows = pictures_of(tmp_path / "grows.avi", [(64, 48), (64, 48), (8200, 8200), (64, 48)])
    facts = decode_frames(grows, FrameSampling("uniform", 9)).facts
    assert (facts.num_frames, facts.missing_s) == (3, 1)


def test_colours_follow_the_matrix_that_the_file_names(tmp_path):
    reds = {}
    for matrix in ("smpte170m", "bt709"):
        path = video(tmp_path / f"{matrix}.mp4", options={"x264-params": f"colormatrix={matrix}"})
        reds[matrix] = decode_frames(clip(path), FrameSampling("chat", 1)).pixels[0, :, 5, 5].astype(int)
    np.testing.assert_allclose(reds["smpte170m"], (200, 30, 30), atol=6)  # as it was encoded
    assert reds["bt709"][0] > reds["smpte170m"][0] + 8


def test_several_threads_give_the_same(tmp_path):
    """Pictures larger than 720p are decoded by as many threads as there are cores to spare."""
    large = clip(video(tmp_path / "large.mp4", size=(1296, 736), pts=range(12), options={"bf": "2"}))
    one, several = (decode_frames(large, FrameSampling("uniform", 5), max_threads=count) for count in (1, 4))
    assert one.indices == several.indices
    np.testing.assert_array_equal(one.pixels, several.pixels)
