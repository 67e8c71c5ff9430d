"""What only happens at a terminal: a line that is edited, Ctrl-C, and what is said of it."""

import os
import pty
import select
import signal
import subprocess
import time

import pytest

from tests.cli.run import COMMAND, invoke, start
from tests.reference import CLIPS

HORSE = CLIPS / "horse.mp4"
QUICK = ("--model", "tiny-random", "--device", "cpu", "--max-new-tokens", "3")


class Terminal:
    """A command whose input and output are a terminal."""

    def __init__(self, *arguments: object) -> None:
        self._mine, theirs = pty.openpty()
        environment = os.environ | {"TERM": "xterm", "COLUMNS": "200"}
        self.process = subprocess.Popen(
            [COMMAND, *map(str, arguments)], stdin=theirs, stdout=theirs, stderr=theirs, env=environment,
            start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self.said = ""

    def until(self, text: str, limit_s: float = 60) -> None:
        """Reads until it says ``text``, from here on."""
        begin, stop = len(self.said), time.monotonic() + limit_s
        while text not in self.said[begin:]:
            assert time.monotonic() < stop, self.said
            if select.select([self._mine], [], [], 0.2)[0]:
                try:
                    self.said += os.read(self._mine, 4096).decode(errors="replace")
                except OSError:  # its end
                    assert text in self.said[begin:], self.said
                    return

    def type(self, keys: str) -> None:
        os.write(self._mine, keys.encode())


def test_questions_are_edited_and_the_last_one_comes_back():
    pytest.importorskip("readline", reason="this Python has no readline")
    terminal = Terminal("ask", HORSE, *QUICK)
    terminal.until("> ")
    terminal.type("hat is there?\x01W\r")  # Ctrl-A goes to the start of the line
    terminal.until("> ")
    assert "^A" not in terminal.said
    terminal.type("\x1b[A")  # up: the question before
    terminal.until("What is there?")
    terminal.type("\r")
    terminal.until("> ")
    terminal.type("\x04")  # Ctrl-D
    assert terminal.process.wait(timeout=30) == 0


def test_ctrl_c_before_the_first_clip_says_so(tmp_path):
    """While the model loads, or what comes before; nothing half-made is left."""
    process = start("caption", HORSE, "-o", tmp_path / "rows.jsonl", "--model", "tiny", "-v")
    for line in process.stderr:
        if "free" in line or "Using the bundled" in line:
            break
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "stopped by Ctrl-C" in said
    assert "Traceback" not in said
    assert os.listdir(tmp_path) == []


def test_nothing_to_do_is_a_sentence(tmp_path):
    arguments = ("caption", HORSE, "-o", tmp_path / "rows", *QUICK)
    assert invoke(*arguments).exit_code == 0
    again = invoke(*arguments)
    assert again.exit_code == 0
    assert "Nothing to do: each clip has its row already" in again.stderr
    redone = invoke(*arguments, "--redo", "failed")
    assert "Nothing to do: no clip of these is failed" in redone.stderr
    assert "none" not in again.stderr + redone.stderr
