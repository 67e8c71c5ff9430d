"""The values that cross room boundaries: flat, frozen, validated. Imports nothing heavy; of ours only the errors."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Literal, get_args

from framescribe.errors import UsageError
from framescribe.views import value_text

if TYPE_CHECKING:
    import numpy as np

    from framescribe.measured import Measured
    from framescribe.reading import Member
    from framescribe.video_frames import EncodedFrames, VideoFrames
    from framescribe.yuv import Yuv

Strategy = Literal["chat", "base", "uniform"]
Template = Literal["chat", "base", "vqa"]
CaptionStatus = Literal["success", "truncated", "repetitive", "empty", "error"]
CAPTION_STATUSES: tuple[CaptionStatus, ...] = get_args(CaptionStatus)
FinishReason = Literal["stop", "length", "loop", "error"]
Decoder = Literal["cpu", "gpu"]

STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
TEMPLATES: tuple[Template, ...] = get_args(Template)
SCHEMA_VERSION = 2
IGNORED_LABEL = -100  # what PyTorch's losses leave out
DEFAULT_MODEL = "tiny"
DEFAULT_QUESTION = "Please describe this video in detail."


@dataclass(frozen=True, slots=True, repr=False)
class Clip:
    """A span of a video: the unit of work.

    Attributes:
        source_video: path or URL, or a label when ``data`` holds the video itself.
        start_s: first second of the span, counted from the video's first frame.
        end_s: end of the span in seconds (exclusive), or None for the end of the video.
        data: bytes, a seekable file, pictures, picture files, or a file of an archive; None opens ``source_video``.
        prompt: what is asked about this clip; None asks what the settings say.
        given_id: an id that the caller knows the clip by; None makes one of source, span and prompt.
        problem: why the clip cannot be opened, where that is known before (a line of a list that names none).

    Examples:
        >>> Clip("talk.mp4", start_s=60, end_s=84).id
        '5b1f89f56562d66a'
        >>> Clip("talk.mp4", start_s=84, end_s=60)
        Traceback (most recent call last):
        framescribe.errors.UsageError: `end_s` must be after `start_s` (84 s), not 60
    """

    source_video: str
    start_s: float = 0.0
    end_s: float | None = None
    data: bytes | IO[bytes] | VideoFrames | EncodedFrames | Member | None = field(
        default=None, repr=False, compare=False
    )
    prompt: str | None = None
    given_id: str | None = None
    problem: str | None = None

    __repr__ = value_text

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start_s) and self.start_s >= 0):
            raise UsageError(f"`start_s` must be a number of seconds, 0 or more, not {self.start_s!r}")
        if self.end_s is not None and not (math.isfinite(self.end_s) and self.end_s > self.start_s):
            raise UsageError(f"`end_s` must be after `start_s` ({self.start_s} s), not {self.end_s!r}")
        if self.prompt is not None and not self.prompt.strip():
            raise UsageError("the clip's prompt is empty; leave it out for the settings' one")
        if self.given_id is not None and not self.given_id:
            raise UsageError("the clip's id is empty; leave it out for one made of source and span")

    @property
    def id(self) -> str:
        """``given_id``, or 16 hexadecimal digits: a stable hash of source, span, and prompt if it has its own."""
        if self.given_id is not None:
            return self.given_id
        span = f"{float(self.start_s)}\0{'' if self.end_s is None else float(self.end_s)}"
        own_prompt = "" if self.prompt is None else f"\0{self.prompt}"
        key = f"{self.source_video}\0{span}{own_prompt}".encode("utf-8", "surrogatepass")
        return hashlib.sha256(key).hexdigest()[:16]


@dataclass(frozen=True, slots=True, repr=False)
class FrameSampling:
    """Which frames of a clip the model sees.

    Attributes:
        strategy: ``chat`` (the frame nearest to each whole second, the first ``num_frames`` of them) and ``base``
            (``num_frames`` evenly over the first 60 s) as published; ``uniform``: ``num_frames`` evenly over the clip.
        num_frames: upper bound on the number of frames; 24 as published.
        fps: frames a second that ``chat`` takes; 1 as published, and as the model was trained.

    Examples:
        >>> FrameSampling("uniform", num_frames=48).num_frames
        48
    """

    strategy: Strategy = "chat"
    num_frames: int = 24
    fps: float = 1.0

    __repr__ = value_text

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise UsageError(f"unknown `strategy` {self.strategy!r}; choose one of {', '.join(STRATEGIES)}")
        _check_whole("num_frames", self.num_frames, least=1)
        if not isinstance(self.fps, int | float) or not (math.isfinite(self.fps) and self.fps > 0):
            raise UsageError(f"`fps` must be a number above 0, not {self.fps!r}")
        if self.fps != 1 and self.strategy != "chat":
            raise UsageError(f"`fps` sets the rate of `strategy=chat`; {self.strategy} has none")


def _check_whole(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise UsageError(f"`{name}` must be a whole number, not {value!r}")
    if value < least:
        raise UsageError(f"`{name}` must be at least {least}, not {value}")


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What a source says of itself, after rotation.

    Attributes:
        width, height: of the displayed picture, in pixels.
        fps: average frame rate.
        duration_s: of the clip (the span), in seconds, as far as it can be read.
        codec: FFmpeg's name of the decoder, such as ``h264``.
        num_frames: frames of the clip that can be read.
        missing_s: seconds of the clip that the file promises and that cannot be read (truncated, corrupt).
        rotation: degrees, counterclockwise, by which the file asks players to turn its pictures: 0, 90, 180 or 270.
    """

    width: int
    height: int
    fps: float
    duration_s: float
    codec: str
    num_frames: int
    missing_s: float = 0.0
    rotation: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """The frames of one clip that the model will see.

    Attributes:
        pixels: uint8 [T, 3, H, W], RGB, upright.
        indices: of the frames within the clip, in presentation order, T of them; may repeat.
        timestamps_s: T seconds, counted from the clip's start.
        covered_s: seconds of the clip, from its start, that the frames stand for.
        facts: of the clip they come from.
        decoder: what decoded them.
        yuv: in place of ``pixels``, the pictures as a GPU's decoder left them.
        measured: what scorers found of the clip, where there were any.
    """

    pixels: np.ndarray[Any, np.dtype[np.uint8]]
    indices: tuple[int, ...]
    timestamps_s: tuple[float, ...]
    covered_s: float
    facts: VideoFacts
    decoder: Decoder = "cpu"
    yuv: Yuv | None = None
    measured: tuple[Measured, ...] = ()

    def text_seconds(self, sampling: FrameSampling) -> list[int]:
        """The number that ``chat`` prompts write behind each frame.

        As published it is the frame's own number, which is its second under ``chat``; at another rate it is the second
        that the frame falls into. ``uniform`` writes true seconds.
        """
        if sampling.strategy == "uniform":
            return [round(timestamp_s) for timestamp_s in self.timestamps_s]
        return [int(number / sampling.fps) for number in range(len(self.indices))]


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids of a prompt with the positions that the model was trained on (see ``prompt.py``).

    Attributes:
        input_ids, position_ids: L integers each.
        is_vision: L flags, True for each of a frame's slots (boi, patches, eoi).
        next_position: position of the first generated token.
        labels: for training, L integers: -100 on the prompt, token ids on the answer. None at inference.
    """

    input_ids: tuple[int, ...]
    position_ids: tuple[int, ...]
    is_vision: tuple[bool, ...]
    next_position: int
    labels: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(self.input_ids)


@dataclass(frozen=True, slots=True, repr=False)
class GenerationSettings:
    """How a caption is decoded. The defaults are the published settings: greedy in effect, 2,048 new tokens.

    Attributes:
        max_new_tokens: limit on the caption's tokens; a caption that reaches it is ``truncated``.
        temperature: 0 is greedy; above it, tokens are drawn from the softmax of logits / temperature.
        top_p: draw only from the most probable tokens that together reach this probability (nucleus sampling).
        repetition_penalty: 0.1 to 10; above 1, tokens seen before become less likely (CTRL, arXiv 1909.05858).
        seed: of the draw; each clip draws from its own generator, so a batch's make-up changes nothing.
        stop_loops: end a caption that certainly loops (``engine/loops.py``) there, as ``repetitive``; False lets it run
            to the limit, as published.

    Examples:
        >>> GenerationSettings(top_p=0.9)
        Traceback (most recent call last):
        framescribe.errors.UsageError: `top_p` needs a `temperature` above 0: at temperature 0 decoding is greedy
    """

    max_new_tokens: int = 2048
    temperature: float = 0.0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int = 0
    stop_loops: bool = True

    __repr__ = value_text

    def __post_init__(self) -> None:
        for name in ("temperature", "top_p", "repetition_penalty"):
            if not isinstance(value := getattr(self, name), int | float):
                raise UsageError(f"`{name}` must be a number, not {value!r}")
        _check_whole("max_new_tokens", self.max_new_tokens, least=1)
        _check_whole("seed", self.seed, least=0)
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise UsageError(f"`temperature` must be 0 (greedy) or more, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"`top_p` must lie in (0, 1], not {self.top_p}")
        if not 0.1 <= self.repetition_penalty <= 10:  # beyond, logits overflow
            message = "`repetition_penalty` must lie between 0.1 and 10 (1 is none)"
            raise UsageError(f"{message}, not {self.repetition_penalty}")
        if self.seed >= 2**63:
            raise UsageError(f"`seed` must be below 2**63, not {self.seed}")
        if self.top_p < 1 and self.temperature == 0:
            raise UsageError("`top_p` needs a `temperature` above 0: at temperature 0 decoding is greedy")


@dataclass(frozen=True, slots=True, repr=False)
class CaptionSettings:
    """How clips are captioned; with the model, all that a row needs to be made again.

    Attributes:
        prompt: what is asked about each clip.
        template: the prompt's layout; None takes the strategy's own, as published (``chat`` for ``uniform``).
        sampling: which frames are seen.
        generation: how the caption is decoded.
        repair: whether a defective caption (empty, cut off, looping, no text) is decoded again with other settings;
            None leaves it to where captions go: on for a dataset folder and for text files, off otherwise.

    Examples:
        >>> settings = CaptionSettings("Describe the camera work.", sampling=FrameSampling("uniform"), repair=True)
        >>> settings.resolved_template
        'chat'
    """

    prompt: str = DEFAULT_QUESTION
    template: Template | None = None
    sampling: FrameSampling = FrameSampling()
    generation: GenerationSettings = GenerationSettings()
    repair: bool | None = None

    __repr__ = value_text

    def __post_init__(self) -> None:
        if self.template is not None and self.template not in TEMPLATES:
            raise UsageError(f"unknown `template` {self.template!r}; choose one of {', '.join(TEMPLATES)}")
        for name, wanted in (
            ("sampling", FrameSampling),
            ("generation", GenerationSettings),
            ("prompt", str),
        ):
            if not isinstance(value := getattr(self, name), wanted):
                advice = f', such as FrameSampling("{value}")' if value in STRATEGIES else ""
                raise UsageError(f"`{name}` must be of type {wanted.__name__}, not {value!r}{advice}")
        if not self.prompt.strip():
            raise UsageError("the prompt is empty; leave it out for the published one")

    @property
    def resolved_template(self) -> Template:
        if self.template is not None:
            return self.template
        return "base" if self.sampling.strategy == "base" else "chat"
