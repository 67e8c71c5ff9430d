"""What --help shows, that its examples can be typed as they are, and what the shell completes."""

import contextlib
import logging
import os
import re
import shlex
import subprocess

import pytest
import typer.main
from typer.testing import CliRunner

from framescribe.cli.main import app
from framescribe.export.layout import LAYOUTS
from framescribe.quality.flags import FLAGS
from framescribe.types import CAPTION_STATUSES
from tests.cli.run import COMMAND, invoke
from tests.reference import CLIPS

GROUP = typer.main.get_command(app)
COMMANDS = sorted(GROUP.commands)
EXAMPLES = [(name, example) for name in COMMANDS for example in GROUP.commands[name].examples]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_examples_and_no_noise(command):
    result = invoke(command, "--help")
    assert result.exit_code == 0
    assert GROUP.commands[command].examples
    assert all(example in result.stdout for example in GROUP.commands[command].examples)
    assert not re.search("<bool>|BOOLEAN", result.stdout)
    assert "--verbose" in result.stdout


@pytest.mark.parametrize(("command", "example"), EXAMPLES)
def test_examples_are_understood(command, example):
    program, name, *arguments = shlex.split(example.partition(" >")[0])
    assert (program, name) == ("framescribe", command)
    with (
        GROUP.make_context("framescribe", ["--help"], resilient_parsing=True) as parent,
        contextlib.suppress(typer.Exit),  # of an option that prints and stops
    ):
        GROUP.commands[command].make_context(command, arguments, parent=parent)


def test_exports_help_lists_its_layouts():
    (listed,) = re.findall(r"Layouts: (.*?)\.", " ".join(GROUP.commands["export"].help.split()))
    assert listed.split(", ") == list(LAYOUTS)


def test_the_groups_help():
    result = invoke("--help")
    assert "<bool>" not in result.stdout
    assert "WSL" in result.stdout
    assert invoke("-V").stdout == invoke("--version").stdout


@pytest.mark.parametrize("where", ["before", "behind", "neither"])
def test_verbose_before_and_behind_the_commands_name(where):
    clip = CLIPS / "one-frame.mp4"
    words = {
        "before": ["-v", "inspect", clip],
        "behind": ["inspect", clip, "-v"],
        "neither": ["inspect", clip],
    }
    assert CliRunner().invoke(app, list(map(str, words[where]))).exit_code == 0
    level = logging.INFO if where == "neither" else logging.DEBUG
    assert logging.getLogger("framescribe").level == level


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("caption --strategy ", ["chat", "base", "uniform"]),
        ("caption --template ", ["chat", "base", "vqa"]),
        ("caption --quant f", ["fp8", "fp8-kv"]),
        ("caption --dtype b", ["bf16"]),
        ("ask x.mp4 --device c", ["cpu", "cuda"]),
        ("caption --model t", ["tiny", "tiny-random"]),
        ("rows OUT --status ", list(CAPTION_STATUSES)),
        ("rows OUT --flag rep", [flag for flag in FLAGS if flag.startswith("rep")]),
        ("export OUT --accept o", [flag for flag in FLAGS if flag.startswith("o")]),
        ("export OUT --to mu", [name for name in LAYOUTS if name.startswith("mu")]),
        ("rep", ["report"]),
    ],
)
def test_values_are_completed(typed, completed):
    words = f"framescribe {typed}"
    environment = {
        "_FRAMESCRIBE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1),
    }  # fmt: skip
    if typed == "rep":  # as a shell does it
        ran = subprocess.run(
            [COMMAND], env=os.environ | environment, capture_output=True, text=True, check=False
        )
    else:
        ran = CliRunner().invoke(app, env=environment, prog_name="framescribe")
    assert sorted(ran.stdout.split()) == sorted(completed)


def test_wrong_choices_are_shown_the_right_ones():
    result = invoke("rows", "OUT", "--status", "fine")
    assert result.exit_code == 2
    assert all(status in result.stderr for status in CAPTION_STATUSES)
