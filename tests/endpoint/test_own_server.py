"""Through framescribe's own server: rows equal those of a local run in all that does not say where they were made."""

import dataclasses

import pytest

from framescribe import CaptionSettings, Endpoint, EndpointCaptioner, FrameSampling, GenerationSettings
from tests.endpoint.kill_resume import make_clips
from tests.serving.served import serving

ELSEWHERE = {"created_at", "endpoint", "answered_by", "sent", "caption_raw", "decoder"}


@pytest.mark.parametrize("strategy", ["chat", "uniform", "base"])
@pytest.mark.parametrize("send", ["png", "video"])
def test_rows_equal_those_of_a_local_run(captioner, tmp_path, strategy, send):
    make_clips(tmp_path, 4)
    sampling = FrameSampling(strategy, num_frames=3)
    settings = CaptionSettings(sampling=sampling, generation=GenerationSettings(max_new_tokens=6))
    local = {row.source_video: row for row in captioner.caption(tmp_path, settings)}
    with serving(captioner) as served, EndpointCaptioner(Endpoint(served.url, send=send), sampling) as remote:
        rows = list(remote.caption(tmp_path, settings))
    assert len(rows) == len(local) == 4
    for row in rows:
        here, there = dataclasses.asdict(local[row.source_video]), dataclasses.asdict(row)
        differing = {name for name in here if here[name] != there[name]}
        assert differing <= ELSEWHERE, {name: (here[name], there[name]) for name in differing - ELSEWHERE}
        assert row.endpoint == served.url
