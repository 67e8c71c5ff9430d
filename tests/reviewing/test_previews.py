"""What a browser cannot play is played all the same, in a real one: containers, codecs, 10 bits, tars and URLs."""

import functools
import http.server
import tarfile
import threading
from fractions import Fraction

import av
import numpy as np
import pytest

from tests.reviewing.conftest import until
from tests.reviewing.served import Server, append, caption_row, write_clip

pytestmark = pytest.mark.browser

KINDS = {
    "ts.ts": ("mpegts", "libx264", "yuv420p"), "hevc.mp4": ("mp4", "libx265", "yuv420p"),
    "ten-bit.mkv": ("matroska", "libx265", "yuv420p10le"), "old.avi": ("avi", "mpeg4", "yuv420p"),
    "edited.mov": ("mov", "prores_ks", "yuv422p10le"), "lossless.mkv": ("matroska", "ffv1", "yuv420p"),
}  # fmt: skip
WIDTH, HEIGHT, FRAMES, FPS = 64, 48, 20, 10


def write_video(path, container, codec, picture):
    """Two seconds, each frame brighter than the one before."""
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, picture
        if codec == "libx265":
            stream.options = {"x265-params": "log-level=none"}
        for number in range(FRAMES):
            pixels = np.full((HEIGHT, WIDTH, 3), 40 + 9 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=picture)
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """A server over a clip of each kind, from 0.5 s to 1.5 s; over a member of a tar and a video behind a URL."""
    home = tmp_path_factory.mktemp("media")
    for name, kind in KINDS.items():
        write_video(home / name, *kind)
    with tarfile.open(home / "set.tar", "w") as tar:
        tar.add(home / "old.avi", "in-a-tar.avi")
    write_clip(home / "remote.mp4", 1)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(home))
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    span = {"start_s": 0.5, "end_s": 1.5}
    rows = [caption_row(home / name, place, **span) for place, name in enumerate(KINDS)]
    rows.append(caption_row(f"{home / 'set.tar'}::in-a-tar.avi", 90, **span))
    rows.append(caption_row(f"http://127.0.0.1:{web.server_address[1]}/remote.mp4", 91))
    append(home / "captions", rows)
    server = Server(home / "captions", home / "cache")
    yield server
    server.kill()
    web.shutdown()


def test_each_kind_plays(media, pages):
    page = pages(media)
    for place, row in enumerate(media.all_rows()):
        name = row["source_video"].rpartition("/")[2].rpartition("::")[2]
        until(page, "name => document.querySelector('.focus h2').textContent.endsWith(name)", name)
        playing = "video.src.includes(clip) && !video.hidden && video.currentTime > 0"
        until(
            page,
            f"clip => {{ const video = document.querySelector('video'); return {playing} }}",
            row["clip_id"],
        )
        assert page.locator(".screen .message").is_hidden()
        duration_s = page.evaluate("document.querySelector('video').duration")
        assert duration_s == pytest.approx(1.0, abs=0.11), name
        if place + 1 < len(media.all_rows()):
            page.keyboard.press("n")
    strip = media.client.get("/media/strip", params={"clip": row["clip_id"]})
    assert strip.content[:3] == b"\xff\xd8\xff"
