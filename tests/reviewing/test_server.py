"""The server as a program meets it: rows, decisions that are on the disk, media, and those who are kept out."""

import json
import resource
import socket

import httpx
import pytest

import framescribe
from framescribe import Dataset, Decisions
from framescribe.errors import UsageError
from framescribe.reviewing.serve import _listening
from tests.reviewing.conftest import HOSTILE
from tests.reviewing.served import Server, append, append_scores, caption_row, make_folder


@pytest.fixture
def own(tmp_path):
    server = Server(make_folder(tmp_path / "clips", 6), tmp_path / "cache")
    server.all_rows()  # until these are read it says so
    yield server
    if server.process.poll() is None:
        server.stop()


def test_rows_are_searched_filtered_and_sorted(served):
    rows = served.all_rows()
    assert len(rows) == 32
    found = served.get(
        "/api/rows", search="KITE sea", where="caption_status = 'success'", order="length(caption) DESC"
    )
    captions = [row["caption"] for row in found["rows"]]
    assert captions == sorted(
        (row["caption"] for row in rows if "kite" in (row["caption"] or "") and "sea" in row["caption"]),
        key=lambda text: -len(text),
    )
    again = served.get(
        "/api/rows",
        search="KITE sea",
        where="caption_status = 'success'",
        order="length(caption) DESC",
        view=found["view"],
        offset=2,
    )
    assert [row["caption"] for row in again["rows"]] == captions[2:]
    assert again["view"] == found["view"]
    assert served.get("/api/rows", order="needs")["rows"][0]["caption_status"] != "success"


@pytest.mark.parametrize(
    "where",
    [
        "1; DROP TABLE base",
        "clip_id IN (SELECT clip_id FROM base)",
        "read_text('/etc/passwd') <> ''",
        "nonsense",
        "(SELECT count(*) FROM decided) > 0",
        "list_sum(range(2000000000)) > 0",
        "length(REPEAT(caption, 2000000000)) > 0",
        "len(list_reduce([1, 2, 3], lambda a, b: a + b)) > 0",
    ],
)
def test_conditions_reach_nothing_but_the_rows(served, where):
    answer = served.client.get("/api/rows", params={"where": where})
    assert answer.status_code == 422
    assert "where" in answer.json()["error"]


def test_what_is_said_to_be_saved_survives_a_kill(own):
    rows = own.all_rows()
    answer = own.decide("first-decision", "reject", rows[0], reason="no kite")
    assert answer["is_saved"]
    own.kill()
    own.start()
    assert own.decide("first-decision", "reject", rows[0], reason="no kite") == answer | {"is_new": False}
    history = own.get("/api/clip", clip=rows[0]["clip_id"])["history"]
    assert [(entry["action"], entry["reason"], entry["reviewer"]) for entry in history] == [
        ("reject", "no kite", "ann")
    ]
    assert own.get("/api/rows", where="decision = 'reject'")["count"] == 1
    assert own.stop() == 0


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits of another process are Linux's")
def test_a_decision_is_saved_and_shown_later_where_the_reviews_own_table_has_no_room(own):
    row = own.all_rows()[0]
    assert own.decide("before-it-is-full", "tag", row, tags=["early"])["is_saved"]
    journal = sum(path.stat().st_size for path in own.folder.glob("decisions/_journal*"))
    own.limit_files(journal + 1000)  # room for an entry, but not for the table, which is longer
    assert own.decide("while-it-is-full", "reject", row, reason="full")["is_saved"]
    while (told := own.get("/api/folder"))["problem"] is None:
        pass
    assert "the review's own table" in told["problem"]
    assert own.get("/api/rows", where="decision = 'reject'")["count"] == 0
    own.limit_files(None)
    while own.get("/api/folder")["problem"] is not None:
        pass
    assert own.get("/api/rows", where="decision = 'reject'")["count"] == 1


def test_decisions_of_others_and_new_rows_appear(own, tmp_path):
    rows = own.all_rows()
    position = own.post("/api/changes", page="p" * 8, reviewer="ann", clip_id="")["position"]
    Decisions(own.folder, reviewer="ben").tag([rows[1]], ["lecture"])
    append(
        own.folder,
        [
            caption_row(tmp_path / "clips/new.mp4", 9),
            caption_row(rows[2]["source_video"], 2, "Captioned anew."),
        ],
    )
    others = own.post("/api/changes", page="q" * 8, reviewer="ben", clip_id=rows[1]["clip_id"])["others"]
    assert others == [{"reviewer": "ann", "clip_id": ""}]
    changes = own.post("/api/changes", page="p" * 8, reviewer="ann", clip_id="", since=position)
    assert [(entry["reviewer"], entry["tags"]) for entry in changes["decisions"]] == [("ben", ["lecture"])]
    assert changes["others"] == [{"reviewer": "ben", "clip_id": rows[1]["clip_id"]}]
    while own.post("/api/changes", page="p" * 8, reviewer="ann", clip_id="")["total"] < 7:
        pass
    now = own.all_rows()
    assert now[2]["caption"] == "Captioned anew."
    assert own.get("/api/rows")["count"] == 7
    assert own.get("/api/rows", where="list_contains(tags, 'lecture')")["count"] == 1


def test_a_bulk_edit_is_previewed_counted_and_undone_as_a_whole(own):
    before = {row["clip_id"]: row["caption"] for row in own.all_rows()}
    asked = {
        "kind": "replace",
        "find": "kite",
        "text": "glider",
        "search": "",
        "where": [],
        "reviewer": "ann",
    }
    preview = own.post("/api/bulk", **asked)
    expected = {clip: text.replace("kite", "glider") for clip, text in before.items() if "kite" in text}
    assert {each["clip_id"]: each["after"] for each in preview["changes"]} == expected
    assert preview["count"] == len(expected)
    done = own.post("/api/bulk", **asked, count=preview["count"], group_id="bulk-edit-1")
    assert {
        row["clip_id"]: row["edited_caption"] for row in own.all_rows() if row["edited_caption"]
    } == expected
    own.post(
        "/api/decide", decisions=[{"group_id": "undo-it-all", "action": "undo", "undoes": done["group_id"]}]
    )
    assert not [row for row in own.all_rows() if row["edited_caption"]]
    clip = next(iter(expected))
    assert [entry["action"] for entry in own.get("/api/clip", clip=clip)["history"]] == ["edit", "undo"]


def test_a_choice_between_two_captions_says_only_afterwards_whose_they_were(served):
    pair = served.get("/api/compare")["pair"]
    assert {"model", "prompt"}.isdisjoint(pair)
    assert "Only the kite moves." in (pair["left"], pair["right"])


def test_a_choice_between_two_runs_is_a_decision_in_each(tmp_path):
    one = make_folder(tmp_path / "clips", 6)
    two, rows = tmp_path / "two", {each["clip_id"]: each for each in Dataset(one)}
    sources = sorted(each["source_video"] for each in rows.values())
    captions = {
        sources[1]: None,
        sources[2]: "Another caption.",
        sources[4]: "One more.",
    }  # None: the same one
    append(two, [caption_row(source, 1, text) for source, text in captions.items()])
    server = Server(one, tmp_path / "cache", "--compare", str(two))
    try:
        while (first := server.client.get("/api/compare")).status_code == 503:
            pass
        pair = first.json()["pair"]
        assert pair["source_video"] == sources[2]  # what has no other, or an equal, caption is passed over
        assert {pair["left"], pair["right"]} == {rows[pair["clip_id"]]["caption"], "Another caption."}
        better = "left" if pair["left"] == "Another caption." else "right"
        asked = {
            "clip_id": pair["clip_id"],
            "prompts": pair["prompts"],
            "choice": better,
            "group_id": "a-choice-1",
        }
        (two / "decisions").write_text("no folder")  # the second of the two logs cannot be written
        half = server.choose(**asked)
        assert not half["is_saved"]
        (two / "decisions").unlink()
        said = server.choose(**asked)  # sent again, as after a kill between the two
        assert said["sides"][better]["by"] == str(two)
        assert server.choose(**asked) == said
        last = server.get("/api/compare", after=pair["place"])["pair"]
        assert last["source_video"] == sources[4]
        asked = {
            "clip_id": last["clip_id"],
            "prompts": last["prompts"],
            "choice": "neither",
            "group_id": "a-choice-2",
        }
        server.choose(**asked)
        assert server.get("/api/compare")["pair"] is None
    finally:
        server.kill()
    for folder, verdict in ((one, "reject"), (two, "accept")):
        decisions = Decisions(folder)
        assert [entry.action for entry in decisions.history(pair["clip_id"])] == [verdict]
        assert [entry.action for entry in decisions.history(last["clip_id"])] == ["reject"]


def test_a_folder_is_not_compared_with_itself(tmp_path):
    folder = make_folder(tmp_path / "clips", 1)
    with pytest.raises(UsageError, match="the folder itself"):
        framescribe.review(folder, compare=f"{folder}/", open_browser=False)


def test_scores_of_a_running_review_appear_and_stay_when_a_clip_is_captioned_anew(own):
    first, second = own.all_rows()[:2]
    own.post("/api/decide", decisions=[])
    append_scores(own.folder, first, motion=2.5, decision=9.0, width=1e9)  # two of them named like columns
    append_scores(own.folder, second, motion=0.5)
    while "motion" not in own.get("/api/folder")["columns"]:
        pass
    assert own.get("/api/rows", where="motion > 1")["rows"][0]["clip_id"] == first["clip_id"]
    assert own.get("/api/rows", order="motion")["rows"][0]["clip_id"] == second["clip_id"]
    append(own.folder, [caption_row(first["source_video"], 0, "Captioned anew.")])
    while (row := own.get("/api/clip", clip=first["clip_id"])["row"])["caption"] != "Captioned anew.":
        pass
    while own.get("/api/clip", clip=first["clip_id"])["row"]["motion"] is None:
        pass
    assert (row["width"], row["decision"]) == (64, None)
    append_scores(own.folder, first, motion=7.5)
    while own.get("/api/clip", clip=first["clip_id"])["row"]["motion"] != 7.5:
        pass
    assert own.get("/api/folder")["problem"] is None


def test_media_come_in_ranges_and_as_strips(served):
    rows = served.all_rows()
    media = served.get("/api/media", clip=rows[0]["clip_id"])
    assert media["is_original"]
    whole = served.client.get(media["url"])
    part = served.client.get(media["url"], headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    strip = served.client.get("/media/strip", params={"clip": rows[0]["clip_id"]})
    assert strip.content[:3] == b"\xff\xd8\xff"
    gone = next(row for row in rows if row["source_video"].endswith("gone.mp4"))
    answer = served.client.get("/api/media", params={"clip": gone["clip_id"]})
    assert answer.status_code == 422
    assert "No such file" in answer.json()["error"]


def test_what_is_written_in_parts_goes_out_at_once():
    with _listening("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP  # without it asyncio leaves Nagle's algorithm on


def test_texts_are_measured(served):
    found = served.post("/api/check", text="A red kite rises over the")
    assert found == {"words": 6, "chars": 25, "flags": ["cut_off"], "t5": None, "clip": None}


def test_hostile_captions_come_as_json_that_nothing_runs(served):
    answer = served.client.get("/api/rows", params={"search": "onerror"})
    assert answer.json()["rows"][0]["caption"] == HOSTILE
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


ATTACKS = {
    "no token": {"cookies": None},
    "a guessed cookie": {"cookies": "A" * 43},
    "an empty cookie": {"cookies": ""},
    "a rebound host": {"host": "evil.example"},
    "a rebound host with our port": {"host": "evil.example:{port}"},
    "a host that looks like ours": {"host": "127.0.0.1.evil.example"},
    "a host with a user": {"host": "127.0.0.1@evil.example"},
    "a host that is a list": {"host": "localhost,evil.example"},
    "a host in another base": {"host": "2130706433"},
    "no host": {"host": ""},
    "another origin": {"origin": "http://evil.example"},
    "another port's origin": {"origin": "http://127.0.0.1:1"},
    "a null origin": {"origin": "null"},
    "an https origin": {"origin": "https://127.0.0.1:{port}"},
    "a change without an origin": {"origin": None, "method": "POST", "path": "/api/decide"},
    "another site": {"site": "cross-site"},
    "a page of another port": {"site": "same-site"},
    "a picture from another site": {"site": "cross-site", "path": "/media/strip?clip={clip}"},
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_strangers_are_kept_out(served, name):
    attack = {"path": "/api/rows", "method": "GET"} | ATTACKS[name]
    fill = {"port": served.port, "clip": "x"}
    headers = {
        "host": f"127.0.0.1:{served.port}",
        "origin": served.origin,
        "cookie": f"framescribe-{served.port}={served.token}",
    }
    if attack.get("cookies", 1) != 1:
        headers["cookie"] = (
            f"framescribe-{served.port}={attack['cookies']}" if attack["cookies"] is not None else ""
        )
    for header, key in (("host", "host"), ("origin", "origin"), ("sec-fetch-site", "site")):
        if key in attack:
            headers[header] = attack[key] and attack[key].format(**fill)
    status = raw(
        served.port,
        attack["method"],
        attack["path"].format(**fill),
        {k: v for k, v in headers.items() if v is not None},
    )[0]
    assert status in (400, 401, 403)
    assert (
        raw(
            served.port,
            "GET",
            "/api/rows",
            {"host": f"127.0.0.1:{served.port}", "cookie": f"framescribe-{served.port}={served.token}"},
        )[0]
        == 200
    )


TRICKS = [
    "/page/../app.py",
    "/page/%2e%2e/app.py",
    "/page/..%2fapp.py",
    "/page/....//app.py",
    "/page//etc/passwd",
    "/page/index.html%00",
    "/page/__init__.py",
    "/etc/passwd",
    "//etc/passwd",
    "/../../etc/passwd",
    "/media/video?clip=/etc/passwd",
    "/media/video?clip=../../token",
    "/media/video?clip=file:///etc/passwd",
    "/media/video?clip=http://127.0.0.1:1/x",
    "/media/strip?clip=%00",
    "/media/video",
    "/media/video?clip=x&prompt=-1",
    "/media/video?clip=x&prompt=99999999999999999999",
    "/api/clip?clip=x' OR 1=1 --",
    "/api/rows?limit=1e9",
    "/?token=guess",
    "/api/rows?token=guess",
]


@pytest.mark.parametrize("path", TRICKS)
def test_paths_lead_nowhere_but_to_the_folders_clips(served, path):
    cookie = f"framescribe-{served.port}={served.token}"
    status, body = raw(
        served.port, "GET", path.replace(" ", "%20"), {"host": f"127.0.0.1:{served.port}", "cookie": cookie}
    )
    assert status in (400, 403, 404, 422)
    assert b"root:" not in body
    assert b"import" not in body


def raw(port, method, path, headers):
    """A request exactly as it is written, which no client would tidy."""
    with socket.create_connection(("127.0.0.1", port), 240) as connection:
        lines = [
            f"{method} {path} HTTP/1.1",
            *(f"{name}: {value}" for name, value in headers.items()),
            "content-length: 0",
            "connection: close",
        ]
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        answer = b""
        while some := connection.recv(1 << 16):
            answer += some
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{",
        b"[" * 100_000,
        b'{"decisions": 1}',
        b'{"decisions": [{"action": "__class__"}]}',
        b'{"decisions": [{"action": "accept", "rows": [1]}]}',
        b'{"decisions": [{"action": "edit", "text": "Of no row."}]}',
        b'{"decisions": [{"action": "accept", "rows": []}]}',
        b'{"decisions": [{"action": "choose", "group_id": ' + b"[" * 900 + b"]" * 900 + b"}]}",
        b'{"decisions": [{"action": "accept", "rows": [{"clip_id": "a", "prompt_index": 99999999999999999999}]}]}',
        b"\xff",
    ],
)
def test_requests_that_make_no_sense_are_refused(served, body):
    answer = served.client.post("/api/decide", content=body, headers={"content-type": "application/json"})
    saved = answer.status_code == 200 and any(each["is_saved"] for each in answer.json()["answers"])
    assert not saved
    assert answer.status_code in (200, 422)


def test_half_a_character_is_refused_and_decisions_go_on(own):
    row = own.all_rows()[0]
    half = {"clip_id": "\ud800", "caption": "x"}
    decisions = [
        {"group_id": "half-a-clip-id", "action": "accept", "rows": [half]},
        {"group_id": "half-a-text", "action": "edit", "rows": [row], "text": "A kite \ud83e"},
        {"group_id": "half-a-reason", "action": "reject", "rows": [row], "reason": "\udcff"},
        {"group_id": "half-a-tag", "action": "tag", "rows": [row], "tags": ["\udcff"]},
        {
            "group_id": "half-a-choice",
            "action": "choose",
            "clip_id": "\ud800",
            "prompts": [0, 1],
            "choice": "left",
        },
    ]
    sent = json.dumps({"decisions": decisions}).encode()
    answer = own.client.post("/api/decide", content=sent, headers={"content-type": "application/json"})
    assert [each["is_saved"] for each in answer.json()["answers"]] == [False] * len(decisions)
    assert own.decide("a-whole-one", "accept", row)["is_saved"]
    assert [each["decision"] for each in Dataset(own.folder).rows("decision IS NOT NULL")] == ["accept"]


def test_bodies_are_bounded_and_must_say_json(served):
    big = json.dumps({"text": "x" * (9 << 20)}).encode()
    try:
        status = served.client.post(
            "/api/check", content=big, headers={"content-type": "application/json"}
        ).status_code
    except httpx.HTTPError:  # it hung up before all was sent
        status = 413
    assert status == 413
    assert (
        served.client.post("/api/check", content=b"{}", headers={"content-type": "text/plain"}).status_code
        == 415
    )
