"""What a request asks, as the captioner takes it: a question, the turns before it, a clip, and settings."""

from __future__ import annotations

import binascii
from collections.abc import Iterable
from dataclasses import dataclass

from framescribe.errors import UsageError
from framescribe.prompt import History
from framescribe.reading import ForeignBytes, Member
from framescribe.serving.errors import ApiError
from framescribe.serving.guard import ForeignUrl, UrlRules, file_in
from framescribe.serving.hints import Sent, check_hints
from framescribe.serving.schema import (
    MAX_TEXT,
    ChatRequest,
    Extra,
    FramesPart,
    ImagePart,
    Processor,
    TextPart,
    Url,
    UserMessage,
    VideoIo,
    VideoPart,
)
from framescribe.serving.settings import ServerSettings
from framescribe.types import DEFAULT_QUESTION, CaptionSettings, Clip, FrameSampling, GenerationSettings
from framescribe.video.web import WebError
from framescribe.video_frames import EncodedFrames

_NAME = "the video"
_PICTURES = ("image/jpeg", "image/jpg", "image/png", "image/webp", "video/jpeg", "video/png")
BASE_WINDOW_S = 60.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, understood.

    Attributes:
        question: the last turn's text.
        history: the turns before it.
        clip: the video; None for text alone.
        settings: frames, template and decoding.
        stop: texts that end the answer.
        is_streamed: the answer comes as events.
        wants_usage: at the end of these, the tokens are counted.
    """

    question: str
    history: History
    clip: Clip | None
    settings: CaptionSettings
    stop: tuple[str, ...]
    is_streamed: bool
    wants_usage: bool

    @property
    def num_bytes(self) -> int:
        """Of the media that came with the request."""
        match None if self.clip is None else self.clip.data:
            case bytes() as video:
                return len(video)
            case EncodedFrames() as frames:
                return sum(map(len, frames.pictures))
            case _:
                return 0


def understand(chat: ChatRequest, rules: ServerSettings) -> Asked:
    """What a request asks.

    Raises:
        ApiError: what it asks makes no sense, or is not allowed.
    """
    try:
        history, question = _turns(chat)
        extra = chat.framescribe or Extra()
        io = VideoIo() if chat.media_io_kwargs is None else chat.media_io_kwargs.video
        processor = chat.mm_processor_kwargs or Processor()
        pictures, video = _media(chat, rules)
        kind: Sent = "frames" if pictures is not None else "text" if video is None else "file"
        check_hints(kind, io, processor, extra)
        sent = None if pictures is None else _frames(pictures, extra, io)
        data: EncodedFrames | ForeignBytes | Member | None = video if sent is None else sent
        clip = None if data is None else Clip(_NAME, extra.start_s or 0.0, extra.end_s, data)
        settings = CaptionSettings(
            question,
            extra.template,
            _sampling(extra, io, processor, sent),
            _generation(chat, extra, rules),
        )
        seen = settings.sampling.num_frames if sent is None else len(sent.pictures)
        if seen > rules.max_frames:
            raise ApiError(400, "too_many_frames", f"{seen} frames; {rules.max_frames} are allowed")
        if history and settings.resolved_template == "base":
            raise ApiError(
                400, "invalid_value", "the base template has no turns; use `chat`", "framescribe.template"
            )
    except UsageError as error:
        raise ApiError(400, "invalid_value", str(error)) from error
    stop = (chat.stop,) if isinstance(chat.stop, str) else tuple(chat.stop or ())
    options = chat.stream_options
    wants_usage = options is not None and options.include_usage
    return Asked(question, history, clip, settings, stop, bool(chat.stream), wants_usage)


def _turns(chat: ChatRequest) -> tuple[list[tuple[str, str]], str]:
    """Earlier (question, answer) pairs, and the question."""
    roles = [message.role for message in chat.messages]
    if roles != ["user", "assistant"] * (len(roles) // 2) + ["user"]:
        message = "messages must go user, assistant, user, …, and end with the user's"
        raise ApiError(400, "invalid_value", message, "messages")
    texts = []
    for each in chat.messages:
        parts = [each.content] if isinstance(each.content, str) else each.content
        text = "\n".join(
            part if isinstance(part, str) else part.text for part in parts if isinstance(part, str | TextPart)
        )
        has_media = any(not isinstance(part, str | TextPart) for part in parts)
        if not (text := text.strip()):
            if not has_media:
                raise ApiError(400, "invalid_value", "a message is empty", "messages")
            text = DEFAULT_QUESTION
        texts.append(text)
    if sum(map(len, texts)) > MAX_TEXT:
        raise ApiError(400, "context_length_exceeded", f"more than {MAX_TEXT} characters of text", "messages")
    return list(zip(texts[:-1:2], texts[1::2], strict=True)), texts[-1]


def _media(
    chat: ChatRequest, rules: ServerSettings
) -> tuple[tuple[list[bytes], float | None] | None, ForeignBytes | Member | None]:
    """The pictures that were sent, with their rate if one is said, or the video."""
    pictures: list[bytes] = []
    videos: list[ForeignBytes | Member | tuple[list[bytes], float | None]] = []
    for message in chat.messages:
        if not isinstance(message, UserMessage) or isinstance(message.content, str):
            continue
        for part in message.content:
            match part:
                case ImagePart():
                    pictures += _pictures([_url(part.image_url)])
                case FramesPart():
                    videos.append((_pictures(part.video), part.fps))
                case VideoPart():
                    url = _url(part.video_url)
                    if _kind(url) in _PICTURES:
                        videos.append((_pictures([url]), None))
                    else:
                        videos.append(_video(url, rules))
    if len(videos) + bool(pictures) > 1:
        raise ApiError(
            400, "too_many_videos", "a conversation is about one video, or about pictures", "messages"
        )
    if pictures:
        return (pictures, None), None
    if not videos:
        return None, None
    return (videos[0], None) if isinstance(videos[0], tuple) else (None, videos[0])


def _url(url: Url | str) -> str:
    return url if isinstance(url, str) else url.url


def _kind(url: str) -> str:
    """``video/mp4`` of ``data:video/mp4;base64,…``; empty for anything else."""
    return url[5:100].partition(",")[0].partition(";")[0].lower() if url[:5].lower() == "data:" else ""


def _content(url: str) -> str:
    head, comma, content = url.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise ApiError(400, "invalid_media", "a data URL must be base64: data:video/mp4;base64,…", "messages")
    return content


def _bytes(content: str) -> bytes:
    try:
        return binascii.a2b_base64(content, strict_mode=True)  # base64.b64decode would copy the text
    except ValueError as error:
        raise ApiError(400, "invalid_media", f"a data URL is no base64: {error}", "messages") from error


def _pictures(urls: Iterable[str]) -> list[bytes]:
    found: list[bytes] = []
    for url in urls:
        if _kind(url) not in _PICTURES:
            message = "pictures are taken as data:image/jpeg;base64,… (or png, webp) only"
            raise ApiError(400, "invalid_media", message, "messages")
        found += map(_bytes, _content(url).split(","))
    return found


def _video(url: str, rules: ServerSettings) -> ForeignBytes | Member:
    kind, scheme = _kind(url), url[:8].lower()
    if kind.startswith("video/") or kind == "application/octet-stream":
        return ForeignBytes(_bytes(_content(url)))
    if scheme.startswith(("http://", "https://")):
        try:
            UrlRules(rules.allowed_domains).check(url)
        except WebError as error:
            raise ApiError(400, "media_not_allowed", f"the video's URL {error}", "messages") from error
        return ForeignUrl(url, rules.allowed_domains, rules.max_body_bytes)
    if scheme.startswith("file://") and rules.allowed_folder is not None:
        if (file := file_in(rules.allowed_folder, url)) is not None:
            return file
        message = "the video is no file in the folder that this server reads (--allow-folder)"
        raise ApiError(400, "media_not_allowed", message, "messages")
    message = "a video is taken as data:video/mp4;base64,…, or by an https: URL if the server allows its host"
    raise ApiError(400, "media_not_allowed", message, "messages")


def _frames(sent: tuple[list[bytes], float | None], extra: Extra, io: VideoIo) -> EncodedFrames:
    """Pictures with their times: as said, else from indices and rate, else a second each."""
    pictures, rate = sent
    count, fps = len(pictures), io.fps or rate or extra.sample_fps or 1.0
    indices = list(range(count)) if io.frames_indices is None else io.frames_indices
    times = [index / fps for index in indices] if extra.timestamps_s is None else extra.timestamps_s
    for name, values in (("frames_indices", indices), ("timestamps_s", times)):
        if len(values) != count:
            raise ApiError(400, "invalid_value", f"{len(values)} `{name}` for {count} pictures", name)
        if list(values) != sorted(values):
            raise ApiError(400, "invalid_value", f"`{name}` must ascend", name)
    duration_s = times[-1] + 1 / fps if io.duration is None else io.duration
    return EncodedFrames(
        pictures=tuple(pictures),
        indices=tuple(indices),
        timestamps_s=tuple(times),
        covered_s=_covered_s(count, duration_s, extra),
        duration_s=duration_s,
        fps=fps,
        num_frames=io.total_num_frames or indices[-1] + 1,
    )


def _covered_s(count: int, duration_s: float, extra: Extra) -> float:
    """What so many frames stand for under the strategy by which they were chosen (``video/sample.py``)."""
    match extra.strategy:
        case "chat":
            return min(duration_s, count / (extra.sample_fps or 1.0))
        case "base":
            return min(duration_s, BASE_WINDOW_S)
        case _:
            return duration_s


def _sampling(extra: Extra, io: VideoIo, processor: Processor, sent: EncodedFrames | None) -> FrameSampling:
    """Of a file: which frames are taken. Of frames that were sent: by which rule, which is what the prompt says."""
    if sent is not None:
        # Without a word, frames are written down with their true seconds.
        return FrameSampling(extra.strategy or "uniform", len(sent.pictures), _or_1(extra.sample_fps))
    num_frames = extra.num_frames or processor.num_frames or io.num_frames or FrameSampling().num_frames
    return FrameSampling(
        extra.strategy or "chat", num_frames, _or_1(extra.sample_fps or processor.fps or io.fps)
    )


def _or_1(rate: float | None) -> float:
    return 1.0 if rate is None else rate


def _generation(chat: ChatRequest, extra: Extra, rules: ServerSettings) -> GenerationSettings:
    tokens = chat.max_completion_tokens or chat.max_tokens or rules.max_output_tokens
    if tokens > rules.max_output_tokens:
        message = f"an answer has {rules.max_output_tokens} tokens at most here, not {tokens}"
        raise ApiError(400, "invalid_value", message, "max_tokens")
    temperature = chat.temperature or 0.0
    return GenerationSettings(
        max_new_tokens=tokens,
        temperature=temperature,
        top_p=chat.top_p if chat.top_p and temperature else 1.0,  # greedy, there is nothing to choose from
        repetition_penalty=chat.repetition_penalty or 1.0,
        seed=chat.seed or 0,
        stop_loops=extra.stop_loops,
    )
