"""Clips on their way are bounded by bytes, whatever is sent of them."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from framescribe import CaptionSettings, Endpoint, EndpointCaptioner, FrameSampling
from framescribe.endpoint import held
from framescribe.endpoint.held import HeldBytes
from tests.endpoint.kill_resume import make_clips
from tests.endpoint.server import FakeServer


def test_no_more_is_held_than_the_most():
    room, now, most, lock = HeldBytes(100), 0, 0, threading.Lock()

    def hold(count):
        nonlocal now, most
        with room.taking(count):
            with lock:
                now += count
                most = max(most, now)
            with lock:
                now -= count
        room.give_back(count)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(hold, [1, 40, 99, 7, 60, 33] * 300))
    assert 60 < most <= 100


def test_what_is_larger_than_the_most_is_held_alone():
    room = HeldBytes(100)
    with room.taking(5):
        pass
    with ThreadPoolExecutor(1) as pool:
        large = pool.submit(lambda: room.taking(1000).__enter__())
        assert not large.done()
        room.give_back(5)
        assert large.result(timeout=240) == 1000
        waiting = pool.submit(lambda: room.taking(1).__enter__())
        room.close()
        assert waiting.result(timeout=240) == 1


def test_what_fails_is_given_back():
    room = HeldBytes(100)
    with pytest.raises(OSError, match="broken"), room.taking(100):
        raise OSError("broken")
    with room.taking(100) as taken:
        assert taken == 100


@pytest.mark.parametrize("send", ["video", "png"])
def test_clips_wait_for_each_other(tmp_path, monkeypatch, send):
    """With room for one clip there is one request at a time; all clips are captioned all the same."""
    monkeypatch.setattr(held, "_MOST_BYTES", 1)
    make_clips(tmp_path, 6)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    settings = CaptionSettings(sampling=FrameSampling("uniform", num_frames=2))
    with FakeServer(delay_s=0.1) as server, EndpointCaptioner(Endpoint(server.url, send=send)) as captioner:
        rows = list(captioner.caption(tmp_path, settings, prompts=["What?", "Who?"]))
    assert sorted(row.caption_status for row in rows) == ["error"] * 2 + ["success"] * 12
    assert server.most_in_flight == 2
