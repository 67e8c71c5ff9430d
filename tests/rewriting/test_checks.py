"""Which answers are taken, and what is said of the others."""

import json

import pytest

from framescribe.errors import UsageError
from framescribe.rewriting.checks import Unfit, fitting
from framescribe.rewriting.facts import colours, names, numbers, quotes
from framescribe.rewriting.language import is_in
from framescribe.rewriting.recipe import data, recipe_of
from framescribe.rewriting.schema import problem_of

CAPTION = 'Two men in grey coats pass the "Café Roma" in Paris at 7:30, while 1,000 people watch.'
WHOLE = "At 7:30 in Paris two men in gray coats pass the “Café Roma”, watched by 1000 people."


@pytest.mark.parametrize(
    ("recipe", "answer", "problem"),
    [
        ({"preset": "plain"}, WHOLE, None),
        ({"preset": "plain"}, f"```\n{WHOLE}\n```", None),
        ({"preset": "plain"}, f"<think>Two men …</think>\n{WHOLE}", None),
        ({"preset": "plain"}, WHOLE.replace("two", "2"), None),
        ({"preset": "plain"}, WHOLE.replace("7:30", "7:31"), "lost numbers: it leaves out 7:30"),
        ({"preset": "plain"}, WHOLE.replace("two ", ""), "lost numbers: it leaves out 2"),
        ({"preset": "plain"}, WHOLE.replace("Paris", "town"), "lost names: it leaves out paris"),
        ({"preset": "plain"}, WHOLE.replace("Café Roma", "café"), "lost quotes: it leaves out café roma"),
        ({"preset": "plain"}, WHOLE.replace("gray ", ""), "lost colours: it leaves out gray"),
        ({"preset": "short"}, "Two men in blue coats walk.", "new colours: the caption does not say blue"),
        ({"preset": "short"}, "Three men walk.", "new numbers: the caption does not say 3"),
        ({"preset": "short"}, "The two men walk in London.", "new names: the caption does not say london"),
        ({"preset": "short"}, "Men pass “Bar Roma” at night.", "new quotes: the caption does not say bar roma"),
        ({"preset": "short"}, "men " * 31 + "walk.", "words: it has 32 words, and at most 30"),
        ({"preset": "short", "max_words": 3}, "Two men walk on.", "words: it has 4 words, and at most 3"),
        ({"preset": "short"}, "The video shows two men.", "opener"),
        ({"preset": "short"}, "Sure! Two men walk.", "opener"),
        ({"preset": "short"}, "Here is it: two men walk.", "opener"),
        ({"preset": "short"}, "Two men walk past the", "cut_off"),
        ({"preset": "short"}, " \n", "empty"),
        ({"preset": "short"}, "<think>Hm.</think>", "empty"),
        ({"preset": "translate", "language": "zh"}, "7:30，两名男子经过“Café Roma”，1000人在看。", None),
        ({"preset": "translate", "language": "zh"}, "两名男子经过“Café Roma”，1000人在看。", "lost numbers: .* 7:30"),
        ({"preset": "translate", "language": "zh"}, WHOLE, "language: it is not in Chinese"),
        ({"preset": "translate", "language": "zh"}, "视频中，7:30两名男子经过“Café Roma”，1000人在看。", "opener"),
    ],
)  # fmt: skip
def test_prose(recipe, answer, problem):
    recipe = recipe_of(recipe.pop("preset"), None, **recipe)
    if problem is None:
        assert fitting(answer, CAPTION, recipe) in answer
    else:
        with pytest.raises(Unfit, match=problem):
            fitting(answer, CAPTION, recipe)


SORTED = {
    "subjects": ["two men"], "actions": ["walk past a café"], "setting": "Paris", "style": "", "camera": "",
    "summary": "Two men pass a café.",
}  # fmt: skip


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (SORTED, None),
        (SORTED | {"subjects": []}, None),
        (SORTED | {"mood": "calm"}, r"schema: \$: Additional properties"),
        (SORTED | {"subjects": [3]}, r'schema: \$\.subjects\[0\]: 3 is not of type "string"'),
        (SORTED | {"summary": "Nine men pass."}, "new numbers: the caption does not say 9"),
        ([SORTED], 'schema: .* is not of type "object"'),
        ("no json", "json: it is no JSON"),
        ('{"summary": NaN}', "json: it is no JSON: NaN"),
        ('{"summary": 1e999}', "json: it is no JSON"),
        (r'{"summary": "\ud800"}', "json: it is no JSON"),
        ("[" * 9_900 + "]" * 9_900, "json: it is nested too deeply"),
    ],
)
def test_json(value, problem):
    answer = value if isinstance(value, str) else json.dumps(value, indent=2)
    recipe = recipe_of("json", None)
    if problem is None:
        assert json.loads(fitting(f"```json\n{answer}\n```", CAPTION, recipe)) == value
        assert "\n" not in fitting(answer, CAPTION, recipe)
    else:
        with pytest.raises(Unfit, match=problem):
            fitting(answer, CAPTION, recipe)


def test_what_the_validator_of_schemas_does_not_look_through_is_nested_too_deeply():
    nested = []
    for _ in range(9_900):
        nested = [nested]
    with pytest.raises(RecursionError):
        problem_of(nested, recipe_of("json", None).schema)


def test_facts():
    assert numbers(CAPTION) == {"2", "7:30", "1000"}
    assert names(CAPTION) == {"paris"}
    assert quotes(CAPTION) == {"café roma"}
    assert colours(CAPTION) == {"gray"}
    assert names("A man walks. Then I see Mr Bean's dog, Rex.") == {"mr", "bean", "rex"}


SENTENCES = {
    "en": "A small dog runs across the beach while the sun sets behind the hills.",
    "de": "Ein kleiner Hund läuft über den Strand, während die Sonne hinter den Hügeln untergeht.",
    "fr": "Un petit chien court sur la plage tandis que le soleil se couche derrière les collines.",
    "es": "Un perro pequeño corre por la playa mientras el sol se pone detrás de las colinas.",
    "it": "Un piccolo cane corre sulla spiaggia mentre il sole tramonta dietro le colline della costa.",
    "pt": "Um cachorro pequeno corre pela praia enquanto o sol se põe atrás das colinas da costa.",
    "nl": "Een kleine hond rent over het strand terwijl de zon achter de heuvels van het dorp ondergaat.",
    "zh": "一只小狗在海滩上奔跑，太阳正从山后落下。",
    "ja": "小さな犬が海辺を走り、太陽が丘の向こうに沈んでいく。",
    "ko": "작은 개가 해변을 달리고 해가 언덕 너머로 진다.",
    "ru": "Маленькая собака бежит по пляжу, пока солнце садится за холмами.",
    "ar": "كلب صغير يركض على الشاطئ بينما تغرب الشمس خلف التلال.",
    "hi": "एक छोटा कुत्ता समुद्र तट पर दौड़ता है और सूरज पहाड़ियों के पीछे डूबता है।",
}


@pytest.mark.parametrize("language", SENTENCES)
def test_languages_are_told_apart(language):
    assert SENTENCES.keys() == data()["languages"].keys()
    assert [code for code in SENTENCES if is_in(SENTENCES[language], code)] == [language]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "either `preset` or `instruction`"),
        ({"preset": "short", "instruction": "x"}, "either `preset` or `instruction`"),
        ({"preset": "tiny"}, "unknown `preset` 'tiny'; choose one of short"),
        ({"preset": "translate"}, "the preset translate needs `language`"),
        ({"preset": "short", "language": "xx"}, "`language` takes one of en"),
        ({"preset": "short", "max_words": 0}, "`max_words` must be 1 to 400"),
        ({"instruction": " "}, "`instruction` is empty"),
        ({"instruction": "x", "schema": "{"}, "`schema` is no JSON Schema"),
        ({"instruction": "x", "schema": '{"type": 3}'}, "`schema` is no JSON Schema"),
        ({"instruction": "x", "temperature": -1}, "`temperature` must be 0 to 2"),
    ],
)
def test_recipes_that_make_no_sense(given, message):
    with pytest.raises(UsageError, match=message):
        recipe_of(given.pop("preset", None), given.pop("instruction", None), **given)
