"""What pages quote exists: files, options, commands, messages, results and their figures."""

import ast
import contextlib
import json
import re
import shlex
from functools import cache
from posixpath import normpath

import pytest
import typer
import typer.main

from framescribe.cli.main import app
from tests.docs.pages import GENERATED, PAGES, READMES, commands, name_of, text_of
from tests.reference import ROOT

GROUP = typer.main.get_command(app)
RESULTS = ROOT / "benchmarks" / "results"
# Where pages about the code begin to name a file.
FOLDERS = (".", "framescribe", "framescribe/engine", "framescribe/model/kernels")
# Options of other programs that pages name.
OTHERS = {
    "--lowest", "--newest", "--nproc-per-node", "--logdir", "--object-store-memory", "--target",
    *("--chat-template", "--enable-lora", "--limit-mm-per-prompt", "--max-model-len", "--media-io-kwargs"),  # of vLLM
    *("--quantization", "--trust-remote-code", "--trust-request-mm-kwargs"),
}  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s#]+)(?:#[^)]*)?\)", text_of(page)):
        if "://" not in target:
            assert (ROOT / normpath(page.parent / target)).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_are_understood(page):
    for line in commands(page):
        _, name, *arguments = shlex.split(line.partition(" > ")[0], comments=True)
        if name.startswith("-") or "[OPTIONS]" in line:
            continue
        with (
            GROUP.make_context("framescribe", ["--help"], resilient_parsing=True) as parent,
            contextlib.suppress(typer.Exit),  # of an option that prints and stops
        ):
            GROUP.commands[name].make_context(name, arguments, parent=parent)


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "trainers.md"], ids=name_of)
def test_options_exist(page):
    """Of the trainers' own lines, which stand in their page, we know no options."""
    text = re.sub(
        r"`(?!framescribe)(?:[A-Z_]+=\S+ )*(?:python|pytest|ray|pip|git|taskset|mkdocs)\b[^`]*`",
        "",
        text_of(page),
    )
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+\b(?!-)", text))
    assert named - OTHERS <= _options()


@cache
def _options():
    found = {"--install-completion", "--version", "--verbose", "--help"}
    for script in (ROOT / "benchmarks").rglob("*.py"):
        found |= set(re.findall(r"\"(--[a-z-]+)\"", script.read_text(encoding="utf-8")))
    for command in GROUP.commands.values():
        for param in command.params:
            found |= {*param.opts, *param.secondary_opts}
    return found


@cache
def _messages():
    """Every text in the code, what is put into it shown as …; settings without their backticks."""
    found = []
    for path in (ROOT / "framescribe").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


def _quoted():
    page = text_of(ROOT / "docs" / "troubleshooting.md")
    tables = re.findall(r"^\| message \|.*\n\|[- |]+\n((?:\|.*\n)+)", page, re.MULTILINE)
    return [row.split("|")[1].strip().strip("`") for table in tables for row in table.splitlines()]


@pytest.mark.parametrize("message", _quoted())
def test_messages_are_the_codes(message):
    """Options are named by the library as settings, so that only what stands between them can be compared."""
    pieces = [piece.strip(" :;,.()") for piece in re.split(r"…|; |--[a-z-]+(?: \d)?", message)]
    assert any(len(piece) > 8 for piece in pieces), "nothing to look for"
    for piece in pieces:
        assert piece in _messages(), piece


def test_troubleshooting_is_long():
    assert len(_quoted()) > 20


def _result(name):
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", [page for page in PAGES if page not in GENERATED], ids=name_of)
def test_results_exist(page):
    named = re.findall(r"(?:\(|\| )`(\w+\.json)`", text_of(page))
    if page.name not in ("exports.md", "trainers.md", "rows.md"):
        assert {name for name in named if not (RESULTS / name).is_file()} == set()


FIGURES = [
    ("bench_long_bf16_h100.json", lambda it: f"| {it['seconds_per_clip']:.3f} |"),
    (
        "bench_long_bf16_h100.json",
        lambda it: f"{it['baseline']['seconds_per_clip']:.2f} s a clip of 24 frames",
    ),
    ("bench_long_bf16_h100.json", lambda it: f"{it['baseline']['ratio']:.0f} times as long"),
    ("bench_long_bf16_h100.json", lambda it: f"| {it['latency']['first_token_s']:.3f} |"),
    ("bench_long_bf16_h100.json", lambda it: f"| {it['latency']['ms_per_token'] / 1000:.4f} |"),
    ("bench_long_fp8_kv_h100.json", lambda it: f"| {it['seconds_per_clip']:.4f} |"),
    ("bench_long_fp8_kv_h100.json", lambda it: f"| {it['latency']['first_token_s']:.3f} |"),
    ("bench_long_fp8_kv_h100.json", lambda it: f"| {it['latency']['ms_per_token'] / 1000:.4f} |"),
    ("bench_short_bf16_h100.json", lambda it: f"| {it['seconds_per_clip']:.4f} |"),
    ("bench_short_fp8_kv_h100.json", lambda it: f"| {it['seconds_per_clip']:.4f} |"),
    ("bench_mp4_bf16_h200.json", lambda it: f"{it['from_files']['rate_to_frames']:.0%}".replace("%", " %")),
    ("bench_mp4_bf16_h200.json", lambda it: f"{it['from_files']['gpu_busy']:.0%}".replace("%", " %")),
    ("first_command.json", lambda it: f"{it['seconds']:.0f} s on two cores"),
    ("first_command.json", lambda it: f"{it['caption_s']:.1f} s of it"),
]


@pytest.mark.parametrize(("name", "figure"), FIGURES)
def test_performance_tells_what_was_measured(name, figure):
    page = " ".join(text_of(ROOT / "docs" / "performance.md").split())
    assert figure(_result(name)) in page
    assert f"`{name}`" in page


def test_exactness_tells_what_was_measured():
    page = text_of(ROOT / "docs" / "exactness.md")
    largest, bounds = (_result("parity_cpu.json")[key] for key in ("largest", "bounds"))

    def short(value):
        return f"{value:.1e}".replace("e-0", "e-").replace(".0e", "e")

    for name, label in {
        "vision_features": "vision features",
        "logits": "logits",
        "loss": "training loss",
    }.items():
        keys = (name, f"{name}_recorded_to_fp64", f"{name}_to_fp64")
        cells = [short(largest[key]) for key in keys] + [", ".join(short(bounds[key]) for key in keys)]
        assert f"| {label} | {' | '.join(cells)} |" in page
    assert f"{largest['pixels']:.1e} at most".replace("e-0", "e-") in page


def test_headline_numbers_are_measured():
    fp8, bf16 = _result("bench_short_fp8_kv_h100.json"), _result("bench_short_bf16_h100.json")
    weights = {each["precision"]: each["weights_gb"] for each in _result("full_size_h100.json")["results"]}
    for page in READMES:
        text = text_of(page)
        for figure in (
            f"{fp8['seconds_per_clip']:.4f}",
            f"{bf16['seconds_per_clip']:.4f}",
            f"{weights['bf16-nf4']:.1f} GB",
            f"{weights['bf16']:.1f} GB",
            f"{_result('first_command.json')['seconds']:.0f} ",
        ):
            assert figure in text


def test_the_walk_enters_each_file_once():
    walk = re.search(r"^```\n(.*?)^```", text_of(ROOT / "docs/structure.md"), re.MULTILINE | re.DOTALL)[1]
    entered = re.findall(r"^ *(\S+\.py) ", walk, re.MULTILINE)
    assert len(entered) > 30
    assert len(set(entered)) == len(entered) == len(walk.splitlines())


def test_every_room_is_described():
    rooms = re.findall(
        r"^\| (.+?) \|", text_of(ROOT / "docs/structure.md").partition("## Rooms")[2], re.MULTILINE
    )
    named = {name.strip("`").rstrip("/") for room in rooms for name in room.split(", ")}
    folders = {
        path.name for path in (ROOT / "framescribe").iterdir() if path.is_dir() and path.name[0] != "_"
    }
    assert folders <= named


@pytest.mark.parametrize("page", ["structure.md", "engine.md", "contributing.md"])
def test_files_of_the_code_exist(page):
    text = text_of(ROOT / "docs" / page)
    for name in set(re.findall(r"(?<![\w/.])(?:\w+/)*\w+\.py\b", text)):
        assert any((ROOT / folder / name).is_file() for folder in FOLDERS), name
    for room in set(re.findall(r"`((?:\w+/)+)`", text)):
        assert any((ROOT / folder / room).is_dir() for folder in FOLDERS), room
