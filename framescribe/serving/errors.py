"""What a client is told when there is no answer: OpenAI's error object, with the status that says who is to act."""

from __future__ import annotations

from typing import Any

from framescribe.errors import FramescribeError

RETRY_AFTER_S = 2


class ApiError(FramescribeError):
    """A request that gets no answer.

    Attributes:
        status: of HTTP.
        code: a word for programs.
        param: the field of the request that is wrong, if one is.
        closes: whether the connection is closed: the rest of the request has not been read.
    """

    def __init__(
        self, status: int, code: str, message: str, param: str | None = None, closes: bool = False
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param, self.closes = status, code, param, closes

    @property
    def body(self) -> dict[str, Any]:
        """As OpenAI's servers send it."""
        error = {"message": str(self), "type": _kind(self.status), "param": self.param, "code": self.code}
        return {"error": error}

    @property
    def headers(self) -> dict[str, str]:
        """That belong to the status."""
        headers = {"connection": "close"} if self.closes else {}
        if self.status in (429, 503):
            headers["retry-after"] = str(RETRY_AFTER_S)
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        return headers


def _kind(status: int) -> str:
    match status:
        case 401 | 403:
            return "authentication_error"
        case 429:
            return "rate_limit_error"
        case _:
            return "invalid_request_error" if status < 500 else "server_error"
