"""Token ids to text as it grows: only what no further token changes, up to a stop text."""

from __future__ import annotations

from collections.abc import Sequence

from framescribe.tokenizer import CaptionTokenizer

_WINDOW = 64


class TextStream:
    """The text of one answer. The blank before an answer's first word is left out.

    Args:
        tokenizer: the model's.
        stop: texts that end the answer, before they begin.
    """

    def __init__(self, tokenizer: CaptionTokenizer, stop: tuple[str, ...] = ()) -> None:
        self._tokenizer = tokenizer
        self._stop = stop
        self._held_back = max(map(len, stop), default=1) - 1  # may be the start of a stop text
        self._before = (
            ""  # the text of the tokens before the window: decoding all of them each time is quadratic
        )
        self._start = 0
        self._sent = 0
        self.is_stopped = False

    def push(self, token_ids: Sequence[int], *, is_all: bool = False) -> str:
        """What has been added to the text.

        Args:
            token_ids: all so far.
            is_all: no more come.
        """
        if self.is_stopped:
            return ""
        window = list(token_ids[self._start :])
        decode = self._tokenizer.decode if is_all else self._tokenizer.decode_settled
        text = (self._before + decode(window)).lstrip()
        end = len(text)
        if found := [at for each in self._stop if (at := text.find(each)) >= 0]:
            self.is_stopped, end = True, min(found)
        elif not is_all:
            end = max(self._sent, end - self._held_back)
        new, self._sent = text[self._sent : end], max(self._sent, end)
        if len(window) > _WINDOW and not self.is_stopped:
            self._move(window)
        return new

    def _move(self, window: list[int]) -> None:
        """Moves the window on to a word's beginning, across which neither characters nor tidied spaces reach."""
        for at in range(len(window) - 1, 0, -1):
            following = self._tokenizer.decode(window[at : at + 1])
            if following[:1] == " " and following[1:2].isalnum():
                before = self._tokenizer.decode(window[:at])
                if before[-1:].isalnum():
                    self._before += before
                    self._start += at
                    return
