"""Which packets lead to the wanted frames: held against FFmpeg's own word, and against decoding everything."""

import random
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from framescribe.types import Clip, FrameSampling
from framescribe.video.container import video_stream
from framescribe.video.decode import decode_frames
from framescribe.video.disposable import READERS, DisposablePackets
from framescribe.video.packets import index_packets, packets
from framescribe.video.reading import IndexDisagrees, announced, announced_frames
from tests.reference import CLIPS

COUNT = 49
H264 = {
    "pyramid": {"bf": "3", "g": "24"},
    "strict pyramid": {"bf": "4", "x264-params": "b-pyramid=strict:b-adapt=0:keyint=24"},
    "no pyramid": {"bf": "3", "x264-params": "b-pyramid=none:b-adapt=0"},
    "no B": {"bf": "0"},
    "open groups": {"bf": "3", "g": "12", "x264-params": "open-gop=1:b-adapt=0"},
    "intra refresh": {"g": "12", "x264-params": "intra-refresh=1:b-adapt=0"},
    "interlaced": {"bf": "2", "x264-params": "tff=1:b-adapt=0"},
    "slices": {"bf": "2", "x264-params": "slices=3:b-adapt=0"},
}
HEVC = {
    "pyramid, open groups": {"x265-params": "log-level=none:bframes=4:keyint=24:b-adapt=0"},
    "closed groups": {"x265-params": "log-level=none:bframes=3:keyint=24:open-gop=0:b-adapt=0"},
    "no B": {"x265-params": "log-level=none:bframes=0"},
    "temporal layers": {"x265-params": "log-level=none:bframes=4:temporal-layers=3:b-adapt=0"},
}
STREAMS = [("libx264", name, "mp4") for name in H264] + [("libx265", name, "mp4") for name in HEVC]
STREAMS += [("libx264", "pyramid", ending) for ending in ("mkv", "ts", "flv")]
STREAMS += [("libx265", "pyramid, open groups", "ts")]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Real pictures by encoder, options and container, made once."""
    folder = tmp_path_factory.mktemp("needed")
    with av.open(str(CLIPS / "kitten.mp4")) as container:
        pictures = [frame.reformat(96, 64) for frame in container.decode(video=0)]

    def make(encoder: str, name: str, ending: str) -> Path:
        path = folder / f"{encoder}-{name}.{ending}"
        if not path.exists():
            options = (H264 if encoder == "libx264" else HEVC)[name] | {"preset": "veryfast"}
            with av.open(str(path), "w") as container:
                stream = container.add_stream(encoder, rate=8, options=options)
                stream.width, stream.height = 96, 64
                for number, picture in enumerate(pictures):
                    picture.pts, picture.time_base = number, Fraction(1, 8)
                    picture.pict_type = 0
                    container.mux(stream.encode(picture))
                container.mux(stream.encode(None))
        return path

    return make


def disposable_pts(path: Path) -> set[int]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        disposable = DisposablePackets(stream.codec_context.name, stream.codec_context.extradata)
        return {packet.pts for packet in packets(container, stream) if disposable(memoryview(packet))}


def decoded_pts(path: Path, skip: str) -> set[int]:
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.skip_frame = skip
        return {frame.pts for frame in container.decode(video=0)}


@pytest.mark.parametrize(("encoder", "name", "ending"), STREAMS)
def test_disposable_are_those_that_ffmpeg_can_skip(encoder, name, ending, made):
    path = made(encoder, name, ending)
    skipped = decoded_pts(path, "DEFAULT") - decoded_pts(path, "NONREF")
    found = disposable_pts(path)
    if name == "interlaced":
        assert skipped  # but a packet might be a single field
        assert not found
    else:
        assert found == skipped
        assert bool(found) == ("no B" not in name)


@pytest.mark.parametrize(("encoder", "name", "ending"), STREAMS)
def test_wanted_frames_are_those_of_decoding_everything(encoder, name, ending, made):
    path = made(encoder, name, ending)
    with av.open(str(path)) as container:
        truth = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    for wanted in ([7], [0, COUNT - 1], [3, 22, 23, 24, 41], list(range(0, COUNT, 2))):
        with path.open("rb") as file, video_stream(file, Clip(str(path))) as opened:
            index = index_packets(*opened)
        with path.open("rb") as file, video_stream(file, Clip(str(path))) as opened:
            found = [frame.to_ndarray(format="rgb24") for frame in announced_frames(*opened, index, wanted)]
        assert len(found) == len(wanted)
        for picture, number in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(picture, truth[number])


@pytest.mark.parametrize(
    ("encoder", "header"), [("libx264", b"\x06"), ("libx265", b"\x4e\x01"), ("libx265", b"\x50\x01")]
)
def test_film_grain_may_last_for_later_pictures(encoder, header, made):
    def with_information(packet: bytes, kind: int) -> bytes:
        unit = header + bytes([5, 1, 0x80, kind, 1, 0x80, 0x80])
        return len(unit).to_bytes(4, "big") + unit + packet

    with av.open(
        str(made(encoder, {"libx264": "no pyramid"}.get(encoder, "closed groups"), "mp4"))
    ) as container:
        stream = container.streams.video[0]
        disposable = DisposablePackets(stream.codec_context.name, stream.codec_context.extradata)
        found = [bytes(packet) for packet in packets(container, stream) if disposable(memoryview(packet))]
    assert found
    assert disposable(memoryview(with_information(found[0], 5)))
    assert not disposable(memoryview(with_information(found[0], 19)))
    grain, none = (b"\0\0\1" + with_information(b"", kind)[4:] for kind in (19, 5))
    reader = READERS[stream.codec_context.name]
    assert (reader.has_film_grain(grain), reader.has_film_grain(none)) == (True, False)


class Recorder:
    """A decoder that keeps the stamps of the packets that it gets."""

    def __init__(self, context: av.VideoCodecContext) -> None:
        self._context = context
        self.pts: list[int] = []

    def decode(self, packet: av.Packet | None) -> list[av.VideoFrame]:
        if packet is not None:
            self.pts.append(packet.pts)
        return self._context.decode(packet)

    def flush_buffers(self) -> None:
        self._context.flush_buffers()


@pytest.mark.parametrize(("encoder", "name"), [("libx264", "pyramid"), ("libx265", "closed groups")])
def test_little_is_decoded_that_leads_to_no_wanted_frame(encoder, name, made):
    """Groups begin with frames 0, 24 and 48; of the first none is wanted, of the second one in its middle."""
    path = made(encoder, name, "mp4")
    disposable = disposable_pts(path)
    with path.open("rb") as file, video_stream(file, Clip(str(path))) as opened:
        index = index_packets(*opened)
        assert index.keyframe_pts.tolist() == index.pts[[0, 24, 48]].tolist()
    with path.open("rb") as file, video_stream(file, Clip(str(path))) as (container, stream):
        decoder = Recorder(stream.codec_context)
        assert len(list(announced(container, stream, index, [37, 48], decoder))) == 2
    numbers = np.searchsorted(index.pts, decoder.pts).tolist()
    assert numbers[0] == 24
    assert numbers[-1] == 48
    assert max(numbers[:-1]) <= 37 + 6  # what a decoder holds back
    left_out = set(range(24, 37)) - set(numbers)
    assert left_out
    assert all(int(index.pts[number]) in disposable for number in left_out)


@pytest.mark.parametrize(
    ("encoder", "name"), [("libx264", "pyramid"), ("libx264", "no pyramid"), ("libx265", "closed groups")]
)
def test_stamps_in_the_order_of_decoding_choose_no_wrong_frame(encoder, name, made, tmp_path):
    """As some muxers write them, who do not know that a stream is reordered."""
    path, stamped = made(encoder, name, "mp4"), tmp_path / "stamped.mp4"
    with av.open(str(path)) as whole, av.open(str(stamped), "w") as changed:
        stream = changed.add_stream_from_template(whole.streams.video[0])
        for number, packet in enumerate(packets(whole, whole.streams.video[0])):
            packet.pts = packet.dts = number * 2048
            packet.stream = stream
            changed.mux(packet)
    with av.open(str(stamped)) as container:
        truth = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    with stamped.open("rb") as file, video_stream(file, Clip(str(stamped))) as opened:
        index = index_packets(*opened)
    for number in range(COUNT):
        with stamped.open("rb") as file, video_stream(file, Clip(str(stamped))) as opened:
            try:
                found = [
                    frame.to_ndarray(format="rgb24") for frame in announced_frames(*opened, index, [number])
                ]
            except IndexDisagrees:
                continue
        np.testing.assert_array_equal(found[0], truth[number])


@pytest.mark.parametrize("encoder", ["mpeg4", "mpeg2video", "libx264", "libx265"])
def test_a_container_that_calls_every_packet_a_keyframe_chooses_no_wrong_frame(encoder, tmp_path):
    path = tmp_path / "claims.mp4"
    with av.open(str(CLIPS / "kitten.mp4")) as container:
        pictures = [frame.reformat(176, 144, "yuv420p") for frame in container.decode(video=0)]
    with av.open(str(path), "w") as container:
        options = {"g": "30"} | ({"x265-params": "log-level=none"} if encoder == "libx265" else {})
        stream = container.add_stream(encoder, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 176, 144, "yuv420p"
        for number, picture in enumerate(pictures):
            picture.pts, picture.time_base, picture.pict_type = number, Fraction(1, 25), 0
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    content = path.read_bytes()
    assert content.count(b"stss") == 1
    path.write_bytes(content.replace(b"stss", b"free"))  # without the list of keyframes, all are
    with av.open(str(path)) as container:
        truth = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    frames = decode_frames(Clip(str(path)), FrameSampling("uniform", 6))
    for picture, number in zip(frames.pixels, frames.indices, strict=True):
        np.testing.assert_array_equal(picture.transpose(1, 2, 0), truth[number])


def test_what_a_higher_temporal_layer_may_refer_to_is_needed(made):
    """HEVC says only of a picture's own layer that it does not refer to it: here, pictures of the highest but one."""
    with av.open(str(made("libx265", "temporal layers", "mp4"))) as container:
        stream = container.streams.video[0]
        disposable = DisposablePackets("hevc", stream.codec_context.extradata)
        lower = DisposablePackets("hevc", stream.codec_context.extradata)
        found = [bytes(packet) for packet in packets(container, stream) if disposable(memoryview(packet))]
    assert found
    for packet in found:
        assert lower(memoryview(packet))
        layer = packet[5] & 7
        assert layer == 3  # as temporal_id_plus1
        assert not lower(memoryview(packet[:5] + bytes([packet[5] - 1]) + packet[6:]))


def test_nothing_of_an_unknown_codec_is_disposable():
    disposable = DisposablePackets("vp9", None)
    assert not any(disposable(memoryview(bytes([byte] * 9))) for byte in range(256))


def test_nothing_is_disposable_after_a_packet_that_is_none():
    with av.open(str(CLIPS / "horse.mp4")) as container:
        stream = container.streams.video[0]
        whole = [bytes(packet) for packet in packets(container, stream)]
        disposable = DisposablePackets("h264", stream.codec_context.extradata)
        assert sum(map(disposable, map(memoryview, whole))) > 0
        damaged = b"\xff" * len(whole[0])
        disposable = DisposablePackets("h264", stream.codec_context.extradata)
        assert not any(map(disposable, map(memoryview, [damaged, *whole])))


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_no_bytes_raise(codec):
    chance = random.Random(0)
    with av.open(str(CLIPS / "horse.mp4")) as container:
        real = [container.streams.video[0].codec_context.extradata or b""]
        real += [bytes(packet)[:200] for packet in packets(container, container.streams.video[0])]
    for _ in range(3000):
        extradata, packet = (bytearray(chance.choice(real)) for _ in range(2))
        for changed in (extradata, packet):
            for _ in range(chance.randrange(4)):
                if changed:
                    changed[chance.randrange(len(changed))] = chance.randrange(256)
            del changed[chance.randrange(len(changed) + 1) :]
        DisposablePackets(codec, bytes(extradata))(memoryview(packet))
