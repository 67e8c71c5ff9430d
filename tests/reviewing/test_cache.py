"""The cache of previews: what several want is made once at a time, and nothing goes away before it is opened."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from framescribe.errors import ClipError
from framescribe.reviewing.previews import Previews
from tests.reviewing.served import write_clip

AN_HOUR_S = 3600


@pytest.fixture
def rows(tmp_path):
    paths = [tmp_path / f"clip-{number}.mp4" for number in range(3)]
    for number, path in enumerate(paths):
        write_clip(path, number)
    return [{"source_video": str(path), "start_s": 0.0, "end_s": None} for path in paths]


def test_a_file_is_made_by_one_at_a_time_also_after_a_failure(tmp_path):
    previews = Previews(tmp_path / "cache", 1 << 20)
    guard, running, most = threading.Lock(), 0, 0

    def make(path):
        nonlocal running, most
        with guard:
            running += 1
            most = max(most, running)
        os.sched_yield()
        with guard:
            running -= 1
        raise ClipError("decode", "it is broken")

    def ask(_):
        with pytest.raises(ClipError):
            previews._made("broken.jpg", make)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(400)))
    previews.close()
    assert most == 1
    assert not previews._making  # nothing is kept of files that nobody waits for


def test_what_was_asked_for_just_now_stays_and_the_longest_unused_goes(tmp_path, rows):
    previews = Previews(tmp_path / "cache", 1)
    try:
        first, second = previews.strip(rows[0]), previews.strip(rows[1])
        assert [each.is_file() for each in (first, second)] == [True, True]
        then = time.time() - AN_HOUR_S
        os.utime(first, (then, then))
        third = previews.strip(rows[2])
        assert [each.is_file() for each in (first, second, third)] == [False, True, True]
    finally:
        previews.close()
