"""Every rule between options is one message, in Python's names and in flags, before anything is loaded or made."""

import dataclasses
import inspect
import os
import shutil

import pytest

import framescribe
from framescribe import (
    CaptionSettings,
    FrameSampling,
    GenerationSettings,
    ModelSpec,
    Ray,
    UsageError,
)
from framescribe.pipeline.caption_run import CaptionOptions, CaptionRun
from framescribe.task import DecodeLimits
from tests.cli.run import invoke
from tests.reference import CLIPS

CLIP = "clip.mp4"


def asked(**settings):
    return lambda: {"settings": CaptionSettings(**settings)}


def sampled(*sampling, **more):
    return lambda: {"settings": CaptionSettings(sampling=FrameSampling(*sampling, **more))}


def generated(**generation):
    return lambda: {"settings": CaptionSettings(generation=GenerationSettings(**generation))}


def given(**options):
    return lambda: options


ON_RAY = {"executor": "ray", "output": "out"}
# What is given in Python, what its message has; the same as flags, and what that message has.
WRONG = [
    (sampled("chat", 0), "`num_frames` must be at least 1", "--frames 0", "--frames must be at least 1"),
    (sampled(fps=0), "`fps` must be a number above 0", "--fps 0", "--fps must be a number above 0"),
    (
        sampled("uniform", fps=2.0), "`fps` sets the rate of `strategy=chat`",
        "--strategy uniform --fps 2", "--fps sets the rate of --strategy chat",
    ),
    (generated(max_new_tokens=0), "`max_new_tokens` must be", "--max-new-tokens 0", "--max-new-tokens must be"),
    (generated(temperature=-1.0), "`temperature` must be", "--temperature -1", "--temperature must be"),
    (generated(top_p=0.5), "`top_p` needs a `temperature`", "--top-p 0.5", "--top-p needs a --temperature"),
    (
        generated(temperature=1.0, top_p=2.0), "`top_p` must lie in",
        "--temperature 1 --top-p 2", "--top-p must lie in",
    ),
    (
        generated(repetition_penalty=0.0), "`repetition_penalty` must lie between",
        "--repetition-penalty 0", "--repetition-penalty must lie between",
    ),
    (generated(seed=-1), "`seed` must be", "--seed -1", "--seed must be"),
    (asked(prompt=" "), "prompt is empty", ["--prompt", " "], "prompt is empty"),
    (given(prompts=["a", " "]), "a prompt is empty", ["--prompt", "a", "--prompt", " "], "a prompt is empty"),
    (given(prompts=["a", "b", "a"]), "same prompt is given twice", "--prompt a --prompt b --prompt a", "given twice"),
    (given(start_s=3.0, end_s=2.0), "`end_s` must be after `start_s`", "--start 3 --end 2", "--end must be after"),
    (given(start_s=-1.0), "`start_s` must be", "--start -1", "--start must be"),
    (given(segments="hours"), "unknown `segments` 'hours'", "--segment hours", "unknown --segment 'hours'"),
    (given(segments="window"), "`segments`: a window needs", "--segment window", "--segment: a window needs"),
    (given(segments="window:x"), "window's length must be", "--segment window:x", "window's length must be"),
    (given(min_length_s=-1.0), "`min_length_s` must be", "--min-seconds -1", "--min-seconds must be"),
    (given(max_length_s=0.0), "`max_length_s` must be", "--max-seconds 0", "--max-seconds must be"),
    (given(segments="scenes", txt=True), "with `segments` use `output`", "--segment scenes --txt", "use --output"),
    (
        given(prompts=["a", "b"], txt=True), "with several `prompts` use `output`",
        "--prompt a --prompt b --txt", "with several --prompt use --output",
    ),
    (
        given(output="out", overwrite=True), "`redo` captions some clips again, `new_run` all",
        "-o out --overwrite", "--redo captions some clips again, --new-run all",
    ),
    (
        given(output="rows.jsonl", new_run=True), "`new_run` needs a folder .* `output=captions/`",
        "-o rows.jsonl --new-run", "--new-run needs a folder",
    ),
    (given(redo="failed"), "`redo` needs a folder", "--redo failed", "--redo needs a folder"),
    (given(hash_sources=True), "`hash_sources` needs a folder", "--hash", "--hash needs a folder"),
    (given(rows_per_shard=5, txt=True), "`rows_per_shard` needs", "--shard-rows 5 --txt", "--shard-rows needs"),
    (given(executor="ray"), "`ray` writes to a folder", "--ray", "--ray writes to a folder"),
    (given(txt=True, **ON_RAY), "without `txt` and", "--ray -o out --txt", "without --txt and --dry-run"),
    (given(dry_run=True, **ON_RAY), "and `dry_run`", "--ray -o out --dry-run", "without --txt and --dry-run"),
    (
        given(model=ModelSpec(device="cuda:1"), **ON_RAY), "`device` is auto, cuda or cpu, not cuda:1",
        "--ray -o out --device cuda:1", "--device is auto, cuda or cpu, not cuda:1",
    ),
    (
        given(limits=DecodeLimits(0), **ON_RAY), "`decode_workers` must be at least 1",
        "--ray -o out --decode-workers 0", "--decode-workers must be at least 1",
    ),
    (given(shard=(5, 4)), "`shard` takes i and n", "--shard 5/4", "--shard takes i and n"),
    (given(shard=(0, 4)), "`shard` takes i and n", "--shard 0/4", "--shard takes i and n"),
    (given(output="rows.csv"), "rows.csv: .* must end in .jsonl or .parquet", "-o rows.csv", "must end in .jsonl or"),
    (given(output="s3://b/r.jsonl"), "behind a URL rows go into a folder", "-o s3://b/r.jsonl", "behind a URL rows go"),
    (given(output="no/rows.jsonl"), "there is no folder no", "-o no/rows.jsonl", "there is no folder no"),
    (
        given(output="there.jsonl"), "there.jsonl exists; .* `overwrite=True`",
        "-o there.jsonl", "there.jsonl exists; move it away, or replace it with --overwrite",
    ),
    (given(output="."), "holds .*, but no rows", "-o .", "but no rows"),
    (given(model=lambda: ModelSpec(device="toaster")), "unknown `device` 'toaster'", "--device toaster", "unknown"),
    (given(model=lambda: ModelSpec(dtype="fp8")), "unknown `dtype` 'fp8'", "--dtype fp8", "unknown --dtype 'fp8'"),
    (
        given(model=ModelSpec(quant="fp8", device="cpu"), output="out"), "`quant=fp8` needs a CUDA GPU",
        "--device cpu --quant fp8 -o out", "--quant fp8 needs a CUDA GPU",
    ),
    (given(model="no-such", output="out"), "no checkpoint folder", "--model no-such -o out", "no checkpoint folder"),
    (
        given(model=ModelSpec("tiny", "v2"), output="out"), "leave out `revision`",
        "--model tiny --revision v2 -o out", "leave out --revision",
    ),
    (given(sources=["missing.mp4"]), "there is no such file", "missing.mp4", "there is no such file"),
    (given(sources=["https://a.b/c.mp4"], txt=True), "`txt` writes beside", "https://a.b/c.mp4 --txt", "--txt writes"),
    (
        given(sources=["done.mp4"], txt=True, output="rows.jsonl"), "add `overwrite=True` or drop `txt`",
        "done.mp4 --txt -o rows.jsonl", "add --overwrite or drop --txt",
    ),
]  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (CLIP, "done.mp4"):
        shutil.copy(CLIPS / "short-half-second.mp4", name)
    (tmp_path / "done.txt").write_text("A clip.\n")
    (tmp_path / "there.jsonl").write_text("precious")
    yield
    assert sorted(os.listdir()) == [CLIP, "done.mp4", "done.txt", "there.jsonl"]
    assert (tmp_path / "there.jsonl").read_text() == "precious"


@pytest.mark.parametrize(("options", "message", "flags", "told"), WRONG, ids=[f"{row[2]}" for row in WRONG])
def test_one_rule_one_message_and_nothing_is_made(options, message, flags, told):
    def call() -> None:
        found = options()
        model = found.pop("model", "tiny-random")
        framescribe.caption(
            found.pop("sources", CLIP), model=model() if callable(model) else model, progress=False, **found
        )

    with pytest.raises(UsageError, match=message) as caught:
        call()
    assert "--" not in str(caught.value)
    arguments = flags.split() if isinstance(flags, str) else flags
    has_source = any(argument.endswith(".mp4") for argument in arguments)
    result = invoke("caption", *([] if has_source else [CLIP]), *arguments)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert told in line
    assert "`" not in line.replace("`tiny`", "")
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("options", "message", "flags"),
    [
        (given(batch_size=0), "`batch_size` must be at least 1", "--batch-size 0"),
        (given(limit=0), "`limit` must be at least 1", "--limit 0"),
        (given(sample=-1), "`sample` must be at least 1", "--sample -1"),
        (given(rows_per_shard=0, output="out"), "`rows_per_shard` must be", "-o out --shard-rows 0"),
        (given(redo="all", output="out"), "`redo` takes failed, flagged, ", "-o out --redo all"),
        (lambda: {"limits": DecodeLimits(-1)}, "`decode_workers` must be", "--decode-workers -1"),
        (lambda: {"limits": DecodeLimits(timeout_s=0)}, "`decode_timeout_s` must be", "--decode-timeout 0"),
        (lambda: {"limits": DecodeLimits(memory_gb=-1)}, "`decode_memory_gb` must be", "--decode-memory -1"),
        (lambda: {"executor": Ray(workers=0)}, "`workers` must be at least 1", "--ray --ray-workers 0"),
        (lambda: {"executor": Ray(task_clips=0)}, "`task_clips` must", "--ray --ray-task-clips 0"),
        (lambda: {"executor": Ray(cpus_per_decoder=0)}, "`cpus_per_decoder` must", "--ray --ray-decoder-cpus 0"),
        (lambda: {"settings": CaptionSettings(template="x")}, "unknown `template`", "--template x"),
        (sampled("every"), "unknown `strategy`", "--strategy every"),
        (lambda: {"model": ModelSpec(quant=3)}, "`quant` takes 8, 4, fp8 or fp8-kv, not 3", "--quant 3"),
    ],
)  # fmt: skip
def test_what_the_command_line_checks_itself_python_checks_too(options, message, flags):
    with pytest.raises(UsageError, match=message):
        framescribe.caption(CLIP, progress=False, **({"model": "tiny-random"} | options()))
    result = invoke("caption", CLIP, *flags.split())
    assert result.exit_code == 2
    assert flags.split()[-2] in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"executor": "cloud"}, "`executor` takes local, ray or Ray"),
        ({"settings": FrameSampling()}, "settings must be CaptionSettings"),
        ({"prompts": "one text"}, None),
        ({"prompts": [5]}, "`prompts` must be a list of texts"),
        ({"limit": 2.5}, "`limit` must be a whole number"),
        ({"shard": "1/4"}, "`shard` takes i and n"),
        ({"model": 5}, "`model` takes a name, ModelSpec"),
        ({"model": None}, "`model` takes a name, ModelSpec"),
        ({"sources": []}, "there is nothing to caption"),
        ({"sources": 5}, "sources must be paths"),
        ({"sources": [5]}, "a clip must be a path"),
    ],
)
def test_what_only_python_can_say_wrongly(options, message):
    def call():
        values = {"sources": CLIP, "model": "tiny-random", "dry_run": True} | options
        return framescribe.caption(values.pop("sources"), progress=False, **values)

    if message is None:
        assert call().preflight.rows == 1
    else:
        with pytest.raises(UsageError, match=message):
            call()


def test_the_calls_options_are_those_of_a_run():
    fields = {field.name for field in dataclasses.fields(CaptionRun)} - {"captioner"}  # given as the model
    assert CaptionOptions.__annotations__.keys() == fields - {"sources", "output"}
    shown = inspect.signature(framescribe.caption).parameters
    assert shown.keys() == fields | {"progress"}
    assert (shown["model"].default, shown["executor"].default, shown["limit"].default) == (
        "tiny",
        "local",
        None,
    )
    with pytest.raises(TypeError, match=r"caption\(\) got an unexpected keyword argument 'colour'"):
        framescribe.caption(CLIP, colour="red")


def test_flags_for_a_cluster_need_one():
    result = invoke("caption", CLIP, "-o", "out", "--ray-workers", "2")
    assert result.exit_code == 2
    assert result.stderr == "framescribe: --ray-workers is for a cluster: add --ray\n"
    for shard in ("1-4", ""):
        result = invoke("caption", CLIP, "--shard", shard)
        said = f"framescribe: --shard takes I/N, such as 1/4 to 4/4, not '{shard}'\n"
        assert (result.exit_code, result.stderr) == (2, said)
