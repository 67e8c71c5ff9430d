"""When frames are shown, which way up, and which of them a span has."""

from __future__ import annotations

import struct
from pathlib import Path

import av

from framescribe.types import Clip
from tests.awkward.making import FPS, NUM_FRAMES, awkward, clip, patch, turn, video


@awkward("success")
def turned_90(folder: Path) -> Clip:
    return turn(video(folder / "turned-90.mp4"), 1)


@awkward("success")
def turned_180(folder: Path) -> Clip:
    return turn(video(folder / "turned-180.mp4"), 2)


@awkward("success")
def turned_270(folder: Path) -> Clip:
    return turn(video(folder / "turned-270.mp4"), 3)


@awkward("success")
def variable_frame_rate(folder: Path) -> Clip:
    pts = [0, 30, 60, 90, 1000, 1010, 1020, 2500, 2600, 4000]
    return clip(video(folder / "vfr.mp4", pts=pts, ticks_per_s=1000))


@awkward("success")
def hour_long_pause(folder: Path) -> Clip:
    return clip(video(folder / "pause.mkv", pts=[0, 1, 2, 3, 3600 * FPS], options={"bf": "0"}))


@awkward("success")
def late_start(folder: Path) -> Clip:
    return clip(video(folder / "late.mkv", pts=range(100 * FPS, 100 * FPS + NUM_FRAMES)))


@awkward("success")
def negative_start(folder: Path) -> Clip:
    return clip(video(folder / "negative.mp4", pts=range(-FPS, NUM_FRAMES - FPS)))


@awkward("success")
def edit_list(folder: Path) -> Clip:
    """An MP4 of which the first second is stored and not to be shown."""
    path = video(folder / "edit.mp4", options={"bf": "0", "g": "24"})
    content = path.read_bytes()
    movie_scale, media_scale = (
        struct.unpack_from(">I", content, content.index(box) + 16)[0] for box in (b"mvhd", b"mdhd")
    )
    seconds_shown = NUM_FRAMES // FPS - 1
    return patch(path, b"elst", 12, struct.pack(">2i", seconds_shown * movie_scale, media_scale))


@awkward("success")
def span(folder: Path) -> Clip:
    return Clip(str(video(folder / "span.mp4")), 1.0, 2.0)


@awkward("sample")
def span_beyond_the_end(folder: Path) -> Clip:
    return Clip(str(video(folder / "short.mp4")), 100.0, 110.0)


@awkward("success")
def span_between_frames(folder: Path) -> Clip:
    return Clip(str(video(folder / "between.mp4")), 0.01, 0.02)


@awkward("success")
def metadata_that_is_not_text(folder: Path) -> Clip:
    """A title and a stream's language in Latin-1, as old tools write them."""
    source, path = video(folder / "plain.mkv"), folder / "latin-1.mkv"
    with av.open(str(source)) as plain, av.open(str(path), "w") as tagged:
        stream = tagged.add_stream_from_template(plain.streams.video[0])
        tagged.metadata["title"] = stream.metadata["title"] = "cafETITLE"
        for packet in plain.demux(plain.streams.video[0]):
            if packet.size:
                packet.stream = stream
                tagged.mux(packet)
    path.write_bytes(path.read_bytes().replace(b"cafETITLE", b"caf\xe9TITLE"))
    return clip(path)


@awkward("success")
def odd_time_base(folder: Path) -> Clip:
    """Ticks of a prime number a second."""
    stamps = [number * 1_000_003 // FPS for number in range(NUM_FRAMES)]
    return clip(video(folder / "odd-clock.mp4", pts=stamps, ticks_per_s=1_000_003))


@awkward("success")
def a_thousand_frames_a_second(folder: Path) -> Clip:
    return clip(video(folder / "fast.mp4", pts=range(NUM_FRAMES), ticks_per_s=1000, options={"bf": "0"}))
