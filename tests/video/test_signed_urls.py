"""URLs go out byte for byte as they are named: right values are the request lines that ``curl URL`` sends."""

from __future__ import annotations

import hashlib
import json
from http.server import BaseHTTPRequestHandler

import pytest

from framescribe.errors import ClipError
from framescribe.pipeline.hashes import source_sha256
from framescribe.pipeline.sources import expand_sources
from framescribe.types import Clip
from framescribe.video.address import folder_of, split_member, suffix_of
from framescribe.video.source import open_source
from tests.attacks.server import redirect, send, serving
from tests.pipeline.test_listing import tar_bytes

# ``curl -g --path-as-is http://127.0.0.1:PORT/TARGET`` (curl 7.88.1) sends these request targets, by what a server saw:
# each came as it is here.
TARGETS = [
    "/b/my%20clip%2Bone.mp4?sig=ab%2Fcd%3D%2B%20e&X-Amz-Credential=AK%40x%2F2026",
    "/sp/a%2Fb.mp4?token=x%3Ay~z'(1)",
    "/c%5B1%5D.mp4",
    "/plain.mp4",
    "/a+b.mp4?x=a+b&y=%26%25%2B",
    "/%E7%8C%AB.mp4?name=%e7%8c%ab",  # lower-case escapes stay lower case
    "/a//b/./c/../d.mp4",
    "/a.mp4?Expires=1&Signature=~Q-_.!*'();:@=$,/?[]",
    "/a.mp4?a=%2F..%2F&b==&&c",
    "/a;v=1,2.mp4?",
    "/A%7Ea.mp4",
    "/a.mp4?redirect=http://host/%3A",
]


@pytest.fixture
def server():
    with serving() as server:
        yield server


@pytest.mark.parametrize("target", TARGETS)
def test_a_url_as_named(target, server):
    server.pages[target] = b"video"
    name = server.url + target
    (clip,) = expand_sources([name])
    assert clip == Clip(name)
    with open_source(clip) as file:
        assert file.read() == b"video"
    assert source_sha256(clip) == hashlib.sha256(b"video").hexdigest()
    assert server.paths == [target] * 2
    assert {method for method, _, _ in server.requests} == {"GET"}  # a signature holds for one method


def test_in_lists_of_every_sort(server, tmp_path):
    names = [server.url + target for target in TARGETS]
    server.pages = dict.fromkeys(TARGETS, b"video")
    (tmp_path / "l.txt").write_text("".join(f"{name}\n" for name in names))
    (tmp_path / "l.jsonl").write_text("".join(json.dumps({"path": name}) + "\n" for name in names))
    for path in (tmp_path / "l.txt", tmp_path / "l.jsonl"):
        clips = list(expand_sources([str(path)]))
        assert [clip.source_video for clip in clips] == names
        for clip in clips:
            with open_source(clip):
                pass
    assert server.paths == TARGETS * 2


def test_what_no_request_can_hold_is_escaped(server):
    """As browsers do; curl refuses spaces."""
    server.pages = {"/a%20b.mp4": b"1", "/%E7%8C%AB.mp4?x=%C3%A9": b"2"}
    for name, content in (("/a b.mp4", b"1"), ("/猫.mp4?x=é#t=1,2", b"2")):
        with open_source(Clip(server.url + name)) as file:
            assert file.read() == content


def test_a_redirect_to_a_signed_url(server):
    server.pages = {"/a.mp4": redirect(TARGETS[0]), TARGETS[0]: b"video"}
    with open_source(Clip(f"{server.url}/a.mp4")) as file:
        assert file.read() == b"video"
    assert server.paths == ["/a.mp4", TARGETS[0]]


def test_a_server_that_stops_sending_parts_is_not_believed(server):
    """Its answer would be the file's beginning, whatever part was asked for."""
    content = tar_bytes({"a.mp4": b"video"})

    def first_part_only(handler: BaseHTTPRequestHandler) -> None:
        is_first = len(server.requests) == 1
        place = {"Content-Range": f"bytes 0-0/{len(content)}"}
        send(handler, 206, content[:1], place) if is_first else send(handler, 200, content)

    server.pages = {"/x.tar": first_part_only}
    with (
        pytest.raises(ClipError, match="it stopped sending ranges"),
        open_source(Clip(f"{server.url}/x.tar::a.mp4")),
    ):
        pass


QUERY = "?sig=ab%2Fcd%3D&name=x.mp4"


@pytest.mark.parametrize("sends_ranges", [False, True])
def test_a_query_does_not_hide_what_a_path_names(sends_ranges, server):
    server.sends_ranges = sends_ranges
    server.pages = {
        f"/s/l.txt{QUERY}": b"a.mp4\n",
        f"/s/l.CSV{QUERY}": b"path\nsub/b%2F.mp4\n",
        f"/s/x.tar{QUERY}": tar_bytes({"k.mp4": b"one" * 999, "k.txt": b"", "l.mp4": b"two"}),
        "/s/a.mp4": b"a",
        "/s/sub/b%2F.mp4": b"b",
    }
    names = [server.url + page for page in list(server.pages)[:3]]
    clips = list(expand_sources(names))
    tar = names[2]
    assert [clip.source_video for clip in clips] == [
        f"{server.url}/s/a.mp4", f"{server.url}/s/sub/b%2F.mp4", f"{tar}::k.mp4", f"{tar}::l.mp4",
    ]  # fmt: skip
    for clip, content in zip(clips, (b"a", b"b", b"one" * 999, b"two"), strict=True):
        for each in (clip, Clip(clip.source_video)):
            with open_source(each) as file:
                assert file.read() == content
                file.seek(1)
                assert file.read(1) == content[1:2]


def test_servers_that_tell_no_length_or_refuse_head(server):
    def without_length(handler):
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(b"video")
        handler.close_connection = True

    server.pages["/a.mp4"] = without_length
    server.pages["/b.mp4"] = lambda handler: send(
        handler, 405 if handler.command == "HEAD" else 200, b"video"
    )
    for page in ("/a.mp4", "/b.mp4"):
        with open_source(Clip(server.url + page)) as file:
            assert file.read() == b"video"


@pytest.mark.parametrize(
    ("name", "suffix", "folder"),
    [
        ("https://h/a/l.csv?x=/b/c.tar", ".csv", "https://h/a"),
        ("https://h/a/l.TAR#x.mp4", ".tar", "https://h/a"),
        ("s3://b/a/l.jsonl?versionId=a/b.c", ".jsonl", "s3://b/a"),
        ("https://h", "", "https:/"),
        ("/a/what?.mp4", ".mp4", "/a"),
        ("a#b/c.Txt", ".txt", "a#b"),
        ("https://h/a/x.tar?s=1/2.csv::sub/k.MP4", ".mp4", "https://h/a"),
    ],
)
def test_suffix_and_folder(name, suffix, folder):
    assert suffix_of(name) == suffix
    if name != "https://h":
        assert folder_of(name) == folder


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a.tar::k.mp4", ("a.tar", "k.mp4")),
        ("a.TAR::b::c.mp4", ("a.TAR", "b::c.mp4")),
        ("a::b.tar::c.tar::d", ("a::b.tar", "c.tar::d")),
        ("https://h/a.tar?x=1::k", ("https://h/a.tar?x=1", "k")),
        ("http://[::1]:8/a.tar::k", ("http://[::1]:8/a.tar", "k")),
        ("a.parquet::3/k.mp4", ("a.parquet", "3/k.mp4")),
        ("a.tar::", None),
        ("a.mp4::b", None),
        ("http://[::1]/a.mp4", None),
    ],
)
def test_names_of_files_in_archives(name, parts):
    assert split_member(name) == parts


def test_files_of_our_own_are_not_called_after_a_signature(tmp_path):
    """Whose digits change each time that a URL is signed, and may hold anything."""
    from framescribe.export.select import to_candidate
    from framescribe.quality.cleanup import CleanupRules
    from framescribe.video.cutting import cut_path
    from tests.dataset.test_row_file import row

    name = f"https://host/b/my%20clip.mp4{QUERY}.c"
    candidate = to_candidate(row(0, source_video=name, caption="A.").to_dict(), CleanupRules(), [])
    assert candidate.stem.startswith("my-20clip-")
    assert candidate.clip.source_video == name
    assert cut_path(tmp_path, Clip(name), (0, 1)).name.startswith("my%20clip-00000000-")
