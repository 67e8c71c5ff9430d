import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from framescribe.prompt import position_ids, render
from tests.reference import CASES, case_prompt, recorded

LANGUAGE, VISION = 0, 1


def published_position_ids(x: torch.Tensor) -> torch.Tensor:
    """``build_position_ids`` of the published modelling code, statement by statement."""
    tmp = x.clone()
    is_boi_eoi = torch.zeros_like(x, dtype=torch.bool)
    is_boi_eoi[:, 1:] |= (tmp[:, 1:] == VISION) & (tmp[:, :-1] == LANGUAGE)
    is_boi_eoi[:, 0] |= tmp[:, 0] == VISION
    is_boi_eoi[:, :-1] |= (tmp[:, :-1] == VISION) & (tmp[:, 1:] == LANGUAGE)
    is_boi_eoi[:, -1] |= tmp[:, -1] == VISION
    tmp[is_boi_eoi] = LANGUAGE
    y = torch.zeros_like(x, dtype=torch.long)
    y[:, 1:] = (tmp[:, 1:] == LANGUAGE) | ((tmp[:, 1:] == VISION) & (tmp[:, :-1] == LANGUAGE))
    return y.cumsum(dim=-1)


def published_text(template: str, history: list[tuple[str, str]], query: str) -> str:
    """``_history_to_prompt`` of the published modelling code."""
    if template == "base":
        return query
    answer_format = {"vqa": "Short answer:", "chat": "Answer:"}[template]
    prompt = ""
    for old_query, response in history:
        prompt += "Question: " + old_query + f" {answer_format} " + response + "\n"
    return prompt + f"Question: {query} {answer_format}"


@pytest.mark.parametrize("name", CASES)
def test_prompts_as_recorded(name, prompts):
    prompt, tensors = case_prompt(name, prompts), recorded(name)
    assert list(prompt.input_ids) == tensors["input_ids"].tolist()
    assert [int(flag) for flag in prompt.is_vision] == tensors["token_type_ids"].tolist()
    assert list(prompt.position_ids) == tensors["position_ids"].tolist()
    assert prompt.next_position == tensors["position_ids"][-1] + 1
    assert (None if prompt.labels is None else list(prompt.labels)) == (
        tensors["labels"].tolist() if "labels" in tensors else None
    )


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_positions_are_the_published_ones_for_any_mix(is_vision):
    assert position_ids(is_vision) == published_position_ids(torch.tensor([is_vision]).long())[0].tolist()


@given(st.integers(1, 24), st.integers(1, 20), st.integers(0, 5))
def test_a_run_of_frames_takes_four_positions_however_long(frames, slots, text):
    """boi, the one that all between share, eoi, and what follows."""
    is_vision = [False] + [True] * frames * (slots + 2) + [False] * (text + 1)
    assert position_ids(is_vision)[-1] == 4 + text


TEXT = st.text(max_size=12)


@given(st.sampled_from(["base", "chat", "vqa"]), st.lists(st.tuples(TEXT, TEXT), max_size=3), TEXT)
def test_text_is_the_published_one(template, history, question):
    assert render(question, template, history) == published_text(template, history, question)


def test_vqa_turns_keep_short_answers():
    assert render("And now?", "vqa", [("Who?", "A cat.")]) == (
        "Question: Who? Short answer: A cat.\nQuestion: And now? Short answer:"
    )


def test_seconds_stand_behind_their_frames(prompts, tokenizer):
    prompt = prompts.build("What?", "chat", [0, 9, 18])
    text = [token for token, vision in zip(prompt.input_ids, prompt.is_vision, strict=True) if not vision]
    assert tokenizer.decode(text) == "0918Question: What? Answer:"
    assert sum(prompt.is_vision) == 3 * 66


@pytest.mark.parametrize("template", ["base", "chat", "vqa"])
def test_training_example_is_the_prompt_and_its_labelled_answer(template, prompts, tokenizer):
    prompt = prompts.build("What?", template, [0, 1])
    example = prompts.build("What?", template, [0, 1], answer="A kitten plays.")
    answer_ids = (*tokenizer.encode("A kitten plays."), 510)
    assert example.input_ids == prompt.input_ids + answer_ids
    assert example.position_ids[: len(prompt)] == prompt.position_ids
    assert example.labels == (-100,) * len(prompt) + answer_ids


def test_unknown_template():
    with pytest.raises(ValueError, match=r"'story'.*chat, base, vqa"):
        render("What?", "story")  # type: ignore[arg-type]
