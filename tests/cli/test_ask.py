import pytest

from framescribe.types import CaptionSettings, FrameSampling, GenerationSettings
from tests.cli.run import invoke
from tests.reference import CLIPS

HORSE = CLIPS / "horse.mp4"
QUICK = ("--device", "cpu", "--max-new-tokens", "12")
SETTINGS = CaptionSettings(generation=GenerationSettings(max_new_tokens=12))


def answers(captioner, *questions: str) -> str:
    """What a conversation writes: each answer on a line, sees the turns before."""
    history, out = [], ""
    for question in questions:
        answer = "".join(captioner.ask(HORSE, question, history, SETTINGS))
        history.append((question, answer.strip()))
        out += answer.lstrip() + "\n"
    return out


def test_questions_are_answered_in_turn(captioner):
    result = invoke("ask", HORSE, "What is there?", "What else?", *QUICK)
    assert result.exit_code == 0
    assert result.stdout == answers(captioner, "What is there?", "What else?")
    assert result.stdout != answers(captioner, "What is there?") + answers(captioner, "What else?")


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_conversation_on_stdin_ends_with_an_empty_line_or_the_input(end, captioner):
    result = invoke("ask", HORSE, *QUICK, stdin=f"What is there?\nWhat else?\n{end}")
    assert result.exit_code == 0
    assert result.stdout == answers(captioner, "What is there?", "What else?")


def test_the_answer_is_caption_to_the_question(captioner):
    settings = CaptionSettings(
        "What is there?", sampling=FrameSampling("chat", 3, 0.5), generation=SETTINGS.generation
    )
    (row,) = captioner.caption([HORSE], settings)
    asked = invoke("ask", HORSE, "What is there?", "--frames", "3", "--fps", "0.5", *QUICK)
    assert asked.stdout == row.caption_raw.lstrip() + "\n"


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (["missing.mp4", "What?"], 1, "missing.mp4"),
        ([HORSE, "a", "b", "--template", "base"], 2, "base template has no turns"),
        ([HORSE, "--template", "base"], 2, "base template has no turns"),
        ([HORSE, "a", "--strategy", "every"], 2, "--strategy"),
        ([HORSE, "a", "--model", "no-such-model"], 2, "no-such-model"),
    ],
)
def test_refusals(arguments, exit_code, said):
    result = invoke("ask", *arguments, *QUICK)
    assert result.exit_code == exit_code
    assert said in result.stderr
    assert result.stdout == ""
