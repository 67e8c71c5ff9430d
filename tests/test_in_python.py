"""What a user meets at the Python prompt."""

import dataclasses
import json
import re
import subprocess
import sys

import pytest
import torch

import framescribe
from framescribe import Captioner, CaptionSettings, Clip, FrameSampling, GenerationSettings, UsageError
from framescribe.model.precision import choose_precision
from framescribe.model_spec import ModelSpec
from tests.reference import CLIPS

SHORT = CLIPS / "short-half-second.mp4"
QUICK = CaptionSettings(generation=GenerationSettings(max_new_tokens=2))


def test_dir_lists_the_public_names_and_loads_nothing():
    assert dir(framescribe) == sorted(framescribe.__all__)
    script = (
        "import sys, framescribe; dir(framescribe); print('torch' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_the_package_says_that_it_is_typed():
    from importlib.resources import files

    assert files("framescribe").joinpath("py.typed").is_file()


def test_one_source_folders_and_globs_as_on_the_command_line(captioner, tmp_path):
    for name in ("b.mp4", "a.mp4", "deep/c.mp4"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(SHORT.read_bytes())
    (tmp_path / "notes.md").write_text("no video")
    (tmp_path / "list.txt").write_text("a.mp4\n")

    def found(sources):
        rows = captioner.caption(sources, QUICK)
        return sorted(row.source_video.removeprefix(f"{tmp_path}/") for row in rows)

    everything = ["a.mp4", "b.mp4", "deep/c.mp4"]
    assert found(tmp_path) == found(str(tmp_path)) == found([tmp_path]) == everything
    assert found(tmp_path / "*.mp4") == ["a.mp4", "b.mp4"]
    assert found(tmp_path / "a.mp4") == found([str(tmp_path / "list.txt")]) == ["a.mp4"]
    assert found([tmp_path, tmp_path / "b.mp4"]) == everything
    assert found(Clip(str(tmp_path / "a.mp4"), 0.1)) == ["a.mp4"]
    assert len(found(SHORT.read_bytes())) == 1


def test_a_path_to_nothing_is_a_row_and_a_place_without_videos_is_refused_at_the_call(captioner, tmp_path):
    missing = tmp_path / "missing.mp4"
    rows = list(captioner.caption([missing, SHORT], QUICK))
    assert sorted((row.source_video, row.caption_status) for row in rows) == sorted(
        [(str(missing), "error"), (str(SHORT), "truncated")]
    )
    for nothing in (tmp_path, tmp_path / "*.mp4", [SHORT, tmp_path]):
        with pytest.raises(UsageError):
            captioner.caption(nothing, QUICK)


def test_an_empty_question_is_refused(captioner):
    with pytest.raises(UsageError, match="question is empty"):
        next(captioner.ask(SHORT, " "))


def test_progress_counts_rows_and_knows_the_end(captioner):
    clips = [Clip(str(SHORT), start / 100) for start in range(9)]
    told = []
    rows = list(
        captioner.caption(iter(clips), QUICK, progress=lambda done, total: told.append((done, total)))
    )
    assert [done for done, _ in told][:9] == list(range(1, len(rows) + 1))
    assert told[0] == (1, None) or told[0] == (1, 9)
    assert told[-1] == (9, 9)
    assert {total for _, total in told} <= {None, 9}


@pytest.mark.parametrize("wrong", [5, None, ["a.mp4", 5], [["a.mp4"]]])
def test_what_is_no_source_is_refused_at_the_call(wrong, captioner):
    with pytest.raises(UsageError):
        captioner.caption(wrong)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: CaptionSettings(sampling="uniform"), r'such as FrameSampling\("uniform"\)'),
        (lambda: CaptionSettings(sampling=24), "`sampling` must be of type FrameSampling, not 24"),
        (lambda: CaptionSettings(generation={"seed": 1}), "`generation` must be of type GenerationSettings"),
        (lambda: CaptionSettings(prompt=None), "`prompt` must be of type str"),
        (lambda: FrameSampling(num_frames="24"), "`num_frames` must be a whole number, not '24'"),
        (lambda: FrameSampling(num_frames=2.5), "`num_frames` must be a whole number"),
        (lambda: GenerationSettings(max_new_tokens="2"), "`max_new_tokens` must be a whole number"),
        (lambda: GenerationSettings(temperature="hot"), "`temperature` must be a number"),
        (lambda: GenerationSettings(seed=None), "`seed` must be a whole number"),
    ],
)
def test_wrong_types_are_told_at_once_with_what_to_write(make, said):
    with pytest.raises(UsageError, match=said):
        make()


def test_settings_of_another_type_are_refused(captioner):
    with pytest.raises(UsageError, match="CaptionSettings"):
        captioner.caption(SHORT, FrameSampling("uniform"))


@pytest.mark.parametrize("dtype", ["bf16", "bfloat16", "torch.bfloat16", torch.bfloat16])
def test_all_names_of_a_dtype(dtype):
    assert ModelSpec(dtype=dtype) == ModelSpec(dtype="bf16")
    assert choose_precision(ModelSpec(device="cpu", dtype=dtype)).dtype is torch.bfloat16


def test_torchs_own_names_of_fp16_fp32_and_devices():
    spec = ModelSpec(device=torch.device("cuda", 1), dtype=torch.float16)
    assert (spec.device, spec.dtype) == ("cuda:1", "fp16")
    assert ModelSpec(dtype="float32").dtype == ModelSpec(dtype="float").dtype == "fp32"
    with pytest.raises(UsageError, match="unknown `dtype` 'int8'"):
        ModelSpec(dtype=torch.int8)


def test_a_captioner_says_what_it_is(captioner):
    assert repr(captioner) == "Captioner('tiny-random', fp32, cpu)"
    assert isinstance(captioner, Captioner)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Clip("a.mp4"), "Clip('a.mp4')"),
        (Clip("a.mp4", 1.5, 3, data=b"x" * 9), "Clip('a.mp4', start_s=1.5, end_s=3)"),
        (FrameSampling(), "FrameSampling()"),
        (GenerationSettings(256, seed=3), "GenerationSettings(max_new_tokens=256, seed=3)"),
        (
            CaptionSettings(sampling=FrameSampling("uniform", 8)),
            "CaptionSettings(sampling=FrameSampling(strategy='uniform', num_frames=8))",
        ),
    ],
)
def test_values_show_what_is_not_by_default_and_can_be_typed(value, shown):
    assert repr(value) == shown
    if not isinstance(value, Clip) or value.data is None:
        assert eval(shown) == value
    long = CaptionSettings(prompt="x\n" * 5000)
    assert len(repr(long)) < 300
    assert "\n" not in repr(long)


def test_a_row_shows_what_matters(captioner):
    (row,) = captioner.caption(Clip(str(SHORT), 0.1, 0.3), QUICK)
    line = repr(row)
    assert len(line) < 300
    assert "short-half-second.mp4#t=0.1,0.3" in line
    assert row.caption_status in line
    hostile = dataclasses.replace(row, caption="<script>alert(1)</script>\n\x1b[2J", source_video="<b>.mp4")
    page = hostile._repr_html_()
    assert "<script>" not in page
    assert "<b>" not in page
    assert "&lt;script&gt;" in page
    assert "\x1b" not in repr(hostile)
    assert "\n" not in repr(hostile)


def test_a_dataset_shows_its_first_rows_and_their_number(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [
        {
            "clip_id": str(number), "source_video": f"{number}.mp4", "start_s": float(number), "end_s": None,
            "caption_status": "success", "flags": ["opener"], "caption": f"Caption {number} <b>\n" + "x" * 900,
        }
        for number in range(1200)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    dataset = framescribe.Dataset(path)
    assert repr(dataset) == f"Dataset({str(path)!r})"
    page = dataset._repr_html_()
    assert page.count("<tr>") == 6
    assert "4.mp4#t=4" in page
    assert "5.mp4" not in page
    assert "1,200 rows" in page
    assert "<b>" not in page
    assert len(page) < 5000


def test_a_summary_shows_what_came_of_a_run():
    summary = framescribe.RunSummary({"success": 6, "error": 2}, 4.0, "captions/", note="<i>")
    assert (
        repr(summary) == "<RunSummary 8 clips in 4.0 s, 2.00 clips/s: 6 success, 2 error; <i> -> captions/>"
    )
    cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", summary._repr_html_())
    assert cells == [
        "clips", "8", "success", "6", "error", "2", "clips/s", "2.00", "output", "captions/", "note", "&lt;i&gt;",
    ]  # fmt: skip


def test_an_error_row_shows_its_reason(captioner, tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    (row,) = captioner.caption(tmp_path / "text.mp4", QUICK)
    assert "error" in repr(row)
    assert "text.mp4" in repr(row)
    assert row.error_message.split(":")[-1].strip()[:20] in row._repr_html_()
