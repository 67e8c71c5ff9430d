import json
import os
import re
import resource
import shutil
import signal
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest
import torch

from framescribe.dataset.dataset import Dataset
from framescribe.dataset.store import RowFolder
from framescribe.engine.model_runner import ModelRunner
from framescribe.types import CaptionSettings, GenerationSettings
from tests.cli.run import FEW_LINES, invoke, start
from tests.reference import CLIPS, TINY, changed_sizes

SHORT, ONE = CLIPS / "short-half-second.mp4", CLIPS / "one-frame.mp4"
QUICK = ("--device", "cpu", "--max-new-tokens", "3")
TRAINED = ("--device", "cpu", "--model", "tiny")  # its captions are whole sentences


@pytest.fixture
def videos(tmp_path):
    """A folder with two good clips and one that is none."""
    folder = tmp_path / "videos"
    folder.mkdir()
    shutil.copy(SHORT, folder / "a.mp4")
    shutil.copy(ONE, folder / "b.mp4")
    (folder / "bad.mp4").write_text("not a video")
    return folder


def rows_of(path) -> list[dict]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_captions_go_to_stdout_and_all_else_to_stderr(videos):
    result = invoke("caption", videos / "a.mp4", videos / "b.mp4", *QUICK)
    assert result.exit_code == 0
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert sorted(path for path, _ in lines) == [str(videos / "a.mp4"), str(videos / "b.mp4")]
    assert all(caption for _, caption in lines)
    assert "2 clips in" in result.stderr
    assert "2 truncated" in result.stderr


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_folder_to_rows_with_one_that_fails(suffix, videos, captioner):
    output = videos.parent / f"rows{suffix}"
    result = invoke("caption", videos, "-o", output, *QUICK)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert f"{videos / 'bad.mp4'}" in result.stderr
    assert "2 truncated, 1 error" in result.stderr
    settings = CaptionSettings(generation=GenerationSettings(max_new_tokens=3))
    expected = [row.to_dict() for row in captioner.caption(sorted(videos.iterdir()), settings)]
    rows = rows_of(output)
    for row in rows + expected:
        assert datetime.now(UTC) - datetime.fromisoformat(row.pop("created_at")) < timedelta(minutes=5)
    by_id = lambda row: row["clip_id"]  # noqa: E731
    assert sorted(rows, key=by_id) == sorted(expected, key=by_id)
    assert os.listdir(videos.parent) == ["videos", output.name] or len(os.listdir(videos.parent)) == 2


def test_options_arrive_in_the_rows(videos):
    output = videos.parent / "rows.jsonl"
    prompt_file = videos.parent / "prompt.txt"
    prompt_file.write_text("  Was ist zu sehen?\n", encoding="utf-8")
    result = invoke(
        "caption", videos / "a.mp4", "-o", output, "--device", "cpu", "--dtype", "bf16", "--max-new-tokens", 4,
        "--prompt-file", prompt_file, "--template", "vqa", "--strategy", "uniform", "--frames", 2, "--start", 0.1,
        "--end", 0.4, "--temperature", 0.5, "--top-p", 0.9, "--repetition-penalty", 1.1, "--seed", 7, "--batch-size", 1,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    (row,) = rows_of(output)
    expected = {
        "precision": "bf16", "max_new_tokens": 4, "prompt": "Was ist zu sehen?", "template": "vqa",
        "strategy": "uniform", "num_frames": 2, "start_s": 0.1, "end_s": 0.4,
        "temperature": 0.5, "top_p": 0.9, "repetition_penalty": 1.1,
        "seed": 7, "model": "tiny-random", "output_tokens": 4,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert len(row["frame_indices"]) == 2


@pytest.mark.parametrize("bits", [8, 4])
def test_quant_really_quantises(bits, videos):
    output = videos.parent / "rows.jsonl"
    assert invoke("caption", videos / "a.mp4", "-o", output, "--quant", bits, *QUICK).exit_code == 0
    assert rows_of(output)[0]["precision"] == {8: "fp32-int8", 4: "fp32-int4"}[bits]


def test_sidecars(videos):
    (videos / "bad.mp4").unlink()
    (videos / "b.txt").write_text("by hand\n")
    result = invoke("caption", videos, "--txt", *TRAINED)
    assert result.exit_code == 0
    assert "1 skipped" in result.stderr
    assert (videos / "b.txt").read_text() == "by hand\n"
    assert (videos / "a.txt").read_text(encoding="utf-8").strip()
    assert result.stdout == ""
    again = invoke("caption", videos, "--txt", *TRAINED)
    assert again.exit_code == 0
    assert "no clip is left; 2 skipped" in again.stderr
    assert invoke("caption", videos, "--txt", "--overwrite", *TRAINED).exit_code == 0
    assert (videos / "b.txt").read_text(encoding="utf-8") != "by hand\n"
    assert sorted(os.listdir(videos)) == ["a.mp4", "a.txt", "b.mp4", "b.txt"]


def test_two_videos_that_would_share_a_sidecar(videos):
    shutil.copy(SHORT, videos / "a.mov")
    result = invoke("caption", videos, "--txt", *QUICK)
    assert result.exit_code == 2
    assert "would both write" in result.stderr


def test_a_sidecar_that_cannot_be_is_one_clip_s_error(videos):
    (videos / "bad.mp4").unlink()
    (videos / "a.txt").mkdir()
    cjk = "字" * 72
    shutil.copy(SHORT, videos / f"{cjk}.mp4")
    result = invoke("caption", videos, "--txt", "--overwrite", "-o", videos.parent / "rows.jsonl", *TRAINED)
    assert result.exit_code == 1
    assert "a.txt is a link, a folder or a device" in " ".join(result.stderr.split())
    assert (videos / "b.txt").is_file()
    assert (videos / f"{cjk}.txt").is_file()
    assert len(rows_of(videos.parent / "rows.jsonl")) == 3


def test_no_training_caption_is_made_of_a_bad_one_and_an_older_file_stays(videos):
    """Three tokens are no sentence, whatever is tried."""
    (videos / "bad.mp4").unlink()
    (videos / "b.txt").write_text("by hand\n")
    result = invoke("caption", videos, "--txt", "--overwrite", *QUICK)
    assert result.exit_code == 0
    assert "no .txt for 2 of them (2 truncated)" in result.stderr
    assert sorted(os.listdir(videos)) == ["a.mp4", "b.mp4", "b.txt"]
    assert (videos / "b.txt").read_text() == "by hand\n"


def test_text_files_are_repaired_as_a_folder_s_captions_are(videos):
    rows = videos.parent / "rows.jsonl"
    for more, is_repaired in (((), True), (("--no-repair",), False)):
        again = ("--txt", "--overwrite", "-o", rows, *more, *QUICK)
        assert invoke("caption", videos / "a.mp4", *again).exit_code == 0
        assert bool(rows_of(rows)[0]["repairs"]) is is_repaired


def test_a_folder_s_captions_are_repaired_unless_told_otherwise(videos, tmp_path):
    for folder, more, is_repaired in (("as it is", (), True), ("told", ("--no-repair",), False)):
        assert invoke("caption", videos / "a.mp4", "-o", tmp_path / folder, *more, *QUICK).exit_code == 0
        (row,) = Dataset(tmp_path / folder).rows()
        assert bool(row["repairs"]) is is_repaired


def test_a_video_called_txt_is_not_written_over(videos):
    content = SHORT.read_bytes()
    shutil.copy(SHORT, videos / "movie.txt")
    (videos / "list.jsonl").write_text('{"path": "movie.txt"}\n')
    result = invoke("caption", videos / "list.jsonl", "--txt", "--overwrite", *QUICK)
    assert result.exit_code == 2
    assert "would replace the video" in " ".join(result.stderr.split())
    assert (videos / "movie.txt").read_bytes() == content


def test_existing_output_is_refused_before_any_work(videos):
    output = videos.parent / "rows.jsonl"
    output.write_text("precious")
    result = invoke("caption", videos, "-o", output, *QUICK)
    assert result.exit_code == 2
    assert "--overwrite" in result.stderr
    assert output.read_text() == "precious"
    assert invoke("caption", videos / "a.mp4", "-o", output, "--overwrite", *QUICK).exit_code == 0
    assert len(rows_of(output)) == 1


def test_what_is_named_twice_is_captioned_once(videos):
    result = invoke("caption", videos / "a.mp4", videos / "a.mp4", str(videos / "a*"), *QUICK)
    assert len(result.stdout.splitlines()) == 1
    assert "1 clip in" in result.stderr


@pytest.mark.parametrize(
    ("name", "reason"), [("zero.mp4", "0 bytes"), ("https://127.0.0.1:9/a.mp4", "cannot be fetched")]
)
def test_what_cannot_be_read_is_named_with_its_reason(name, reason, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zero.mp4").touch()
    result = invoke("caption", name, *QUICK)
    assert result.exit_code == 1
    assert "1 error" in result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error")]
    assert name in line
    assert reason in line


@pytest.mark.parametrize(
    "name",
    ["empty", "missing.mp4", "no*.mp4", "empty.txt", "pipe.mp4", "pipe.tar", "pipe.csv", "zip://a::b.zip"],
)
def test_what_leads_to_no_clip_is_wrong_usage_before_a_model_loads(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.txt").touch()
    for pipe in ("pipe.mp4", "pipe.tar", "pipe.csv"):
        os.mkfifo(pipe)
    for to in ((), ("-o", "rows"), ("--txt",), ("--dry-run",)):
        result = invoke("caption", SHORT, name, *to, "--model", "no-such-model")
        assert result.exit_code == 2
        assert name in result.stderr
        assert "no-such-model" not in result.stderr


def test_a_file_that_a_list_names_and_that_is_not_there_is_one_row(tmp_path):
    (tmp_path / "l.txt").write_text(f"{SHORT}\nmissing.mp4\n")
    result = invoke("caption", tmp_path / "l.txt", *QUICK)
    assert result.exit_code == 1
    assert "missing.mp4: cannot be opened: No such file or directory" in result.stderr
    assert len(result.stdout.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--strategy", "every"], "--strategy"),
        (["--template", "story"], "--template"),
        (["--top-p", "0.5"], "--top-p needs a --temperature"),
        (["--temperature", "-1"], "temperature"),
        (["--frames", "0"], "--frames must be at least 1"),
        (["--frames", "many"], "--frames"),
        (["--max-new-tokens", "0"], "--max-new-tokens"),
        (["--seed", "-1"], "seed"),
        (["--start", "3", "--end", "2"], "--end must be after --start"),
        (["--batch-size", "0"], "Invalid value for '--batch-size'"),
        (["--decode-workers", "-1"], "Invalid value for '--decode-workers'"),
        (["--decode-timeout", "0"], "'--decode-timeout': 0 is not a number above 0"),
        (["--decode-timeout", "inf"], "'--decode-timeout': inf is not a number above 0"),
        (["--ray-decoder-cpus", "0"], "'--ray-decoder-cpus': 0 is not a number above 0"),
        (["--prompt", ""], "prompt is empty"),
        (["--prompt", "a", "--prompt-file", "b"], "exclude each other"),
        (["--prompt-file", "no-such-file"], "no-such-file cannot be read"),
        (["--quant", "3"], "Invalid value for '--quant'"),
        (["--dtype", "fp8"], "unknown --dtype 'fp8'"),
        (["--device", "toaster"], "unknown --device 'toaster'"),
        (["--device", "cuda:77"], "cuda:77 is not there"),
        (["--model", "no-such-model"], "no checkpoint folder 'no-such-model'"),
        (["--adapter", "no-such-adapter"], "no-such-adapter holds no adapter_config.json"),
        (["--revision", "v2"], "leave out --revision"),
        (["-o", "rows.csv"], "must end in .jsonl or .parquet"),
        (["-o", "no/such/folder/rows.jsonl"], "there is no folder"),
        (["--no-such-option"], "--no-such-option"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_says_what(arguments, said):
    result = invoke("caption", SHORT, *arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert result.stdout == ""


def test_no_source_is_wrong_usage():
    assert invoke("caption").exit_code == 2


@pytest.mark.parametrize("spoil", ["shard", "config", "architecture", "sizes"])
def test_spoilt_checkpoints_are_named(spoil, tmp_path):
    folder = shutil.copytree(TINY, tmp_path / "checkpoint")
    config = folder / "config.json"
    if spoil == "shard":
        (folder / "model-00002-of-00002.safetensors").unlink()
    elif spoil == "config":
        config.write_text("{")
    else:
        change = {"architecture": {"architectures": ["Llama"]}, "sizes": {"hidden_size": 63}}[spoil]
        config.write_text(
            json.dumps(changed_sizes(lambda c: c.update(change), json.loads(config.read_text())))
        )
    result = invoke("caption", SHORT, "--model", folder, *QUICK)
    assert result.exit_code == 2
    assert str(folder) in result.stderr
    assert "Traceback" not in result.stderr


@pytest.fixture
def many(tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(400):
        shutil.copy(ONE, folder / f"{number:03}.mp4")
    return folder


def until_rows_are_written(process, rows: int = 3) -> None:
    """Reads stderr, where each finished clip is told, until so many were."""
    for line in process.stderr:
        rows -= line.startswith("truncated ")
        if not rows:
            return
    raise AssertionError("it ended before")


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_ctrl_c_keeps_the_rows_so_far(suffix, many):
    output = many.parent / f"rows{suffix}"
    process = start("caption", many, "-o", output, *QUICK, **FEW_LINES)
    until_rows_are_written(process)
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=240)[1]
    assert process.returncode == 130
    assert "Traceback" not in rest
    assert "stopped by Ctrl-C" in rest
    rows = rows_of(output)
    assert 3 <= len(rows) < 400
    assert all(row["caption_status"] == "truncated" for row in rows)
    assert sorted(os.listdir(many.parent)) == ["many", output.name]


def test_a_kill_leaves_whole_rows_that_the_next_run_does_not_overwrite(many):
    output = many.parent / "rows.parquet"
    process = start("caption", many, "-o", output, *QUICK, **FEW_LINES)
    until_rows_are_written(process)
    process.kill()
    process.communicate(timeout=240)
    partial = many.parent / "rows.parquet.partial"
    assert len(rows_of_lines(partial)) >= 3
    result = invoke("caption", many, "-o", output, *QUICK)
    assert result.exit_code == 2
    assert str(partial) in result.stderr


def rows_of_lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_a_full_disk_ends_the_run_and_keeps_the_rows(many):
    output = many.parent / "rows.jsonl"
    process = start(
        "caption", many, "-o", output, *QUICK,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (6000, resource.RLIM_INFINITY)),
    )  # fmt: skip
    said = process.communicate(timeout=240)[1]
    assert process.returncode == 1
    assert "File too large" in said
    assert "Traceback" not in said
    rows = rows_of(output)
    assert 3 <= len(rows) < 400
    told = int(re.search(r"^(\d+) clips in", said, re.MULTILINE)[1])
    assert told - len(rows) in (0, 1)


@pytest.mark.parametrize("output", ["rows", "rows.parquet"])
def test_a_device_that_fails_ends_the_run_and_keeps_the_rows(output, videos, tmp_path, monkeypatch):
    """torch's AcceleratorError is what any CUDA call raises after one went wrong."""
    steps = iter(range(1000))
    encode = ModelRunner.encode

    def break_down(runner, *arguments):
        if next(steps) >= 2:
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
        encode(runner, *arguments)

    monkeypatch.setattr(ModelRunner, "encode", break_down)
    clips = [SHORT, ONE, CLIPS / "vfr-6s.mp4"]
    result = invoke("caption", *clips, *QUICK, "--no-repair", "--batch-size", 1, "-o", tmp_path / output)
    assert result.exit_code == 3
    assert "illegal memory access" in result.stderr
    assert "Traceback" not in result.stderr
    written = tmp_path / output
    assert (RowFolder(str(written)).table.num_rows() if written.is_dir() else len(rows_of(written))) == 2


def test_names_that_are_no_utf8_are_shown_as_escapes(tmp_path):
    name = os.fsencode(tmp_path) + b"/clip-\xff.mp4"
    shutil.copy(SHORT, name)
    listed = tmp_path / "l.txt"
    listed.write_bytes(name + b"\n/missing-\xfe.mp4\n")
    process = start("caption", listed, *QUICK)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 1
    assert r"clip-\udcff.mp4" in out
    assert r"/missing-\udcfe.mp4" in err
    assert "Traceback" not in err


def test_a_reader_that_goes_away_is_no_traceback(many):
    process = start("caption", many, *QUICK)
    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read()
    process.wait(timeout=240)
    assert "Traceback" not in err
