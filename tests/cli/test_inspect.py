import json

import pytest

from tests.cli.run import invoke
from tests.reference import CLIPS, DATA

INDICES = json.loads((DATA / "frame_indices.json").read_text())


@pytest.mark.parametrize("name", [name for name in INDICES if (CLIPS / name).exists()])
def test_json_has_the_published_frames(name):
    result = invoke("inspect", CLIPS / name, "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    for strategy in ("chat", "base"):
        assert report["strategies"][strategy]["frame_indices"] == INDICES[name][strategy]
    uniform = report["strategies"]["uniform"]
    assert (
        len(uniform["frame_indices"])
        == len(set(uniform["frame_indices"]))
        == len(uniform["frame_timestamps_s"])
    )
    assert uniform["covered_s"] == report["facts"]["duration_s"]
    assert report["facts"]["num_frames"] == INDICES[name]["num_frames"]


def test_span_and_frames():
    whole = json.loads(invoke("inspect", CLIPS / "long-70s.mp4", "--json").stdout)
    part = json.loads(
        invoke("inspect", CLIPS / "long-70s.mp4", "--json", "--start", 10, "--end", 20, "--frames", 5).stdout
    )
    assert part["facts"]["num_frames"] == round(
        whole["facts"]["num_frames"] * 10 / whole["facts"]["duration_s"]
    )
    assert len(part["strategies"]["base"]["frame_indices"]) == 5


def test_text():
    result = invoke("inspect", CLIPS / "horse.mp4")
    assert result.exit_code == 0
    for said in ("horse.mp4", "h264", "chat:", "base:", "uniform:"):
        assert said in result.stdout


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (["missing.mp4"], 1, "missing.mp4: cannot be opened: No such file"),
        ([CLIPS / "one-frame.mp4", "--start", "99"], 1, "one-frame.mp4"),
        ([CLIPS / "one-frame.mp4", "--frames", "0"], 2, "at least 1"),
        ([CLIPS / "one-frame.mp4", "--start", "-1"], 2, "--start must be"),
    ],
)
def test_refusals(arguments, exit_code, said):
    result = invoke("inspect", *arguments, "--json")
    assert result.exit_code == exit_code
    assert said in result.stderr
    assert result.stdout == ""
