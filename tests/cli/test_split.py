"""``framescribe split``, and ``caption --segment``."""

import json
import resource

from framescribe.types import Clip, FrameSampling
from framescribe.video.cutting import cut_path
from framescribe.video.decode import decode_frames
from tests.cli.run import invoke, start
from tests.reference import CLIPS

LONG = CLIPS / "long-70s.mp4"
QUICK = ("--device", "cpu", "--max-new-tokens", "2")


def captions(rows) -> dict[str, str]:
    return {row["clip_id"]: row["caption"] for row in rows}


def test_spans_are_printed_and_can_be_captioned_as_a_list(tmp_path):
    plain = invoke("split", LONG, "--segment", "window:30")
    assert plain.stdout.splitlines() == [
        f"{LONG}\t{span}" for span in ("0.000\t30.000", "30.000\t60.000", "60.000\t70.000")
    ]
    spans = invoke("split", LONG, "--segment", "window:30", "--min-seconds", "20", "--json")
    (tmp_path / "spans.jsonl").write_text(spans.stdout)
    for name, arguments in {
        "listed": (tmp_path / "spans.jsonl",),
        "direct": (LONG, "--segment", "window:30", "--min-seconds", "20"),
    }.items():
        assert invoke("caption", *arguments, *QUICK, "-o", tmp_path / f"{name}.jsonl").exit_code == 0
    listed, direct = (
        [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text().splitlines()]
        for name in ("listed", "direct")
    )
    assert captions(listed) == captions(direct)
    assert {(row["start_s"], row["end_s"]) for row in listed} == {(0, 30), (30, 60)}


def test_written_files_hold_their_spans(tmp_path):
    result = invoke("split", LONG, "--segment", "window:40", "--write", tmp_path / "cuts", "--json")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    lengths_s = [decode_frames(Clip(row["file"]), FrameSampling("chat", 1)).facts.duration_s for row in rows]
    assert lengths_s == [40, 30]
    assert len(list((tmp_path / "cuts").iterdir())) == 2


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    result = invoke("split", tmp_path / "bad.mp4", LONG, "--segment", "window:70")
    assert result.exit_code == 1
    assert "bad.mp4" in result.stderr
    assert len(result.stdout.splitlines()) == 1


def test_wrong_rules_are_usage_errors(tmp_path):
    assert invoke("split", LONG, "--segment", "minutes").exit_code == 2
    assert invoke("caption", LONG, "--segment", "window:0").exit_code == 2
    assert invoke("caption", LONG, "--segment", "window:5", "--txt").exit_code == 2


def test_names_of_the_greatest_length_are_cut_and_one_that_cannot_be_stops_no_other(tmp_path):
    folder = tmp_path / "cuts"
    folder.mkdir()
    short = CLIPS / "short-half-second.mp4"
    names = ["a" * 251, "字" * 83, "blocked", "last"]
    for name in names:
        (tmp_path / f"{name}.mp4").symlink_to(short)
    listed = [tmp_path / f"{name}.mp4" for name in names]
    told = [json.loads(line) for line in invoke("split", *listed, "--json").stdout.splitlines()]
    assert len(told) == 4
    span = Clip(str(listed[2]), told[2]["start_s"], told[2]["end_s"])
    cut_path(folder, Clip(str(listed[2])), (span.start_s, span.end_s)).mkdir()
    result = invoke("split", *listed, "--write", folder)
    assert result.exit_code == 1
    assert "blocked" in result.stderr
    assert "Is a directory" in result.stderr
    assert len(result.stdout.splitlines()) == 3
    assert sorted(path.name[:1] for path in folder.iterdir() if path.is_file()) == ["a", "l", "字"]


def test_a_full_disk_ends_it(tmp_path):
    """Every write beyond a few bytes fails, as on a full disk."""
    process = start(
        "split", *[CLIPS / "short-half-second.mp4"] * 2, "--write", tmp_path / "cuts",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (500, resource.RLIM_INFINITY)),
    )  # fmt: skip
    output, messages = process.communicate(timeout=240)
    assert process.returncode == 1
    assert output == ""
    assert messages.count("File too large") == messages.count("framescribe:") == 1
    assert list((tmp_path / "cuts").iterdir()) == []
