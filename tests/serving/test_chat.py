"""Requests in all forms and their answers, by OpenAI's own client, by curl, and as plain HTTP."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from PIL import Image

from framescribe.caption_row import CaptionRow
from framescribe.captioner import Captioner
from framescribe.types import CaptionSettings, Clip, Frames, FrameSampling
from framescribe.video.decode import decode_frames
from tests.serving.served import QUESTION, Served, data_url, serving, video


@pytest.fixture(scope="module")
def client(served: Served) -> openai.OpenAI:
    return openai.OpenAI(base_url=served.url, api_key="none", max_retries=0)


def encoded(frames: Frames, kind: str) -> list[bytes]:
    files = []
    for pixels in frames.pixels:
        file = io.BytesIO()
        Image.fromarray(pixels.transpose(1, 2, 0)).save(file, kind, quality=95)
        files.append(file.getvalue())
    return files


def sequence(files: list[bytes], kind: str) -> str:
    urls = [data_url(each, kind).partition(",")[2] for each in files]
    return f"data:{kind};base64,{','.join(urls)}"


def test_a_video_gets_the_tokens_that_caption_gives(
    client: openai.OpenAI, clip: Path, row: CaptionRow
) -> None:
    answer = client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": video(clip)}])
    assert answer.choices[0].message.content == row.caption
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (
        row.prompt_tokens,
        row.output_tokens,
    )
    facts = answer.model_extra["framescribe"]
    assert tuple(facts["frame_indices"]) == row.frame_indices
    assert tuple(facts["frame_timestamps_s"]) == row.frame_timestamps_s
    assert (facts["covered_s"], facts["finish_reason"]) == (row.covered_s, "stop")
    assert (facts["precision"], facts["model_revision"]) == (row.precision, row.model_revision)


def test_a_stream_gives_the_same_text_in_pieces(client: openai.OpenAI, clip: Path, row: CaptionRow) -> None:
    stream = client.chat.completions.create(
        model="tiny", messages=[{"role": "user", "content": video(clip)}], stream=True,
        stream_options={"include_usage": True},
    )  # fmt: skip
    chunks = list(stream)
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(texts) == row.caption
    assert sum(map(bool, texts)) > 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == row.output_tokens
    last = chunks[-2]
    assert last.choices[0].finish_reason == "stop"
    assert tuple(last.model_extra["framescribe"]["frame_indices"]) == row.frame_indices
    assert len({chunk.id for chunk in chunks}) == 1


def test_curl(served: Served, clip: Path, row: CaptionRow, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    body = {"model": "tiny", "messages": [{"role": "user", "content": video(clip)}]}
    (tmp_path / "body.json").write_text(json.dumps(body))
    ran = subprocess.run(
        ["curl", "-sS", f"{served.url}/chat/completions", "-H", "Content-Type: application/json", "-d", "@body.json"],
        cwd=tmp_path, capture_output=True, check=True,
    )  # fmt: skip
    assert json.loads(ran.stdout)["choices"][0]["message"]["content"] == row.caption


@pytest.mark.parametrize(
    "part",
    [
        lambda url: {"type": "video_url", "video_url": url},
        lambda url: {"type": "input_video", "video_url": {"url": url}},
        lambda url: {
            "type": "video_url",
            "video_url": {"url": url.replace("video/mp4", "application/octet-stream")},
        },
    ],
)
def test_forms_of_a_file(served: Served, clip: Path, row: CaptionRow, part: Any) -> None:
    assert served.text([part(data_url(clip)), {"type": "text", "text": QUESTION}]) == row.caption
    assert served.text([part(data_url(clip))]) == row.caption  # the published question


@pytest.mark.parametrize("strategy", ["chat", "base", "uniform"])
def test_frames_without_loss_get_the_tokens_of_the_file(
    served: Served, tiny: Captioner, clip: Path, strategy: Any
) -> None:
    sampling = FrameSampling(strategy, 6)
    (row,) = tiny.caption(clip, CaptionSettings(sampling=sampling))
    frames = decode_frames(Clip(str(clip)), sampling)
    facts = frames.facts
    io_kwargs = {
        "frames_indices": list(frames.indices), "total_num_frames": facts.num_frames, "duration": facts.duration_s,
        "fps": facts.fps, "do_sample_frames": False,
    }  # fmt: skip
    part = {"type": "video_url", "video_url": {"url": sequence(encoded(frames, "PNG"), "video/png")}}
    response = served.chat(
        [part],
        media_io_kwargs={"video": io_kwargs},
        framescribe={"strategy": strategy, "timestamps_s": list(frames.timestamps_s)},
    )
    answer = response.json()
    assert answer["choices"][0]["message"]["content"] == row.caption
    assert answer["usage"]["prompt_tokens"] == row.prompt_tokens
    assert tuple(answer["framescribe"]["frame_indices"]) == row.frame_indices
    assert tuple(answer["framescribe"]["frame_timestamps_s"]) == row.frame_timestamps_s
    assert answer["framescribe"]["covered_s"] == pytest.approx(row.covered_s)


def test_pictures_in_order_and_lists_of_frames_are_one_video(served: Served, clip: Path) -> None:
    frames = decode_frames(Clip(str(clip)), FrameSampling("chat", 4))
    files = encoded(frames, "JPEG")
    urls = [data_url(each, "image/jpeg") for each in files]
    question = {"type": "text", "text": QUESTION}
    pictures = served.text([*({"type": "image_url", "image_url": {"url": url}} for url in urls), question])
    listed = served.text([{"type": "video", "video": urls, "fps": 1}, question])
    joined = served.text([{"type": "video_url", "video_url": sequence(files, "video/jpeg")}, question])
    assert pictures == listed == joined
    # The same way as a video of these pictures: JPEG is nearly what the file holds.
    assert pictures == served.text(video(clip), mm_processor_kwargs={"num_frames": 4})


def test_frames_that_are_named_by_index_have_their_own_seconds(
    served: Served, tiny: Captioner, clip: Path
) -> None:
    frames = decode_frames(Clip(str(clip)), FrameSampling("uniform", 3))
    part = {"type": "video_url", "video_url": sequence(encoded(frames, "PNG"), "video/png")}
    answer = served.chat([part], media_io_kwargs={"video": {"frames_indices": [0, 40, 80], "fps": 8}}).json()
    assert answer["framescribe"]["frame_timestamps_s"] == [0, 5, 10]
    prompt = tiny.checkpoint.prompts.build(QUESTION, "chat", [0, 5, 10])
    assert answer["usage"]["prompt_tokens"] == len(prompt)


def test_text_alone_and_turns_go_into_the_published_prompt(
    served: Served, tiny: Captioner, clip: Path
) -> None:
    prompts = tiny.checkpoint.prompts
    alone = served.chat("What moves?", max_tokens=3).json()
    assert alone["usage"]["prompt_tokens"] == len(prompts.build("What moves?", "chat", []))
    assert alone["framescribe"]["frame_indices"] is None
    turns = [
        {"role": "user", "content": video(clip, "What is there?")},
        {"role": "assistant", "content": "A kite."},
        {"role": "user", "content": "Which colour?"},
    ]
    answer = served.client.post(
        "/v1/chat/completions", json={"model": "tiny", "messages": turns, "max_completion_tokens": 20}
    ).json()
    wanted = "".join(tiny.ask(clip, "Which colour?", [("What is there?", "A kite.")], served_settings(20)))
    assert answer["choices"][0]["message"]["content"] == wanted.lstrip()


def served_settings(tokens: int) -> CaptionSettings:
    from framescribe.types import GenerationSettings

    return CaptionSettings(generation=GenerationSettings(max_new_tokens=tokens))


def test_a_span_other_frames_and_sampling_are_those_of_caption(
    served: Served, tiny: Captioner, clip: Path
) -> None:
    from framescribe.types import GenerationSettings

    settings = CaptionSettings(
        template="vqa",
        sampling=FrameSampling("chat", 3, fps=2),
        generation=GenerationSettings(12, temperature=0.8, top_p=0.9, repetition_penalty=1.1, seed=7),
    )
    (row,) = tiny.caption(Clip(str(clip), 1, 4), settings)
    response = served.chat(
        video(clip), max_tokens=12, temperature=0.8, top_p=0.9, repetition_penalty=1.1, seed=7,
        framescribe={
            "strategy": "chat", "num_frames": 3, "sample_fps": 2.0, "template": "vqa", "start_s": 1, "end_s": 4,
        },
    )  # fmt: skip
    answer = response.json()
    assert answer["choices"][0]["message"]["content"] == (row.caption_raw or "").lstrip()
    assert tuple(answer["framescribe"]["frame_timestamps_s"]) == row.frame_timestamps_s
    assert answer["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_stop_text_ends_the_answer_before_it(
    served: Served, clip: Path, row: CaptionRow, is_streamed: bool
) -> None:
    caption = row.caption or ""
    stop = caption[len(caption) // 2 :][:5]
    before = caption[: caption.index(stop)]
    response = served.chat(video(clip), stop=["never there", stop], stream=is_streamed)
    if is_streamed:
        events = [json.loads(line[6:]) for line in response.text.split("\n\n") if line.startswith("data: {")]
        text = "".join(event["choices"][0]["delta"].get("content", "") for event in events)
        reason = events[-1]["choices"][0]["finish_reason"]
    else:
        text = response.json()["choices"][0]["message"]["content"]
        reason = response.json()["choices"][0]["finish_reason"]
    assert (text, reason) == (before, "stop")


def test_the_length_of_answers(served: Served, clip: Path, tiny: Captioner) -> None:
    answer = served.chat(video(clip), max_tokens=2).json()
    assert answer["usage"]["completion_tokens"] == 2
    assert answer["choices"][0]["finish_reason"] == "length"
    with serving(tiny) as other:
        assert other.chat("hello", max_tokens=4096).status_code == 400


def test_a_request_s_id_comes_back(served: Served) -> None:
    body = {"model": "tiny", "messages": [{"role": "user", "content": "a"}], "max_tokens": 1}
    headers = {"x-request-id": "run-7.clip_12"}
    response = served.client.post("/v1/chat/completions", json=body, headers=headers)
    assert response.headers["x-request-id"] == "run-7.clip_12"
    assert response.json()["id"] == "chatcmpl-run-7.clip_12"
    odd = served.client.post("/v1/chat/completions", json=body, headers={"x-request-id": "a b"})
    assert odd.headers["x-request-id"] != "a b"


def test_many_at_once_get_what_each_gets_alone(served: Served, tiny: Captioner, clip: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    spans = [(start / 2, start / 2 + 2) for start in range(8)]
    wanted = [next(tiny.caption(Clip(str(clip), *span))).caption for span in spans]
    content = video(clip)

    def ask(span: tuple[float, float]) -> str:
        return served.text(content, framescribe={"start_s": span[0], "end_s": span[1]})

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, spans)) == wanted


def test_models_version_health_and_metrics(served: Served, client: openai.OpenAI) -> None:
    (model,) = client.models.list().data
    assert (model.id, model.owned_by) == ("tiny", "framescribe")
    assert client.models.retrieve("tiny").id == "tiny"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("other")
    for path in ("/health", "/health/live", "/health/ready", "/version"):
        assert served.client.get(path).status_code == 200
    served.chat("hello", max_tokens=2)
    text = served.client.get("/metrics").text
    assert 'framescribe_requests_total{status="200"}' in text
    assert "framescribe_output_tokens_total" in text


def test_frames_of_a_broken_picture_are_refused(served: Served) -> None:
    file = io.BytesIO()
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(file, "JPEG")
    whole = file.getvalue()
    for content in (whole[: len(whole) // 2], b"", b"GIF89a", whole[:-2]):
        part = {"type": "image_url", "image_url": data_url(content, "image/jpeg")}
        answer = served.chat([part])
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_video")
