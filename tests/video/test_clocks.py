"""Time stamps that are not one clock, and packets that are not frames: what is shown when, and nothing called damage.

Expected values are ffprobe's (FFmpeg 7), by the command beside them.
"""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from framescribe.types import STRATEGIES, Clip, FrameSampling
from framescribe.video.container import video_stream
from framescribe.video.decode import decode_frames, probe, read_frames
from framescribe.video.packets import index_packets

DATA = Path(__file__).parents[1] / "data" / "video"
RED, BLUE = (200, 30, 30), (30, 30, 200)
FPS = 10


def recording(
    path: Path,
    colour: tuple[int, int, int],
    *,
    seconds: float = 6,
    start_s: float = 0,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
) -> bytes:
    """A recording of one colour at 10 frames a second (MPEG-2: 25), with B-frames, as a player's file."""
    fps = 25 if codec == "mpeg2video" else FPS
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=fps, options={"bf": "2", "g": "30", "b_strategy": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, fps)
        for number in range(round(seconds * fps)):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), colour, np.uint8), "rgb24")
            frame.pts, frame.time_base = round(start_s * fps) + number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path.read_bytes()


def joined(folder: Path, ending: str, *, start_s: float = 0, codec: str = "libx264") -> Clip:
    """Two recordings of 6 s, one after the other in one file; the second one's clock starts at ``start_s``."""
    red = recording(folder / f"red.{ending}", RED, codec=codec)
    blue = recording(folder / f"blue.{ending}", BLUE, start_s=start_s, codec=codec)
    path = folder / f"joined.{ending}"
    path.write_bytes(red + blue)
    return Clip(str(path))


def is_blue(pixels: np.ndarray) -> list[bool]:
    return [bool(picture[2].mean() > picture[0].mean()) for picture in pixels]


JOINED = {
    "back": ("ts", {}),
    "a little back": ("ts", {"start_s": 4}),
    "ahead": ("ts", {"start_s": 200}),
    "MPEG-2 in TS": ("ts", {"codec": "mpeg2video"}),
    "MPEG-PS": ("mpg", {"codec": "mpeg2video"}),
    "DVD": ("vob", {"codec": "mpeg2video"}),
    "Matroska": ("mkv", {}),
    "WebM": ("webm", {"codec": "libvpx"}),
    "MPEG-4 in AVI": ("avi", {"codec": "mpeg4"}),
}


@pytest.mark.parametrize("name", JOINED)
def test_joined_recordings_follow_each_other(name, tmp_path):
    # ffmpeg -i joined.X -f null - : 120 frames (300 of MPEG-2), 12 s
    ending, how = JOINED[name]
    clip = joined(tmp_path, ending, **how)
    frames = decode_frames(clip, FrameSampling("chat"))
    fps = 25 if how.get("codec") == "mpeg2video" else FPS
    assert (frames.facts.num_frames, frames.facts.missing_s) == (12 * fps, 0)
    assert frames.facts.duration_s == pytest.approx(12, abs=0.11)
    assert frames.timestamps_s == pytest.approx([*range(12), 12 - 1 / fps], abs=0.11)
    assert is_blue(frames.pixels) == [False] * 6 + [True] * 7
    assert probe(clip).facts == frames.facts
    for strategy in STRATEGIES:
        assert any(is_blue(decode_frames(clip, FrameSampling(strategy)).pixels))
    second = decode_frames(Clip(clip.source_video, 6.2, 10.2), FrameSampling("chat"))
    assert all(is_blue(second.pixels))
    assert second.timestamps_s == pytest.approx((0, 1, 2, 3, 4 - 1 / fps), abs=0.11)
    times_s, pictures = zip(*read_frames(clip), strict=True)
    assert len(times_s) == 12 * fps
    assert np.diff(times_s) == pytest.approx(1 / fps, abs=0.11)
    assert is_blue(pictures) == [False] * 6 * fps + [True] * 6 * fps


def test_a_splice_within_a_group_of_b_frames(tmp_path):
    """The first recording is cut off between packets, where frames that are shown before others are still to come."""
    red = recording(tmp_path / "red.ts", RED)
    blue = recording(tmp_path / "blue.ts", BLUE)
    packets = len(red) // 188
    for part in (0.5, 0.55, 0.6, 0.65):
        path = tmp_path / f"{part}.ts"
        path.write_bytes(red[: 188 * round(packets * part)] + blue)
        frames = decode_frames(Clip(str(path)), FrameSampling("uniform", 1000))
        blues = is_blue(frames.pixels)
        assert sum(blues) == 60
        assert blues == sorted(blues)
        assert np.all(np.diff(frames.timestamps_s) > 0)
        assert frames.facts.duration_s < 12
        at = blues.index(True)
        assert frames.timestamps_s[-1] - frames.timestamps_s[at] == pytest.approx(5.9, abs=1e-3)


def test_three_recordings_and_one_that_is_joined_to_itself(tmp_path):
    red = recording(tmp_path / "red.ts", RED, seconds=2)
    blue = recording(tmp_path / "blue.ts", BLUE, seconds=2, start_s=77)
    path = tmp_path / "all.ts"
    path.write_bytes(red + blue + red + red)
    frames = decode_frames(Clip(str(path)), FrameSampling("uniform", 80))
    assert (frames.facts.num_frames, frames.facts.duration_s, frames.facts.missing_s) == (80, 8, 0)
    assert is_blue(frames.pixels) == [False] * 20 + [True] * 20 + [False] * 40


def test_a_clock_of_33_bits_that_wraps_around(tmp_path):
    """2**33 ticks of 1/90000 s are 95,443.7 s."""
    recording(tmp_path / "wrap.ts", RED, seconds=12, start_s=95_438)
    frames = decode_frames(Clip(str(tmp_path / "wrap.ts")), FrameSampling("chat"))
    assert (frames.facts.num_frames, frames.facts.missing_s) == (120, 0)
    assert frames.facts.duration_s == pytest.approx(12)
    assert frames.timestamps_s == pytest.approx((*range(12), 11.9), abs=1e-3)


def test_every_packet_a_keyframe_is_no_jump(tmp_path):
    """An MP4 without a table of keyframes, though it has B-frames."""
    path = tmp_path / "all.mp4"
    recording(path, RED, seconds=2)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"stss", b"free"))
    with path.open("rb") as file, video_stream(file, Clip(str(path))) as opened:
        index = index_packets(*opened)
    assert not index.has_jumps
    assert decode_frames(Clip(str(path)), FrameSampling()).facts.duration_s == 2


def test_fields_are_not_frames():
    # ffprobe -count_frames -show_entries stream=nb_read_frames,duration: 12 frames, 0.48 s
    clip = Clip(str(DATA / "h264-paff-pes-per-field.ts"))
    frames = decode_frames(clip, FrameSampling("uniform", 100))
    assert (frames.facts.num_frames, frames.facts.missing_s) == (12, 0)
    assert frames.facts.duration_s == pytest.approx(0.48)
    assert frames.timestamps_s == pytest.approx(np.arange(12) * 0.04)
    assert probe(clip).facts == frames.facts
    levels = frames.pixels.mean((1, 2, 3))
    assert np.all(np.diff(levels) > 5)  # each is brighter than the one before


def test_b_frames_that_are_packed_together_are_shown_in_their_order():
    # ffprobe -show_entries stream=nb_frames,duration:frame=best_effort_timestamp: 40 frames, 4.0 s, 1 … 40
    clip = Clip(str(DATA / "xvid-packed-b-frames.avi"))
    frames = decode_frames(clip, FrameSampling("uniform", 100))
    assert (frames.facts.num_frames, frames.facts.duration_s, frames.facts.missing_s) == (40, 4, 0)
    assert frames.timestamps_s == pytest.approx(np.arange(40) / 10)
    with av.open(clip.source_video) as container:
        truth = [frame.to_ndarray(format="rgb24").transpose(2, 0, 1) for frame in container.decode(video=0)]
    assert np.array_equal(frames.pixels, truth)
    chat = decode_frames(clip, FrameSampling("chat"))
    assert chat.indices == (0, 10, 20, 30, 39)
    assert np.array_equal(chat.pixels, [truth[index] for index in chat.indices])
    times_s, pictures = zip(*read_frames(clip), strict=True)
    assert times_s == pytest.approx(np.arange(40) / 10)
    assert np.array_equal(pictures, truth)


def with_edits(path: Path, edits: list[tuple[float, float | None]]) -> Clip:
    """An MP4 of 8 s with an edit list: seconds shown, and from where in the recording (None: nothing is shown)."""
    recording(path, RED, seconds=8)
    content = bytearray(path.read_bytes())
    scales = [struct.unpack_from(">I", content, content.index(box) + 16)[0] for box in (b"mvhd", b"mdhd")]
    start = content.index(b"edts") - 4
    size = struct.unpack_from(">I", content, start)[0]
    entries = b"".join(
        struct.pack(">2i2h", round(s * scales[0]), -1 if at is None else round((at + 0.2) * scales[1]), 1, 0)
        for s, at in edits
    )
    box = struct.pack(">I4sII", 16 + len(entries), b"elst", 0, len(edits)) + entries
    box = struct.pack(">I4s", 8 + len(box), b"edts") + box
    for parent in (b"moov", b"trak"):
        at = content.index(parent) - 4
        struct.pack_into(">I", content, at, struct.unpack_from(">I", content, at)[0] + len(box) - size)
    content[start : start + size] = box
    path.write_bytes(content)
    return Clip(str(path))


@pytest.mark.parametrize(
    ("edits", "frames", "duration_s"),
    [
        # ffprobe -count_frames -show_entries stream=nb_read_frames,start_time,duration
        ([(1.5, None), (4, 0)], 40, 4),
        ([(8, 0)], 80, 8),
        ([(3, None), (8, 0)], 80, 8),
        ([(5, 3)], 50, 5),
    ],
)
def test_edit_lists_are_no_damage(edits, frames, duration_s, tmp_path):
    facts = decode_frames(with_edits(tmp_path / "edits.mp4", edits), FrameSampling()).facts
    assert (facts.num_frames, facts.missing_s) == (frames, 0)
    assert facts.duration_s == pytest.approx(duration_s, abs=1e-3)


def test_a_delay_is_not_counted_twice():
    # ffprobe -count_frames -show_entries stream=nb_read_frames,start_time,duration: 40 frames, 1.5 s, 5.5 s
    frames = decode_frames(Clip(str(DATA / "edit-list-delay-then-a-part.mp4")), FrameSampling("chat"))
    assert (frames.facts.num_frames, frames.facts.duration_s, frames.facts.missing_s) == (40, 4, 0)
    assert frames.indices == (0, 10, 20, 30, 39)


@pytest.mark.parametrize("edits", [[(1.5, None), (8, 0)], [(8, 0)]])
def test_a_truncated_file_with_edits_says_what_is_missing(edits, tmp_path):
    clip = with_edits(tmp_path / "edits.mp4", edits)
    content = bytearray(Path(clip.source_video).read_bytes())
    mdat = content.index(b"mdat")
    end = mdat - 4 + struct.unpack_from(">I", content, mdat - 4)[0]
    content[(mdat + end) // 2 : end] = b""  # faststart or not, the second half of the pictures is gone
    if content.index(b"moov") > mdat:
        struct.pack_into(">I", content, mdat - 4, (mdat + end) // 2 - mdat + 4)
    Path(clip.source_video).write_bytes(content)
    facts = decode_frames(clip, FrameSampling()).facts
    assert 0.5 < facts.missing_s < 8
    assert facts.duration_s + facts.missing_s == pytest.approx(8, abs=0.11)


def test_a_late_start_without_an_edit_list_is_part_of_the_promise(tmp_path):
    """B-frames delay the first picture by 0.2 s: the file ends 0.2 s after its duration."""
    path = tmp_path / "late.mp4"
    recording(path, RED, seconds=4, options={"movflags": "faststart"})
    whole = path.read_bytes().replace(b"edts", b"free")
    path.write_bytes(whole)
    assert decode_frames(Clip(str(path)), FrameSampling()).facts.duration_s == 4
    path.write_bytes(whole[:-50])
    with path.open("rb") as file, video_stream(file, Clip(str(path))) as opened:
        index = index_packets(*opened)
    assert index.pts[0] * index.time_base_s == pytest.approx(0.2)
    assert index.promised_end_pts is not None
    assert index.promised_end_pts * index.time_base_s == pytest.approx(4.2)
