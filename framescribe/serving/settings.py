"""What a server allows its clients: one value, checked before anything is loaded."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from framescribe.errors import UsageError
from framescribe.serving.guard import check_domain
from framescribe.task import DecodeLimits


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What a server allows.

    Attributes:
        model_name: that clients ask for; None: the checkpoint's, of a folder its last part.
        allowed_domains: hosts that media are fetched from: ``example.org``, ``*.example.org``, with a port where it is
            not the protocol's own. A host that is an IP address is allowed whatever network it is in.
        allowed_folder: files in it may be named, by ``file:`` URLs.
        max_requests: in work or waiting at once; further ones are told to try again (429).
        max_body_mb: a request's size, in 10^6 bytes; also of a video that is fetched.
        max_held_mb: of all requests together that wait to be decoded: their bodies, and then the videos in these. Two
            are read at a time, each for a moment in up to 3.3 times its size.
        max_seconds: a video's length.
        max_pixels: of a picture.
        max_frames: that the model sees of a video.
        max_output_tokens: of an answer; also the default.
        read_timeout_s: seconds in which a request must have come; a large one gets more, at 100 kB a second.
        limits: processes that decode, and what each may take. The time-out includes fetching.

    Raises:
        UsageError: a limit that makes no sense, or a domain or a folder that is none.
    """

    model_name: str | None = None
    allowed_domains: tuple[str, ...] = ()
    allowed_folder: str | Path | None = None
    max_requests: int = 512
    max_body_mb: float = 256.0
    max_held_mb: float = 2048.0
    max_seconds: float = 3600.0
    max_pixels: int = 4096 * 4096
    max_frames: int = 256
    max_output_tokens: int = 2048
    read_timeout_s: float = 30.0
    limits: DecodeLimits = DecodeLimits(timeout_s=60.0)

    def __post_init__(self) -> None:
        for name in (
            "max_requests", "max_body_mb", "max_held_mb", "max_seconds", "max_pixels", "max_frames",
            "max_output_tokens", "read_timeout_s",
        ):  # fmt: skip
            if not (math.isfinite(value := getattr(self, name)) and value > 0):
                raise UsageError(f"`{name}` must be a number above 0, not {value}")
        if self.limits.workers == 0:
            raise UsageError(
                "`decode_workers` must be at least 1: a stranger's video is decoded in its own process"
            )
        for domain in self.allowed_domains:
            check_domain(domain)
        if self.allowed_folder is not None and not os.path.isdir(self.allowed_folder):
            raise UsageError(f"`allowed_folder`: {self.allowed_folder} is no folder")

    @property
    def max_body_bytes(self) -> int:
        return int(self.max_body_mb * 1e6)
