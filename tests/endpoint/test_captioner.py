"""Clips through an endpoint: what is sent, what rows say, checks, repair, budget."""

from base64 import b64decode
from io import BytesIO

import av
import numpy as np
import pytest

from framescribe import CaptionSettings, Clip, Endpoint, EndpointCaptioner, FrameSampling, GenerationSettings
from framescribe.endpoint.spec import BudgetSpent
from framescribe.errors import UsageError
from framescribe.video.decode import decode_frames
from framescribe.video.encode import write_mp4
from tests.endpoint.server import MODEL, FakeServer, caption_of

SETTINGS = CaptionSettings(sampling=FrameSampling("uniform", num_frames=4), repair=False)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Three seconds each of noise of its own, which JPEG does not keep."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 256, (12, 3, 32, 48)).astype(np.uint8)
        write_mp4(folder / f"{number}.mp4", noise, fps=4)
    return folder


def rows_of(server, videos, settings=SETTINGS, prompts=None, **options):
    with EndpointCaptioner(Endpoint(server.url, **options), settings.sampling) as captioner:
        return sorted(captioner.caption(videos, settings, prompts=prompts), key=lambda row: row.source_video)


def pictures(url):
    """The pictures of a data URL of frames, by FFmpeg."""
    coded = url.partition(",")[2].split(",")
    for each in coded:
        with av.open(BytesIO(b64decode(each))) as container:
            yield next(container.decode(video=0)).to_ndarray(format="rgb24").transpose(2, 0, 1)


def test_rows_say_what_is_known(videos):
    with FakeServer() as server:
        rows = rows_of(server, videos)
        asked = {caption_of(body) for body in server.bodies}
    assert [row.caption_status for row in rows] == ["success"] * 3
    assert {row.caption for row in rows} < asked
    row = rows[0]
    assert (row.endpoint, row.answered_by, row.sent) == (f"{server.url}/v1", MODEL, "frames jpeg q=2")
    assert (row.model, row.model_revision, row.precision, row.template) == (MODEL, None, None, None)
    assert (row.prompt_tokens, row.output_tokens, row.strategy, row.num_frames) == (20, 12, "uniform", 4)
    assert (row.frame_indices, row.duration_s, row.stop_loops) == ((0, 4, 7, 11), 3.0, False)


@pytest.mark.parametrize("send", ["png", "frames"])
def test_the_chosen_frames_are_sent_with_their_times(videos, send):
    clip = Clip(str(videos / "0.mp4"), 0.5, 2.5)
    with FakeServer() as server:
        (row,) = rows_of(server, clip, send=send)
        body = server.bodies[-1]
    frames = decode_frames(clip, SETTINGS.sampling)
    video, text = body["messages"][0]["content"]
    assert text == {"type": "text", "text": SETTINGS.prompt}
    seen = np.stack(list(pictures(video["video_url"]["url"])))
    if send == "png":
        assert video["video_url"]["url"].startswith("data:video/png;base64,")
        np.testing.assert_array_equal(seen, frames.pixels)
    else:
        assert video["video_url"]["url"].startswith("data:video/jpeg;base64,")
        assert 0 < np.abs(seen.astype(int) - frames.pixels).mean() < 8
    times = body["media_io_kwargs"]["video"]
    assert times == {
        "frames_indices": list(frames.indices), "total_num_frames": 8, "duration": 2.0, "fps": 4.0,
        "do_sample_frames": False,
    }  # fmt: skip
    assert row.frame_indices == frames.indices
    assert "framescribe" not in body  # this server does not know it


def test_images_and_files(videos):
    whole, span = Clip(str(videos / "0.mp4")), Clip(str(videos / "0.mp4"), 1.0, 2.0)
    with FakeServer() as server:
        (images,) = rows_of(server, whole, send="images", jpeg_q=9, long_side=24)
        *parts, _ = server.bodies[-1]["messages"][0]["content"]
        assert [part["type"] for part in parts] == ["image_url"] * 4
        assert next(pictures(parts[0]["image_url"]["url"])).shape == (3, 16, 24)
        rows_of(server, whole, send="video")
        url = server.bodies[-1]["messages"][0]["content"][0]["video_url"]["url"]
        assert b64decode(url.removeprefix("data:video/mp4;base64,")) == (videos / "0.mp4").read_bytes()
        (cut,) = rows_of(server, span, send="video")
        url = server.bodies[-1]["messages"][0]["content"][0]["video_url"]["url"]
    assert images.sent == "images jpeg q=9 long_side=24"
    assert (cut.sent, cut.strategy, cut.num_frames, cut.frame_indices, cut.duration_s) == (
        "video",
        None,
        None,
        (),
        1.0,
    )
    with av.open(BytesIO(b64decode(url.removeprefix("data:video/mp4;base64,")))) as container:
        assert len(list(container.decode(video=0))) == 4


def test_framescribe_is_told_strategy_template_and_times(videos):
    facts = {
        "finish_reason": "loop",
        "frame_indices": [1, 2],
        "frame_timestamps_s": [0.25, 0.5],
        "covered_s": 3,
    }
    settings = CaptionSettings(template="vqa", sampling=SETTINGS.sampling)
    with FakeServer(owned_by="framescribe", extra=facts) as server:
        row, *_ = rows_of(server, videos, settings)
        own = server.bodies[-1]["framescribe"]
        assert (own["strategy"], own["num_frames"], own["template"]) == ("uniform", 4, "vqa")
        assert own["timestamps_s"] == list(row.frame_timestamps_s)
        assert (row.template, row.finish_reason, row.caption_status) == ("vqa", "loop", "repetitive")
        file, *_ = rows_of(server, videos, settings, send="video")
        assert (file.frame_indices, file.frame_timestamps_s, file.covered_s) == ((1, 2), (0.25, 0.5), 3.0)
        assert file.strategy == "uniform"
    absurd = facts | {"frame_indices": [1, 10**30], "covered_s": 10**400}
    with FakeServer(owned_by="framescribe", extra=absurd) as server:
        file, *_ = rows_of(server, videos, settings, send="video")
        assert (file.frame_indices, file.covered_s, file.error_message) == ((), None, None)
    with FakeServer() as server, pytest.raises(UsageError, match="`template` is framescribe's own"):
        rows_of(server, videos, settings)


def test_generation_settings_are_sent_where_they_change_something(videos):
    with FakeServer() as server:
        rows_of(server, videos / "0.mp4")
        plain = server.bodies[-1]
        sampled = GenerationSettings(100, 0.7, 0.9, 1.1, seed=3)
        rows_of(server, videos / "0.mp4", CaptionSettings(sampling=SETTINGS.sampling, generation=sampled))
        said = server.bodies[-1]
    assert not {"top_p", "seed", "repetition_penalty", "framescribe"} & plain.keys()
    named = ("max_tokens", "temperature", "top_p", "repetition_penalty", "seed")
    assert [said[name] for name in named] == [100, 0.7, 0.9, 1.1, 3]


def test_servers_that_take_no_such_media(videos):
    for server in (
        FakeServer(takes=("text", "image_url")),
        FakeServer(ignores=("video_url",), takes=("text",)),
        FakeServer(refuses=("media_io_kwargs",)),  # as vLLM 0.32, unless it is told to trust
    ):
        with server, pytest.raises(UsageError, match=r"frames jpeg q=2.*try `send=images` or `send=video`"):
            rows_of(server, videos)
    with FakeServer(takes=("text", "image_url")) as server:
        assert len(rows_of(server, videos, send="images")) == 3


def test_failures_are_rows(videos, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    shown = str(videos / "1.mp4")

    def fault(number, body):
        return "413" if "Of 1" in body["messages"][0]["content"][-1]["text"] else None

    clips = [str(videos / "0.mp4"), Clip(shown, prompt="Of 1"), str(tmp_path / "broken.mp4")]
    with FakeServer(fault) as server:
        by_name = {row.source_video: row for row in rows_of(server, clips)}
    assert by_name[clips[0]].caption_status == "success"
    assert by_name[clips[2]].error_stage == "decode"
    refused = by_name[shown]
    assert (refused.error_stage, refused.endpoint) == ("generate", f"{server.url}/v1")
    assert refused.error_message == f"{shown}: {server.url}/v1: 413: trouble"


def test_repair_asks_again_with_other_settings(videos):
    def say(body):
        return "A good caption of a clip." if body.get("temperature") else "A man walks. " * 60

    repairing = CaptionSettings(sampling=SETTINGS.sampling, repair=True)
    with FakeServer(say=say) as server:
        (row,) = rows_of(server, videos / "0.mp4", repairing)
        assert row.caption == "A good caption of a clip."
        assert row.caption_raw.startswith("A man walks.")
        assert row.repairs[-1].endswith("temperature=0.7 top_p=0.9")
    with (
        FakeServer(say=say) as server,
        EndpointCaptioner(Endpoint(server.url, max_requests=3)) as captioner,
    ):
        rows = captioner.caption(videos / "0.mp4", repairing)
        row = next(rows)
        assert (row.caption_status, row.caption[:12]) == ("repetitive", "A man walks.")
        with pytest.raises(BudgetSpent):
            next(rows)


def test_several_prompts_and_questions(videos):
    with FakeServer() as server:
        rows = rows_of(server, videos / "0.mp4", prompts=["What?", "Who?"])
        assert sorted((row.prompt_index, row.prompt) for row in rows) == [(0, "What?"), (1, "Who?")]
        with EndpointCaptioner(server.url) as captioner:
            history = [("What?", "A kite.")]
            answer = "".join(captioner.ask(videos / "0.mp4", "Where?", history))
            messages = server.bodies[-1]["messages"]
    assert answer == caption_of({"messages": messages})
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert (messages[1]["content"], messages[2]["content"]) == ("A kite.", "Where?")
