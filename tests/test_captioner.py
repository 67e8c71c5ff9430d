"""The front door: clips in, exactly one row per clip out."""

import dataclasses
import io
import itertools
import json
import math
import zipfile

import fsspec
import pytest

from framescribe import Captioner, CaptionRow, CaptionSettings, Clip, FrameSampling, GenerationSettings
from framescribe.engine.request import Completion
from framescribe.errors import ClipError
from framescribe.model.precision import Precision
from tests.awkward import AWKWARD, make
from tests.reference import CASES, CLIPS, recorded

HORSE, KITTEN = CLIPS / "horse.mp4", CLIPS / "kitten.mp4"
SHORT = CLIPS / "short-half-second.mp4"


def settings(**generation) -> CaptionSettings:
    return CaptionSettings(generation=GenerationSettings(**{"max_new_tokens": 6} | generation))


def captions(rows) -> dict[str, str]:
    return {row.source_video: row.caption_raw for row in rows}


@pytest.mark.parametrize(("name", "clip", "strategy"), [("horse", HORSE, "chat"), ("kitten", KITTEN, "base")])
def test_real_clips_give_the_recorded_captions(name, clip, strategy, captioner):
    case = f"clip-{name}-{strategy}"
    limit = len(recorded(case)["greedy_ids"])
    wanted = CaptionSettings(
        sampling=FrameSampling(strategy), generation=GenerationSettings(max_new_tokens=limit)
    )
    (row,) = captioner.caption([clip], wanted)
    assert row.caption_raw == CASES[case]["greedy_text"]
    assert row.caption == CASES[case]["greedy_text"].strip()
    assert row.caption_status == "truncated"
    assert (row.prompt_tokens, row.output_tokens) == (len(recorded(case)["input_ids"]), limit)


REMAKEABLE = [
    settings(),
    settings(temperature=0.8, top_p=0.9, repetition_penalty=1.2, seed=11, stop_loops=False),
    CaptionSettings("What?", "vqa", FrameSampling("uniform", 5), GenerationSettings(max_new_tokens=4)),
    CaptionSettings(sampling=FrameSampling(fps=2.0), generation=GenerationSettings(max_new_tokens=2)),
    CaptionSettings(sampling=FrameSampling("base", 3), generation=GenerationSettings(max_new_tokens=4)),
]


@pytest.mark.parametrize("made_with", REMAKEABLE)
def test_a_row_is_enough_to_make_its_caption_again(made_with, captioner):
    """From the row's JSON alone, with nothing else of the run."""
    rows = [
        json.loads(json.dumps(row.to_dict()))
        for row in captioner.caption([Clip(str(HORSE), 1.5, 4), SHORT], made_with)
    ]
    assert len(rows) == 2
    for row in rows:
        again = Captioner.from_pretrained(row["model"], device="cpu", dtype=row["precision"])
        clip = Clip(row["source_video"], row["start_s"], row["end_s"])
        generation = GenerationSettings(
            row["max_new_tokens"],
            row["temperature"],
            row["top_p"],
            row["repetition_penalty"],
            row["seed"],
            row["stop_loops"],
        )
        sampling = FrameSampling(row["strategy"], row["num_frames"], row["sample_fps"])
        assert (generation, sampling) == (made_with.generation, made_with.sampling)
        remade = CaptionSettings(row["prompt"], row["template"], sampling, generation)
        (found,) = again.caption([clip], remade)
        assert json.loads(json.dumps(found.to_dict())) == row | {"created_at": found.created_at}


def test_columns(captioner):
    (row,) = captioner.caption([SHORT], settings())
    assert [column.name for column in dataclasses.fields(CaptionRow)] == list(row.to_dict())
    unset = {name for name, value in row.to_dict().items() if value is None}
    assert unset == {"end_s", "error_stage", "error_message", "source_sha256", "imported_from"} | {
        "endpoint",
        "answered_by",
        "sent",
    }
    assert (row.codec, row.strategy, row.template, row.precision, row.model) == (
        "h264", "chat", "chat", "fp32", "tiny-random",
    )  # fmt: skip
    assert row.duration_s == pytest.approx(0.5, abs=0.1)
    assert row.frame_timestamps_s[0] == 0
    assert len(row.frame_indices) == len(row.frame_timestamps_s)


def test_what_is_in_the_batch_changes_nothing(captioner):
    clips = [SHORT, HORSE, Clip(str(KITTEN), 0, 3), CLIPS / "one-frame.mp4", CLIPS / "vfr-6s.mp4"]
    alone = [row for clip in clips for row in captioner.caption([clip], settings())]
    together = list(captioner.caption(clips, settings()))
    made = {row.clip_id: row.created_at for row in alone}
    same_time = [dataclasses.replace(row, created_at=made[row.clip_id]) for row in together]
    assert {row.clip_id: row for row in same_time} == {row.clip_id: row for row in alone}
    assert len(together) == len(clips)


def test_duplicates_give_one_row(captioner):
    rows = list(
        captioner.caption(
            [str(SHORT), SHORT, Clip(str(SHORT)), Clip(str(SHORT), 0.1), Clip(str(SHORT), 0.1)], settings()
        )
    )
    assert len(rows) == 2
    assert len({row.clip_id for row in rows}) == 2


def test_spans_of_a_long_video_have_ids_of_their_own():
    starts = [36000.01, 36000.02, 36000.021, 36001]
    assert len({Clip("a", start, start + 5).id for start in starts}) == len(starts)
    assert Clip("a", 1, 2).id == Clip("a", 1.0, 2.0).id
    assert Clip("a").id != Clip("a", 0, 1).id != Clip("b", 0, 1).id
    assert Clip("\ud800 \udcff").id  # any name that Python can hold


def test_all_kinds_of_sources_give_the_same_caption(captioner):
    content = SHORT.read_bytes()
    fsspec.filesystem("memory").pipe("/clips/short.mp4", content)
    buffer = io.BytesIO()
    buffer.write(content)  # left at its end, as writers leave it
    with SHORT.open("rb") as file:
        sources = [
            SHORT,
            str(SHORT),
            file,
            content,
            buffer,
            "memory://clips/short.mp4",
            SHORT.resolve().as_uri(),
        ]
        rows = [row for source in sources for row in captioner.caption([source], settings())]
        assert not file.closed
    assert len(rows) == len(sources)
    assert len({row.caption for row in rows}) == 1
    labels = [row.source_video for row in rows]
    assert labels[:3] == [str(SHORT)] * 3
    assert labels[3] == labels[4]
    assert labels[3].startswith("bytes:")
    assert len({row.clip_id for row in rows[3:]}) == 4 - 1


@pytest.mark.parametrize("source", [5, None, ["a.mp4"], io.StringIO("text")])
def test_what_is_no_source_is_refused(source, captioner):
    with pytest.raises(ValueError, match=r"must be a path|open it in binary mode"):
        list(captioner.caption([source], settings()))


def test_sources_are_read_no_further_ahead_than_needed(captioner):
    """Three in the batch and as many decoding as there are threads."""
    taken = itertools.count()
    clips = (Clip(str(SHORT), 0, 0.3 + next(taken) / 1000) for _ in range(200))
    rows = captioner.caption(clips, settings(), decode_workers=2)
    for done in range(1, 4):
        next(rows)
        assert next(taken) <= 3 + 2 + done + 2 * done  # each look takes a number too
    rows.close()


def test_a_consumer_that_stops_early_leaves_the_captioner_usable(captioner):
    abandoned = captioner.caption([HORSE, KITTEN, SHORT], settings(max_new_tokens=50))
    next(abandoned)
    closed = captioner.caption([HORSE, KITTEN, SHORT], settings())
    next(closed)
    closed.close()
    (row,) = captioner.caption([SHORT], settings())
    assert row.caption_status == "truncated"
    assert "".join(captioner.ask(SHORT, row.prompt, settings=settings())) == row.caption_raw
    assert len(list(abandoned)) == 2


def test_a_call_that_is_closed_takes_its_clips_out_of_the_engine(captioner):
    # Clips that fail, without end, until the first one is being written.
    clips = itertools.chain(
        [Clip(str(SHORT))], (Clip(f"missing-{number}.mp4") for number in itertools.count())
    )
    rows = captioner.caption(clips, settings(max_new_tokens=2000), decode_workers=1)
    while not captioner.longest_in_progress():
        assert next(rows).caption_status == "error"
    rows.close()
    assert captioner.longest_in_progress() == 0


def test_calls_may_overlap(captioner):
    clips = [HORSE, SHORT, CLIPS / "one-frame.mp4"]
    expected = captions(captioner.caption(clips, settings()))
    first, second = captioner.caption(clips, settings()), captioner.caption(reversed(clips), settings())
    pairs = list(zip(first, second, strict=True))
    assert captions(pair[0] for pair in pairs) == captions(pair[1] for pair in pairs) == expected


def test_sources_that_fail_end_the_run_and_nothing_else(captioner):
    def broken():
        yield SHORT
        raise RuntimeError("the list of clips broke")

    with pytest.raises(RuntimeError, match="the list of clips broke"):
        list(captioner.caption(broken(), settings()))
    assert len(list(captioner.caption([SHORT], settings()))) == 1


def test_no_sources_no_rows(captioner):
    assert list(captioner.caption([])) == []


def test_empty_captions_have_their_status(captioner):
    """End of text at once: the model's stop tokens are made those that it begins with."""
    first = recorded("clip-horse-chat")["greedy_ids"][0]
    checkpoint = dataclasses.replace(captioner.checkpoint, stop_ids=frozenset({int(first)}))
    quiet = Captioner(captioner.engine.model, checkpoint, captioner.precision, 1)
    (row,) = quiet.caption([HORSE])
    assert (row.caption_status, row.caption, row.output_tokens) == ("empty", "", 0)


def test_uniform_covers_the_whole_clip_and_writes_its_seconds(captioner, tokenizer):
    wanted = CaptionSettings(
        sampling=FrameSampling("uniform", 4), generation=GenerationSettings(max_new_tokens=1)
    )
    (row,) = captioner.caption([CLIPS / "long-70s.mp4"], wanted)
    assert row.covered_s == row.duration_s == pytest.approx(70, abs=1)
    seconds = [str(round(second)) for second in row.frame_timestamps_s]
    assert [int(second) for second in seconds] == [0, 23, 47, 70]
    text = len(tokenizer.encode(f"Question: {row.prompt} Answer:"))
    assert row.prompt_tokens == 1 + 4 * 66 + sum(len(tokenizer.encode(second)) for second in seconds) + text
    (published,) = captioner.caption([CLIPS / "long-70s.mp4"], settings())
    assert published.covered_s == 24


@pytest.mark.parametrize("history", [[], [("Who is there?", "A horse."), ("Sure?", "Yes.")]])
@pytest.mark.parametrize("template", ["chat", "vqa"])
def test_ask_answers_as_caption_does(history, template, captioner, tokenizer):
    wanted = dataclasses.replace(settings(max_new_tokens=20), template=template)
    pieces = list(captioner.ask(HORSE, "What happens?", history, wanted))
    if not history:
        (row,) = captioner.caption([HORSE], dataclasses.replace(wanted, prompt="What happens?"))
        assert "".join(pieces) == row.caption_raw
    else:
        assert "".join(pieces) != "".join(captioner.ask(HORSE, "What happens?", [], wanted))
    assert len(pieces) > 5  # it streams


def test_ask_refuses_what_it_cannot(captioner):
    base = dataclasses.replace(settings(), template="base")
    with pytest.raises(ValueError, match="base template has no turns"):
        list(captioner.ask(HORSE, "What?", [("a", "b")], base))
    with pytest.raises(ClipError, match=r"missing.mp4.*No such file") as failure:
        list(captioner.ask("missing.mp4", "What?"))
    assert failure.value.stage == "open"


def test_every_awkward_input_gives_its_row(captioner, tmp_path):
    """One run over all of them: one row each, with the right status, and none hangs or ends the run."""
    clips = {name: make(name, tmp_path) for name in AWKWARD}
    for name, clip in clips.items():
        if clip.data is not None:  # its label is all that tells it from others
            clips[name] = dataclasses.replace(clip, source_video=name)
    assert len(clips) >= 40
    by_id = {clip.id: name for name, clip in clips.items()}
    assert len(by_id) == len(clips)
    rows = list(captioner.caption(clips.values(), settings(max_new_tokens=2)))
    assert sorted(by_id[row.clip_id] for row in rows) == sorted(clips)
    for row in rows:
        name = by_id[row.clip_id]
        expected = AWKWARD[name]
        assert row.source_video == clips[name].source_video
        if expected.outcome == "success":
            assert (name, row.caption_status, row.error_stage) == (name, "truncated", None)
            assert (name, row.missing_s > 0) == (name, expected.is_damaged)
            assert (name, row.error_message is not None) == (name, expected.is_damaged)
            assert all(map(math.isfinite, (row.fps, row.duration_s, row.missing_s, row.covered_s)))
            assert row.frame_indices
        else:
            assert (name, row.caption_status, row.error_stage) == (name, "error", expected.outcome)
            assert row.source_video[:500] in row.error_message  # messages lose their middle
            assert row.caption is None
        json.dumps(row.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("make_settings", "said"),
    [
        (lambda: CaptionSettings(prompt=" \n"), "prompt is empty"),
        (lambda: CaptionSettings(template="story"), "unknown `template` 'story'"),
        (lambda: FrameSampling("every"), "unknown `strategy` 'every'; choose one of chat, base, uniform"),
        (lambda: FrameSampling(num_frames=0), "at least 1"),
        (lambda: Clip("a", -1), "start_s"),
        (lambda: Clip("a", math.nan), "start_s"),
        (lambda: Clip("a", 2, 2), "`end_s` must be after `start_s`"),
        (lambda: Clip("a", 2, math.inf), "end_s"),
    ],
)
def test_values_are_checked_where_they_are_made(make_settings, said):
    with pytest.raises(ValueError, match=said):
        make_settings()


def test_a_tokenizer_of_another_model_is_refused(tmp_path):
    from tests.reference import changed_sizes, write_random_checkpoint

    def shrink(config):
        config.update(vocab_size=300, bos_token_id=0, eos_token_id=1, pad_token_id=2)

    write_random_checkpoint(tmp_path, changed_sizes(shrink))
    with pytest.raises(ValueError, match="tokenizer has 512 tokens, the model 300"):
        Captioner.from_pretrained(tmp_path, device="cpu")


def test_a_repair_that_cannot_be_computed_leaves_the_first_caption(captioner, monkeypatch):
    (first,) = captioner.caption([SHORT], settings())
    add, requests = captioner.engine.add, []

    def add_once(request, deliver):
        requests.append(request)
        if len(requests) > 1:
            deliver(Completion(request.id, (), "error", "the KV cache is too small"))
            return None
        return add(request, deliver)

    monkeypatch.setattr(captioner.engine, "add", add_once)
    clock = iter("123")
    monkeypatch.setattr("framescribe.rows._now", lambda: next(clock))
    (row,) = captioner.caption([SHORT], dataclasses.replace(settings(), repair=True))
    assert len(requests) == 2
    assert row.created_at == "2"  # when it was settled, not when it was first tried
    assert (row.caption_status, row.caption) == (first.caption_status, first.caption)
    assert len(row.repairs) == 1


def test_two_videos_under_one_id_are_two_rows(captioner, tmp_path):
    """Members of two zips have one name; two lists may give one id. Neither is dropped, nor taken for the other."""
    one, two = (CLIPS / name for name in ("short-half-second.mp4", "long-70s.mp4"))
    opened = []
    for number, source in enumerate((one, two)):
        with zipfile.ZipFile(tmp_path / f"{number}.zip", "w") as archive:
            archive.write(source, "a.mp4")
        opened.append(zipfile.ZipFile(tmp_path / f"{number}.zip").open("a.mp4"))  # noqa: SIM115
    for number, source in enumerate((one, two)):
        (tmp_path / f"{number}.jsonl").write_text(json.dumps({"path": str(source), "id": "mine"}) + "\n")
    with one.open("rb") as once, one.open("rb") as again:
        rows = list(
            captioner.caption(
                [*opened, once, again, tmp_path / "0.jsonl", tmp_path / "1.jsonl", tmp_path / "1.jsonl"],
                settings(max_new_tokens=2),
            )
        )
    assert len({row.clip_id for row in rows}) == len(rows)
    errors = [row for row in rows if row.caption_status == "error"]
    assert len(rows) - len(errors) == 3  # the first zip's, the open file once, the first list's
    assert sorted(row.source_video for row in errors) == sorted(["a.mp4", str(two)])
    assert all("another video of this run has the id" in row.error_message for row in errors)


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ({"decode_timeout_s": 0.001}, "more than 0.001 s"),
        ({"decode_memory_gb": 0.001}, "more memory than the 0.001 GB"),
    ],
)
def test_the_limits_of_decoding_arrive(limit, said, captioner):
    (row,) = captioner.caption([CLIPS / "long-70s.mp4"], settings(), **limit)
    assert (row.caption_status, row.error_stage) == ("error", "decode")
    assert said in row.error_message


def test_fp8_keys_and_values_are_really_rounded(captioner):
    """As far as a caption: with hot sampling the least difference of logits becomes another text."""
    precision = Precision(captioner.precision.device, "fp32", "fp8-kv")
    rounding = Captioner(captioner.engine.model, captioner.checkpoint, precision, 1)
    wanted = settings(max_new_tokens=48, temperature=1.0)
    ((exact,), (rounded,)) = (each.caption([SHORT], wanted) for each in (captioner, rounding))
    assert rounded.caption_raw != exact.caption_raw
    assert rounded.precision == "fp32-fp8-kv"


def test_a_clip_that_fails_has_a_row_for_each_prompt_and_a_rate_that_was_asked_for(captioner):
    wanted = CaptionSettings(
        sampling=FrameSampling("chat", 3, fps=2.0), generation=GenerationSettings(max_new_tokens=2)
    )
    rows = list(captioner.caption([HORSE, "missing.mp4"], wanted, prompts=["What?", "Where?"]))
    told = sorted((row.source_video, row.prompt_index, row.prompt, row.caption_status) for row in rows)
    assert told == sorted(
        (name, place, prompt, status)
        for name, status in ((str(HORSE), "truncated"), ("missing.mp4", "error"))
        for place, prompt in enumerate(("What?", "Where?"))
    )
    assert {row.sample_fps for row in rows} == {2.0}
    assert rows[0].to_dict()["sample_fps"] == 2.0
