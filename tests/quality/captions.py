# ruff: noqa: E501 - captions as they are
"""Good captions, and ways to spoil them: what the checks are measured against."""

import random

from framescribe.synthetic.captions import describe
from framescribe.synthetic.sampling import sample_facts

# In the manner of the captions that CogVideoX was trained on: chronological, concrete, with signs, numbers and lists.
LONG_CAPTIONS = (
    "A suited astronaut, with the red dust of Mars clinging to their boots, reaches out to shake hands with an alien "
    "being, their skin a shimmering blue, under the pink-tinged sky of the fourth planet. In the background, a sleek "
    "silver rocket, a beacon of human ingenuity, stands tall, its engines powered down, as the two representatives of "
    "different worlds exchange a historic greeting amidst the desolate beauty of the Martian landscape.",
    "An elderly gentleman, with a serene expression, sits at the water's edge, a steaming cup of tea by his side. He is "
    "engrossed in his artwork, brush in hand, as he renders an oil painting on a canvas that's propped up against a "
    "small, weathered table. The sea breeze whispers through his silver hair, gently billowing his loose-fitting white "
    "shirt, while the salty air adds an intangible element to his masterpiece in progress.",
    "A golden retriever, sporting sleek black sunglasses, with its lengthy fur flowing in the breeze, sprints playfully "
    "across a rooftop terrace, recently refreshed by a light rain. The scene unfolds from a distance, the dog's "
    "energetic bounds growing larger as it approaches the camera, its tail wagging with unrestrained joy.",
    "On a brilliant sunny day, the lakeshore is lined with an array of willow trees, their slender branches swaying "
    "gently in the soft breeze. The tranquil surface of the lake reflects the clear blue sky, while several elegant "
    "swans glide gracefully through the still water, leaving behind delicate ripples that disturb the mirror-like "
    "quality of the lake.",
    "A Chinese mother, draped in a soft, pastel-colored robe, gently rocks back and forth in a cozy rocking chair "
    "positioned in the tranquil setting of a nursery. The dimly lit bedroom is adorned with whimsical mobiles dangling "
    "from the ceiling, casting shadows that dance on the walls. Her baby, swaddled in a delicate, patterned blanket, "
    "rests against her chest.",
    "A street market at dusk. A vendor under a sign that reads \"鲜果 24h\" weighs oranges, one by one, and packs them "
    "into a paper bag. Behind her, a man in a green jacket counts coins; a child tugs at his sleeve. The camera pans "
    "right past crates of apples, pears and plums until it stops at a cat that sleeps on a scale.",
    "Close-up of a mechanical watch. The second hand ticks from 10 to 20, the balance wheel swings back and forth, back "
    "and forth, and light slides over the brushed steel case. At 3 o'clock a small window shows the date, 17. The camera "
    "moves out slowly to reveal the wrist of a pilot.",
    "The woman in the blue dress enters the room and looks around. The woman in the blue dress sits down at the piano, "
    "while a man in a grey suit opens the window. She begins to play; the curtains move in the wind. The man leans "
    "against the wall and listens with closed eyes.",
    "Dr. Miller, a woman in her fifties with short grey hair, points at a screen full of charts. She turns to the "
    "audience, smiles and says something. A hand goes up in the third row. The light dims and the next slide appears, "
    "titled “Q3: up 4.5 %”.",
    "A very, very old oak stands alone on a hill. Clouds race above it in time-lapse, their shadows sweeping over the "
    "grass, from left to right, again and again. Day turns to night; stars wheel around the pole. At dawn, mist fills "
    "the valley and the tree stands dark against a band of orange light.",
    "Two players face each other across a ping-pong table. The ball goes left, right, left, right, faster and faster, "
    "until the player in red smashes it into the corner. He raises both arms. His opponent laughs, shakes her head and "
    "walks around the table to hug him.",
    "A time-lapse of a city intersection at night: headlights draw white lines, tail lights red ones. Buses stop, "
    "people cross in waves, signals change from red to green and back to red. A billboard in the center cycles through "
    "advertisements for a phone, a perfume and a film. The camera is fixed high above the street.",
    "A baker dusts a wooden board with flour. He folds the dough once, turns it, folds it again, and shapes it into a "
    "ball. Steam rises from the oven behind him. In the final shot, the loaf, golden brown and cracked along the top, "
    "rests on a wire rack beside a jar of honey.",
    "Waves crash against the cliffs of a rugged coast (Big Sur, by the look of it). The water, turquoise near the "
    "rocks and deep blue further out, foams white where it meets the stone. A single pelican glides along the crest of "
    "a wave, tilts, and disappears behind the headland.",
    "A little girl in a yellow raincoat jumps into a puddle. Splash! She laughs, runs back, and jumps again. Her mother "
    "waits under a red umbrella at the corner. The shop behind them is closed; its shutters are painted with a mural of "
    "a whale. Rain streaks down the lens.",
    "An animated fox tiptoes through a paper forest. Its fur is made of torn orange strips, its eyes are two black "
    "buttons. It sniffs at a mushroom, sneezes, and a cloud of glitter rises. The trees, cut from cardboard, sway as if "
    "they laughed. The style is that of a stop-motion film, warm and slightly jerky.",
    "A drone flies low over a lavender field in Provence. Row after row of purple slips by beneath; at the end of the "
    "field stands a stone house with blue shutters. A man on a tractor waves. The drone rises, turns around the house "
    "and looks back over the field towards the setting sun.",
    "The scene opens on a quiet library. Tall shelves of dark wood run along both walls, and a green lamp glows on each "
    "table. A student turns a page, writes a note, and turns another page. Outside the arched windows, snow begins to "
    "fall. The camera glides down the aisle between the tables and stops at an empty chair.",
    "A hummingbird hovers before a red hibiscus, its wings a blur. It dips its beak into the flower, backs away, and "
    "dips again. Drops of water hang from the petals; in each of them the garden stands upside down. A second "
    "hummingbird arrives, and both dart out of the frame.",
    "A chess game in a park in autumn. An old man with a flat cap moves a knight, presses the clock and leans back. His "
    "opponent, a teenager with headphones around her neck, answers at once: queen takes pawn. Yellow leaves drift onto "
    "the board. The old man strokes his beard, smiles, and tips over his king.",
)  # fmt: skip


def good_captions(count: int, rng: random.Random) -> list[str]:
    """The long captions, and captions of the synthetic world up to ``count``."""
    synthetic = [describe(sample_facts(rng), rng) for _ in range(count - len(LONG_CAPTIONS))]
    return [*LONG_CAPTIONS, *synthetic]


def with_loop(caption: str, rng: random.Random) -> str:
    """The caption up to some word, and from there the same thing over and over, sometimes until the token limit."""
    words = caption.split()
    start = rng.randrange(2, len(words))
    head = " ".join(words[:start])
    kind = rng.choice(("word", "phrase", "sentence", "characters", "changing"))
    if kind == "word":
        return f"{head} " + " ".join(
            [rng.choice(("JEANS", "the", "up", words[start])).strip(".")] * rng.randrange(6, 200)
        )
    if kind == "phrase":
        length = rng.randrange(2, 12)
        phrase = " ".join((words * 2)[start : start + length])
        return f"{head} " + " ".join([phrase] * rng.randrange(5, 60))
    if kind == "sentence":
        sentence = caption[caption.rindex(". ") + 2 :] if ". " in caption else caption
        return f"{caption} " + " ".join([sentence] * rng.randrange(3, 20))
    if kind == "characters":
        return head + " " + rng.choice(("a", "ha", "JEANS", "0x", "-")) * rng.randrange(15, 400)
    people = (
        "man",
        "woman",
        "child",
        "dog",
        "vendor",
        "pilot",
        "nurse",
        "girl",
        "boy",
        "horse",
        "cat",
        "bird",
    )
    return f"{head}. " + " ".join(
        f"The {rng.choice(people)} walks to the left and looks at the camera." for _ in range(12)
    )


def cut_off(caption: str, rng: random.Random) -> str:
    """The caption up to a word within its last sentence but its end, at times within the word."""
    words = caption.split()
    text = " ".join(words[: rng.randrange(len(words) * 2 // 3, len(words))])
    return text.rstrip('.!?"”)…') if rng.random() < 0.5 else text.rstrip('.!?"”)…')[:-1]


def nearly_the_same(caption: str, rng: random.Random) -> str:
    """The caption with other case, spacing or punctuation; a long one may have another word."""
    kind = rng.choice(("same", "case", "spaces", "punctuation", "word"))
    words = caption.split()
    if kind == "case":
        return caption.upper()
    if kind == "spaces":
        return " \n".join(words) + " "
    if kind == "punctuation":
        return caption.replace(",", " –").rstrip(".") + "!"
    if kind == "word" and len(words) >= 50:
        place = rng.randrange(len(words))
        return " ".join([*words[:place], "something", *words[place + 1 :]])
    return caption
