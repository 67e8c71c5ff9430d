"""Requests and answers as they are on the wire: OpenAI's chat completions, with video as vLLM, OpenRouter and DashScope
write it. What would change an answer and is not done is refused; so is what is not known.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from framescribe.types import Strategy, Template

MAX_TEXT = 100_000
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Seconds = Annotated[float, Field(ge=0, le=1e6)]
Rate = Annotated[float, Field(gt=0, le=1000)]
Count = Annotated[int, Field(ge=1, le=10_000)]
MAX_INDEX = 2**53  # beyond, it is no number of seconds


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Url(_Request):
    """Where media are: ``data:``, ``https:`` or ``file:``, as far as the server allows."""

    url: str
    detail: Literal["auto", "low", "high"] | None = None


class TextPart(_Request):
    type: Literal["text"]
    text: Text


class VideoPart(_Request):
    """A video: a file (``data:video/mp4;base64,…``), or chosen frames (``data:video/jpeg;base64,f1,f2,…``)."""

    type: Literal["video_url", "input_video"]
    video_url: Url | str


class FramesPart(_Request):
    """A video as a list of pictures, in order."""

    type: Literal["video"]
    video: Annotated[list[str], Field(min_length=1)]
    fps: Rate | None = None


class ImagePart(_Request):
    """A picture. All of a request's are the frames of one video, in order."""

    type: Literal["image_url"]
    image_url: Url | str


Part = Annotated[TextPart | VideoPart | FramesPart | ImagePart, Field(discriminator="type")]


class UserMessage(_Request):
    role: Literal["user"]
    content: Text | Annotated[list[Part], Field(min_length=1)]
    name: str | None = None


class AssistantMessage(_Request):
    role: Literal["assistant"]
    content: Text | Annotated[list[TextPart], Field(min_length=1)]
    name: str | None = None
    refusal: None = None


Message = Annotated[UserMessage | AssistantMessage, Field(discriminator="role")]


class VideoIo(_Request):
    """Of frames that are sent: where in the video they are. Of a file: which are taken (``num_frames``, ``fps``)."""

    frames_indices: Annotated[list[Annotated[int, Field(ge=0, le=MAX_INDEX)]], Field(min_length=1)] | None = (
        None
    )
    total_num_frames: Annotated[int, Field(ge=1, le=MAX_INDEX)] | None = None
    duration: Seconds | None = None
    fps: Rate | None = None
    num_frames: Count | None = None
    do_sample_frames: bool | None = None


class MediaIo(_Request):
    video: VideoIo = VideoIo()


class Processor(_Request):
    fps: Rate | None = None
    num_frames: Count | None = None
    do_sample_frames: bool | None = None


class StreamOptions(_Request):
    include_usage: bool = False
    include_obfuscation: bool | None = None


class ResponseFormat(_Request):
    type: Literal["text"]


class Extra(_Request):
    """What only this server knows; as ``framescribe caption`` has it.

    ``timestamps_s``: of frames that are sent, if they do not follow from their indices.
    """

    strategy: Strategy | None = None
    num_frames: Count | None = None
    sample_fps: Rate | None = None
    template: Template | None = None
    start_s: Seconds | None = None
    end_s: Seconds | None = None
    timestamps_s: Annotated[list[Seconds], Field(min_length=1)] | None = None
    stop_loops: bool = True


Stop = Annotated[str, Field(min_length=1, max_length=1000)]
Tokens = Annotated[int, Field(ge=1)]
Zero = Annotated[float, Field(ge=0, le=0)]


class ChatRequest(_Request):
    """A request for a chat completion. The default is ``framescribe caption``'s: greedy, 24 frames of a second each."""

    model: str
    messages: Annotated[list[Message], Field(min_length=1, max_length=200)]
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Field(ge=0.1, le=10)] | None = None  # beyond, logits overflow
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=4)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    media_io_kwargs: MediaIo | None = None
    mm_processor_kwargs: Processor | None = None
    framescribe: Extra | None = None
    user: str | None = None
    n: Literal[1] | None = None
    logprobs: Literal[False] | None = None
    presence_penalty: Zero | None = None
    frequency_penalty: Zero | None = None
    response_format: ResponseFormat | None = None


class BatchLine(_Request):
    """A line of a batch."""

    custom_id: Annotated[str, Field(min_length=1)]
    method: Literal["POST"]
    url: Literal["/v1/chat/completions"]
    body: ChatRequest


class Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class AnswerMessage(BaseModel):
    role: Literal["assistant"] = "assistant"
    content: str


class Choice(BaseModel):
    index: int = 0
    message: AnswerMessage
    finish_reason: Literal["stop", "length"]
    logprobs: None = None


class Facts(BaseModel):
    """How an answer was made: which frames were seen, by what."""

    frame_indices: list[int] | None
    frame_timestamps_s: list[float] | None
    covered_s: float | None
    engine_version: str
    precision: str
    model_revision: str
    finish_reason: str


class ChatCompletion(BaseModel):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    system_fingerprint: str
    choices: list[Choice]
    usage: Usage
    framescribe: Facts


class ModelCard(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["framescribe"] = "framescribe"
    precision: str
    model_revision: str


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelCard]


class ErrorObject(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    error: ErrorObject
