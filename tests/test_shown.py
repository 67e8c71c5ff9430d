"""What strangers wrote, as it is shown: nothing that a terminal obeys, one line, a sane length."""

import pytest

from framescribe.errors import UsageError
from framescribe.shown import shorten, shown, shown_value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain name 猫 🎬.mp4", "plain name 猫 🎬.mp4"),
        ("\x1b]0;owned\x07.mp4", r"\x1b]0;owned\x07.mp4"),
        ("a\nsuccess\tb.mp4\tno\r", r"a\nsuccess\tb.mp4\tno\r"),
        ("\x9b2J", r"\x9b2J"),  # CSI in one byte
        ("a\u2028b\u2029c\x85d", r"a\u2028b\u2029c\x85d"),  # what str.splitlines splits at
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\u2066a\u2067b\u2069", r"\u2066a\u2067b\u2069"),  # isolates, which turn it too
        ("caf\udce9", r"caf\udce9"),
    ],
)
def test_what_is_not_shown_as_it_is(text, expected):
    assert shown(text) == expected
    assert len(shown(text).splitlines()) == 1


@pytest.mark.parametrize(
    "value",
    [
        b"x" * 10**6,
        {"bytes": b"\0" * 10**6, "path": "a.mp4"},
        "y" * 10**6,
        list(range(10**6)),
        {"a": {"b": bytearray(10**6)}},
    ],
)
def test_values_of_any_size_are_short_in_messages(value):
    assert len(shown_value(value)) < 400
    assert shown_value({"bytes": b"\0" * 10**6, "path": "a"}) == "{'bytes': <1,000,000 bytes>, 'path': 'a'}"


def test_an_errors_message_is_never_longer_than_people_read():
    message = str(UsageError("start" + "x" * 10**6 + "end"))
    assert len(message) == 2000
    assert message.startswith("start")
    assert message.endswith("end")
    assert shorten("abcdefgh", 5) == "ab…gh"
