"""Frames out of streams, by both ways: what each of them must not give, and that both give the same."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from framescribe.types import Clip, FrameSampling
from framescribe.video.container import video_stream
from framescribe.video.decode import decode_frames, shown_frames
from framescribe.video.packets import index_packets, packets
from framescribe.video.reading import IndexDisagrees, ReadableFrames, announced_frames, readable_pts
from framescribe.video.timeline import PacketIndex
from tests.awkward import AWKWARD, make
from tests.awkward.making import add_sound, grey, keep, video

DAMAGED = [name for name, case in AWKWARD.items() if case.is_damaged]


def index_of(clip: Clip) -> PacketIndex:
    with Path(clip.source_video).open("rb") as file, video_stream(file, clip) as opened:
        return index_packets(*opened)


def announced(clip: Clip, wanted: list[int] | None = None) -> list[av.VideoFrame]:
    """What the first reading gives until it stops."""
    index = index_of(clip)
    found: list[av.VideoFrame] = []
    with Path(clip.source_video).open("rb") as file, video_stream(file, clip) as opened:
        try:
            for frame in announced_frames(
                *opened, index, list(range(len(index.pts))) if wanted is None else wanted
            ):
                found.append(frame)
        except (IndexDisagrees, av.FFmpegError):
            pass
    return found


@pytest.mark.parametrize("name", DAMAGED)
def test_no_way_gives_a_corrupt_frame(name, tmp_path):
    clip = make(name, tmp_path)
    assert not any(frame.is_corrupt for frame in announced(clip))
    index = index_of(clip)
    with Path(clip.source_video).open("rb") as file, video_stream(file, clip) as opened:
        assert not any(frame.is_corrupt for frame in ReadableFrames(*opened, index))


def test_corrupt_frames_come_of_what_is_corrupt(tmp_path):
    """So that the test above can fail: the decoder gives some, at the announced times."""
    clip = make("corrupt_middle", tmp_path)
    corrupt = 0
    with av.open(clip.source_video) as container:
        stream = container.streams.video[0]
        for packet in container.demux(stream):
            try:
                corrupt += sum(frame.is_corrupt for frame in stream.codec_context.decode(packet))
            except av.FFmpegError:
                continue
    assert corrupt > 0


@pytest.mark.parametrize(
    "name", ["b_frames", "open_gop", "short_gop", "intra_refresh", "mkv", "vp8", "vp9", "av1"]
)
def test_both_ways_give_the_same(name, tmp_path):
    clip = make(name, tmp_path)
    index = index_of(clip)
    with Path(clip.source_video).open("rb") as file, video_stream(file, clip) as opened:
        readable = ReadableFrames(*opened, index)
        slow = [(frame.pts, frame.to_ndarray(format="rgb24")) for frame in readable]
        assert readable.is_whole
    with Path(clip.source_video).open("rb") as file, video_stream(file, clip) as opened:
        assert readable_pts(ReadableFrames(*opened, index), index).tolist() == index.pts.tolist()
    fast = announced(clip)
    assert [frame.pts for frame in fast] == [pts for pts, _ in slow]
    assert all(
        np.array_equal(frame.to_ndarray(format="rgb24"), picture)
        for frame, (_, picture) in zip(fast, slow, strict=True)
    )


@pytest.mark.parametrize(
    ("ending", "how"),
    [
        ("mkv", {"cluster_time_limit": "500"}),
        (
            "mkv",
            {"cluster_time_limit": "500", "live": "1"},
        ),  # written live, it has no index: seeking lands anywhere
        ("mp4", {"movflags": "frag_keyframe+empty_moov+skip_trailer"}),
    ],
)
@pytest.mark.parametrize("wanted", [[0, 100, 239], [150], [3, 30, 31, 200], [239]])
def test_frames_far_apart_are_the_same_wherever_seeking_lands(ending, how, wanted, tmp_path):
    path = tmp_path / f"video.{ending}"
    video(path, pts=range(240), options={"g": "12", "bf": "2"}, container_options=how)
    with av.open(str(path)) as container:
        truth = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    found = announced(Clip(str(path)), wanted)
    assert len(found) == len(wanted)
    for frame, number in zip(found, wanted, strict=True):
        assert np.array_equal(frame.to_ndarray(format="rgb24"), truth[number])


def test_a_duration_in_a_tag_is_a_promise(tmp_path):
    """Matroska has one duration, here the sound's: the video's own is in a tag."""
    path = tmp_path / "sound.mkv"
    video(path, pts=range(64), options={"g": "8", "qp": "1"}, sound_s=20.0)
    assert index_of(Clip(str(path))).promised_end_pts is not None
    facts = decode_frames(keep(path, 0.5), FrameSampling()).facts
    assert facts.missing_s > 0.5
    assert facts.duration_s + facts.missing_s == pytest.approx(8, abs=0.2)


def test_reading_goes_on_after_a_stream_that_appears_midway(tmp_path):
    """In MPEG-TS another recording may bring a stream that the first had not: PyAV stumbles over its packets once."""
    first, second, path = (tmp_path / name for name in ("first.ts", "second.ts", "joined.ts"))
    video(first, options={"bf": "0"})
    with av.open(str(second), "w") as container:
        stream = container.add_stream("libx264", rate=8, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        add_sound(container, 3.0)
        for _ in range(24):
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), "rgb24"))
            )
        container.mux(stream.encode(None))
    # FFmpeg looks for streams in the first 5 MB; packets of PID 8191 are padding.
    padding = (b"\x47\x1f\xff\x10" + bytes(184)) * 30_000
    path.write_bytes(first.read_bytes() + padding + second.read_bytes())
    with path.open("rb") as file, video_stream(file, Clip(str(path))) as opened:
        assert len(list(packets(*opened))) == 48
    assert len(list(shown_frames(Clip(str(path))))) == 48


def rewritten(source: Path, target: Path, packets_of: Callable[[int, bytes], list[bytes]]) -> Clip:
    """A video whose packets are changed on their way to another file; each call gives those of one packet."""
    with av.open(str(source)) as whole, av.open(str(target), "w") as changed:
        stream = whole.streams.video[0]
        copied = changed.add_stream_from_template(stream)
        for number, packet in enumerate(packet for packet in whole.demux(stream) if packet.size):
            contents = packets_of(number, bytes(packet))
            for place, content in enumerate(contents):
                copy = av.Packet(content)
                copy.stream, copy.is_keyframe, copy.time_base = copied, packet.is_keyframe, packet.time_base
                copy.pts = copy.dts = packet.pts - (len(contents) - 1 - place)
                changed.mux(copy)
    return Clip(str(target))


def test_pictures_that_vp8_stores_and_does_not_show_are_not_announced(tmp_path):
    """Each keyframe comes twice, first without its show_frame bit (RFC 6386, section 9.1)."""
    video(tmp_path / "plain.mkv", "libvpx", pts=range(0, 240, 10), options={"g": "8"}, ticks_per_s=80)

    def hidden_first(number: int, content: bytes) -> list[bytes]:
        is_keyframe = number > 0 and not content[0] & 1
        return [bytes([content[0] & ~0x10]) + content[1:], content] if is_keyframe else [content]

    clip = rewritten(tmp_path / "plain.mkv", tmp_path / "hidden.mkv", hidden_first)
    with av.open(clip.source_video) as container:
        assert sum(packet.size > 0 for packet in container.demux(video=0)) > 24
    assert len(index_of(clip).pts) == len(announced(clip)) == 24


def test_a_packet_that_shows_nothing_moves_no_frame(tmp_path):
    """MPEG-4 has packets that say that nothing is coded: the decoder passes over them without a word."""
    plain, path = tmp_path / "plain.mkv", tmp_path / "nothing.mkv"
    video(plain, "mpeg4", pts=range(10), options={"bf": "0"}, ticks_per_s=10)
    nothing = b"\x00\x00\x01\xb6\x54\x9f"
    clip = rewritten(plain, path, lambda number, content: [nothing if number == 4 else content])
    assert len(index_of(clip).pts) == 10
    assert len(announced(clip)) == 4
    frames = decode_frames(clip, FrameSampling("uniform", 100))
    assert frames.facts.num_frames == len(frames.indices) == 9
    for strategy in ("chat", "base", "uniform"):
        for picture, time_s in zip(
            (chosen := decode_frames(clip, FrameSampling(strategy, 4))).pixels,
            chosen.timestamps_s,
            strict=True,
        ):
            assert abs(picture[:, -5, -5].mean() - grey(round(time_s * 10))) < 6
