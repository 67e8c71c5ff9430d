import io
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framescribe.errors import ClipError
from framescribe.types import Clip
from framescribe.video.random_access import RandomAccess
from framescribe.video.source import open_source

CONTENT = bytes(range(256)) * 100


class Handler(BaseHTTPRequestHandler):
    """Serves whole files only, as the simplest servers do: no ranges."""

    def do_GET(self) -> None:
        if self.path == "/video.mp4":
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT)
        elif self.path == "/broken-off.mp4":
            self.send_response(200)
            self.send_header("Content-Length", str(2 * len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT)
        else:
            self.send_error(404)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def error_of(clip: Clip) -> str:
    with pytest.raises(ClipError) as caught, open_source(clip):
        pass
    assert caught.value.stage == "open"
    assert clip.source_video in str(caught.value)
    return str(caught.value)


def test_path(tmp_path):
    path = tmp_path / "video.mp4"
    path.write_bytes(CONTENT)
    with open_source(Clip(str(path))) as file:
        assert file.read() == CONTENT
    assert file.closed


def test_bytes():
    with open_source(Clip("label", data=CONTENT)) as file:
        assert file.read() == CONTENT


def test_an_open_file_is_rewound_and_left_open():
    mine = io.BytesIO(CONTENT)
    mine.seek(77)
    with open_source(Clip("label", data=mine)) as file:
        assert file.read() == CONTENT
    assert not mine.closed


def test_memory_url():
    with fsspec.open("memory://opened/video.mp4", "wb") as file:
        file.write(CONTENT)
    with open_source(Clip("memory://opened/video.mp4")) as file:
        file.seek(-1, os.SEEK_END)
        assert file.read() == CONTENT[-1:]


def test_a_url_that_is_a_folder():
    with fsspec.open("memory://opened/video.mp4", "wb") as file:
        file.write(CONTENT)
    assert "is a folder" in error_of(Clip("memory://opened"))


def test_a_server_without_ranges_still_gives_a_seekable_file(server_url):
    with open_source(Clip(f"{server_url}/video.mp4")) as file:
        assert file.seek(0, os.SEEK_END) == len(CONTENT)
        file.seek(1000)
        assert file.read(4) == CONTENT[1000:1004]


def test_404(server_url):
    assert "cannot be fetched: HTTP 404 Not Found" in error_of(Clip(f"{server_url}/other.mp4"))


def test_a_download_that_breaks_off(server_url):
    assert "cannot be fetched" in error_of(Clip(f"{server_url}/broken-off.mp4"))


def test_a_file_open_as_text(tmp_path):
    path = tmp_path / "video.mp4"
    path.write_bytes(b"abc")
    with path.open() as file:
        assert "binary mode" in error_of(Clip("label", data=file))


def test_a_file_that_cannot_seek():
    reading, writing = os.pipe()
    os.close(writing)
    with open(reading, "rb") as file:
        assert "seekable" in error_of(Clip("label", data=file))


def test_a_closed_file():
    file = io.BytesIO(CONTENT)
    file.close()
    assert "needs an open, seekable binary file" in error_of(Clip("label", data=file))


def test_an_empty_file():
    assert "0 bytes" in error_of(Clip("label", data=io.BytesIO()))


class _Bytes(RandomAccess):
    def __init__(self, content: bytes) -> None:
        super().__init__(len(content))
        self._content = content

    def read_at(self, at: int, count: int) -> bytes:
        assert 0 <= at < at + count <= len(self._content)
        return self._content[at : at + min(count, 3)]  # as a server may send less


@given(
    st.binary(max_size=20),
    st.lists(st.tuples(st.integers(-30, 30), st.sampled_from([0, 1, 2]), st.integers(0, 30)), max_size=8),
)
def test_a_file_read_by_position_is_read_as_any_other(content, steps):
    found, wanted = _Bytes(content), io.BytesIO(content)
    for offset, whence, count in steps:
        place = max(offset, 0) if whence == io.SEEK_SET else offset
        assert found.seek(place, whence) == wanted.seek(place, whence)
        assert found.read(min(count, 3)) == wanted.read(min(count, 3))
    found.seek(0)
    assert found.readall() == content
