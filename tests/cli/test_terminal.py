"""On a terminal nothing tears the bar, and nothing of the bar is left between the lines."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence

import pytest

from tests.cli.chatter import CAPTIONS
from tests.cli.run import COMMAND
from tests.cli.screen import Screen
from tests.reference import ROOT

BAR = re.compile(r"━|clips/s|/\d+ clips|\d left\b")


def on_a_terminal(command: Sequence[object], columns: int, stdout: int | None = None) -> Screen:
    """Runs a command; stderr, and stdout unless another is given, are a terminal so wide."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
    for name in ("COLUMNS", "LINES", "NO_COLOR"):
        environment.pop(name, None)
    process = subprocess.Popen(
        list(map(str, command)),
        stdin=theirs,
        stdout=theirs if stdout is None else stdout,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            written += os.read(ours, 65536)
        except OSError:  # Linux's way to say that nobody writes any more
            break
        if not written:
            break
    os.close(ours)
    process.wait()
    text = written.decode()
    assert "━" in text  # there was a bar
    screen = Screen(columns)
    screen.feed(text)
    return screen


@pytest.mark.parametrize("columns", [80, 120])
def test_captions_logs_and_warnings_stand_above_the_bar_whole(columns):
    screen = on_a_terminal([sys.executable, "-m", "tests.cli.chatter"], columns)
    lines = screen.lines
    assert [line for line in lines if BAR.search(line)] == []
    text = " ".join(" ".join(lines).split())
    # Words stay whole, whatever is wrapped; what has no spaces is compared without.
    for number in range(30):
        assert f"/videos/{number}.mp4" in lines
        whole = f"({number}) {CAPTIONS[number % len(CAPTIONS)]}"
        assert "".join(whole.split()) in "".join(text.split()), number
    for number in range(12):
        assert "".join(f"log line {number} {'and more of it ' * 8}".split()) in "".join(text.split())
        assert "".join(f"warning {number} from a library".split()) in "".join(text.split())
        assert f"printed {number}" in lines
    assert lines[-2:] == ["the end", ""]


def test_captions_that_go_to_a_file_are_there_although_there_is_a_bar(tmp_path):
    out = tmp_path / "captions.tsv"
    with out.open("wb") as file:
        on_a_terminal([sys.executable, "-m", "tests.cli.chatter"], 80, file.fileno())
    lines = out.read_text(encoding="utf-8").splitlines()
    captions = [line for line in lines if "\t" in line]
    assert captions == [
        f"/videos/{number}.mp4\t" + " ".join(f"({number}) {CAPTIONS[number % len(CAPTIONS)]}".split())
        for number in range(30)
    ]
    assert [line for line in lines if line not in captions] == [f"printed {number}" for number in range(12)]


@pytest.mark.parametrize("columns", [80, 120])
def test_a_real_run_over_damaged_clips_leaves_no_trace_of_its_bar(columns, tmp_path):
    from tests.awkward import AWKWARD, make

    names = [
        name for name, expected in AWKWARD.items() if expected.is_damaged or expected.outcome != "success"
    ][:10]
    clips = [clip.source_video for name in names if (clip := make(name, tmp_path)).data is None]
    screen = on_a_terminal(
        [COMMAND, "caption", *clips, "--model", "tiny-random", "--device", "cpu", "--max-new-tokens", 90],
        columns,
    )
    assert [line for line in screen.lines if BAR.search(line) and " clips in " not in line] == []
    assert [line for line in screen.lines if "@ 0x" in line] == []  # how FFmpeg's own messages begin
