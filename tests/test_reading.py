"""Files of strangers are opened as what they are: regular files, UTF-8 with any mark, lines within a limit."""

import io
import os
import re
import socket

import pytest

from framescribe import reading
from framescribe.errors import UsageError
from framescribe.reading import open_regular, read_text, text_lines


def test_pipes_sockets_and_devices_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.mp4"))
        for name in (tmp_path / "pipe.mp4", tmp_path / "socket.mp4", "/dev/zero", "/dev/tty"):
            if os.path.exists(name):
                with pytest.raises(OSError, match="is not a regular file"):
                    open_regular(name)
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)


def test_what_becomes_a_pipe_while_it_is_opened_is_not_waited_for(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.mp4")
    regular = os.stat(__file__)
    monkeypatch.setattr(os, "stat", lambda name, **options: regular)
    with pytest.raises(OSError, match="is not a regular file"):
        open_regular(tmp_path / "pipe.mp4")


def test_limits_are_those_of_the_documentation():
    """``docs/rows.md`` and ``docs/sources.md``: a line of 16 MiB; a text that is read at once has 64."""
    assert (reading.MAX_LINE_BYTES, reading.MAX_TEXT_BYTES) == (16 * 2**20, 64 * 2**20)


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '{"a": {"b": 1, "b": 1}}', "[1]", "{", "[" * 100_000])
def test_json_that_two_readers_would_read_differently_is_refused(text, tmp_path):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=re.escape(str(path))):
        reading.read_json(path, 1 << 20)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("é\r\nb\rc\n".encode(), "é\nb\nc\n"),
        ("é".encode("utf-8-sig"), "é"),
        (b"", ""),
    ],
)
def test_text_is_utf8_with_or_without_a_mark(content, text, tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    assert read_text(path) == text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("hallo".encode("utf-16"), "is UTF-16; save it as UTF-8"),
        ("hallo".encode("utf-32"), "is UTF-32; save it as UTF-8"),
        (b"\xff\xfe\xfd", "is UTF-16"),
        (b"caf\xe9", "is not UTF-8: unexpected end of data at byte 3"),
    ],
)
def test_other_encodings_are_said(content, said, tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=said):
        read_text(path)


def test_lines_without_end_cost_no_memory(monkeypatch, tmp_path):
    monkeypatch.setattr(reading, "MAX_LINE_BYTES", 10)
    content = b"\xef\xbb\xbfone\n" + b"x" * 35 + b"\nexactly 9\n\nlast"
    assert list(text_lines(io.BytesIO(content), "l")) == [b"one\n", None, b"exactly 9\n", b"\n", b"last"]
    monkeypatch.setattr(reading, "MAX_TEXT_BYTES", 10)
    (tmp_path / "big").write_bytes(b"x" * 11)
    with pytest.raises(UsageError, match="is no text to read at once"):
        read_text(tmp_path / "big")
