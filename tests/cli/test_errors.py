"""What is told of an error: one line in the command line's words, or a traceback for a bug; and the exit code."""

import os
import re
import subprocess

import pytest
import typer
from typer.testing import CliRunner

from framescribe import Captioner, CaptionSettings, Clip, FrameSampling, GenerationSettings
from framescribe.cli.command import Command, in_flags
from framescribe.cli.main import app
from framescribe.dataset.row_file import RowFile
from framescribe.errors import ClipError, DeviceError, UsageError
from tests.cli.run import COMMAND, invoke
from tests.dataset.test_row_file import row
from tests.reference import CLIPS

SHORT = CLIPS / "short-half-second.mp4"


def run(error: BaseException | type[BaseException]):
    """A command that raises ``error``."""
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command(cls=Command)
    def fails(quant: str = "8", repair: bool = True) -> None:
        raise error

    return CliRunner().invoke(app)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("no such file"), 2), (ClipError("open", "a.mp4: is empty"), 1), (DeviceError("cuda is lost"), 3),
        (MemoryError(), 3), (OSError(28, "No space left on device", "out/rows"), 1), (KeyboardInterrupt(), 130),
    ],
)  # fmt: skip
def test_what_is_foreseen_is_one_line(error, code):
    result = run(error)
    assert result.exit_code == code
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) <= 1


@pytest.mark.parametrize(
    "error",
    [ValueError("x < 0"), KeyError("caption"), AssertionError(), RuntimeError("broken"), IndexError()],
)
def test_anything_else_is_a_bug_with_its_traceback(error):
    result = run(error)
    assert result.exit_code == 70
    assert "Traceback (most recent call last)" in result.stderr
    assert re.search(rf"^{type(error).__name__}", result.stderr, re.MULTILINE)
    assert "Please report it" in result.stderr


def test_mistyped_options_stay_the_command_lines():
    assert run(typer.BadParameter("is no number")).exit_code == 2
    assert invoke("rows", "--no-such-option").exit_code == 2


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("use `quant=8`, or leave `quant` out", "use --quant 8, or leave --quant out"),
        ('use `quant="fp8-kv"`', "use --quant fp8-kv"),
        ("`repair=False` or `repair=True`", "--no-repair or --repair"),
        ("`device=cuda` and `tiny` are no options here", "`device=cuda` and `tiny` are no options here"),
    ],
)
def test_settings_are_told_as_flags(message, told):
    assert run(UsageError(message)).stderr == f"framescribe: {told}\n"


@pytest.mark.parametrize(
    ("command", "setting", "flag"),
    [
        ("caption", "num_frames", "--frames"), ("caption", "start_s", "--start"), ("caption", "end_s", "--end"),
        ("caption", "decode_timeout_s", "--decode-timeout"), ("caption", "decode_memory_gb", "--decode-memory"),
        ("caption", "min_length_s", "--min-seconds"), ("caption", "max_length_s", "--max-seconds"),
        ("caption", "batch_size", "--batch-size"), ("export", "accepted_flags", "--accept"),
    ],
)  # fmt: skip
def test_settings_whose_option_has_another_name_are_told_by_it(command, setting, flag):
    parameters = typer.main.get_command(app).commands[command].params
    assert in_flags(f"`{setting}` must be 3", parameters) == f"{flag} must be 3"


def of_clip(**span):
    return lambda: Clip("a.mp4", **span)


def of_generation(**settings):
    return lambda: GenerationSettings(**settings)


@pytest.mark.parametrize(
    ("in_python", "setting", "options", "flag"),
    [
        (of_clip(start_s=3.0, end_s=2.0), "`end_s`", "--start 3 --end 2", "--end must be after --start"),
        (of_clip(start_s=-1.0), "`start_s`", "--start -1", "--start must be"),
        (lambda: FrameSampling(num_frames=0), "`num_frames`", "--frames 0", "--frames must be"),
        (lambda: FrameSampling("fast"), "`strategy`", "--strategy fast", "--strategy"),
        (lambda: CaptionSettings(template="x"), "`template`", "--template x", "--template"),
        (of_generation(max_new_tokens=0), "`max_new_tokens`", "--max-new-tokens 0", "--max-new-tokens must"),
        (of_generation(temperature=-1), "`temperature`", "--temperature -1", "--temperature must"),
        (of_generation(top_p=0.5), "`top_p`", "--top-p 0.5", "--top-p needs a --temperature"),
        (of_generation(seed=-1), "`seed`", "--seed -1", "--seed must"),
        (
            lambda: Captioner.from_pretrained(device="cpu", quant="fp8"), "`quant=8`",
            "--device cpu --quant fp8", "use --quant 8, or leave --quant out",
        ),
        (
            lambda: Captioner.from_pretrained("tiny", revision="main"), "`revision`",
            "--revision main", "leave out --revision",
        ),
    ],
)  # fmt: skip
def test_one_rule_one_message_python_says_its_names_and_the_command_its_flags(
    in_python, setting, options, flag
):
    with pytest.raises(UsageError, match=re.escape(setting)) as caught:
        in_python()
    assert "--" not in str(caught.value)
    result = invoke("caption", SHORT, *options.split())
    assert result.exit_code == 2
    told = " ".join(result.stderr.split())
    assert flag in told or "Invalid value for '" + flag.split()[0] in told
    assert setting not in told


@pytest.mark.parametrize(
    "command", ["rows ROWS", "rows ROWS --json", "split CLIP --segment window:0.01", "rows --help"]
)
def test_a_reader_that_stops_is_no_error(command, tmp_path):
    with RowFile(tmp_path / "rows.jsonl") as file:
        for number in range(2000):
            file.write(row(number, caption="A long caption. " * 20))
    names = {"ROWS": str(tmp_path / "rows.jsonl"), "CLIP": str(SHORT)}
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run(
        [COMMAND, *(names.get(word, word) for word in command.split())],
        stdout=writing, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(writing)
    assert process.returncode == (1 if "--help" in command else 141)
    assert process.stderr == ""


def test_a_full_disk_ends_with_its_reason():
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    with open("/dev/full", "wb") as full:
        process = subprocess.run(
            [COMMAND, "inspect", SHORT], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert process.returncode == 1
    assert "No space left on device" in process.stderr
    assert "Traceback" not in process.stderr
