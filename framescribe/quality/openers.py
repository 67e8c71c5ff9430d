"""Phrases that talk about the video instead of telling what is in it, where a caption begins with one."""

from __future__ import annotations

import re

_VIDEO = (
    r"(?:video|clip|footage|film|movie|animation|recording|image)(?:\s+(?:clip|footage|sequence|recording))?"
)
_ADJECTIVE = r"(?:\s+(?:short|brief|given|provided|first|opening))?"
_SHOWS = (
    r"(?:\w+ly\s+)?(?:show(?:s|cases)|depicts|captures|features|displays|presents|portrays|illustrates|documents"
    r"|demonstrates|highlights|contains|provides|offers|follows|is\s+(?:about|of)|consists\s+of"
    r"|(?:focuses|cent(?:er|re)s)\s+on|(?:begins|starts|opens)\s+(?:with|on|to|by\s+showing|in\s+(?=an?\b|the\b)))"
)
_WE_SEE = r"(?:we|you|viewers|one)\s+(?:can\s+)?(?:see|observe|are\s+shown)"
_SUBJECT_AHEAD = r"(?=an?\b|the\b|there\b|two\b|three\b|several\b)"

_OPENER = re.compile(
    rf"""\s*(?:
        (?:the|this|a){_ADJECTIVE}\s+{_VIDEO}\s+{_SHOWS}(?:\s+(?:us|that))?\b  # The video shows
      | (?:in|throughout|during|at\s+the\s+(?:beginning|start)\s+of)\s+(?:the|this){_ADJECTIVE}\s+{_VIDEO}
        (?:\s*,?\s*{_WE_SEE}\b|\s*,|\s+{_SUBJECT_AHEAD})                       # In this video, we see
      | as\s+the\s+{_VIDEO}\s+(?:begins|starts|opens|progresses)\s*,           # As the video begins,
      | (?:(?:this|here)\s+is\s+|here[’']s\s+)?(?:an?|the){_ADJECTIVE}\s+(?:video|clip|footage|video\s+clip)\s+
        (?:of|showing|depicting|featuring|capturing|in\s+which|where)\b        # A video of
      | (?:here,?\s+)?{_WE_SEE}\b                                              # We see
    )[\s,:]*""",
    re.IGNORECASE | re.VERBOSE,
)


def has_opener(caption: str) -> bool:
    """Whether the caption begins with a phrase such as "The video shows" or "In this clip, we see"."""
    return _OPENER.match(caption) is not None


def strip_opener(caption: str) -> str:
    """The caption without its opener, beginning with a capital; a caption that is nothing else stays."""
    if not (match := _OPENER.match(caption)) or not (rest := caption[match.end() :]):
        return caption
    return rest[0].upper() + rest[1:]
