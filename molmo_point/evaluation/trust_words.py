"""Words of the trust evaluation: wordings of the same meaning, and words that no simulated table shows.

Every list has two halves: every second entry develops, the others judge.
"""

from collections.abc import Sequence
from enum import Enum
from typing import TypeVar

import numpy as np

Entry = TypeVar("Entry")


class Half(str, Enum):
    """Half of a list."""

    DEVELOP = "develop"
    JUDGE = "judge"
    BOTH = "both"

    def of(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the entries of this half."""
        if self is Half.BOTH:
            return list(entries)
        return list(entries[0 if self is Half.DEVELOP else 1 :: 2])


SAME_MEANING: tuple[tuple[str, str], ...] = (
    ("upper case", "THE RED CUBE"),
    ("title case", "The Red Cube"),
    ("capital", "The red cube"),
    ("full stop", "the red cube."),
    ("no article", "red cube"),
    ("article a", "a red cube"),
    ("double spaces", "the  red  cube"),
    ("outer spaces", "  the red cube "),
    ("exclamation mark", "the red cube!"),
    ("question mark", "the red cube?"),
    ("upper case, full stop", "THE RED CUBE."),
    ("quotes", '"the red cube"'),
    ("bare capitals", "RED CUBE"),
    ("please point", "please point to the red cube"),
    ("please find", "Please find the red cube."),
    ("could you show", "Could you show me the red cube?"),
    ("can you find", "can you find the red cube?"),
    ("the red cube, please", "the red cube, please"),
    ("red cube please", "red cube please"),
    ("would you kindly", "would you kindly point at the red cube"),
    ("would you mind", "Would you mind pointing at the red cube?"),
    ("where is", "where is the red cube?"),
    ("which one is", "Which one is the red cube?"),
    ("I want", "I want the red cube"),
    ("I would like", "I would like the red cube, please."),
    ("hey robot", "hey robot, show me the red cube"),
    ("robot", "Robot, find the red cube!"),
    ("locate", "locate the red cube"),
    ("I am looking for", "I am looking for the red cube."),
    ("point out", "point out the red cube for me"),
    ("I need", "I need the red cube now"),
    ("show", "show me where the red cube is"),
    ("tell", "Please tell me where the red cube is."),
    ("non-breaking space", "the red\u00a0cube"),
)
"""Names of wordings, and how each of them says "the red cube"."""

NOUNS: tuple[str, ...] = (
    "elephant", "screwdriver", "banana", "person", "mug", "hammer", "giraffe", "laptop", "scissors", "umbrella", "dog", "cat",
    "bicycle", "car", "teapot", "wrench", "spoon", "fork", "knife", "toothbrush", "guitar", "violin", "airplane", "helicopter",
    "tree", "flower", "cactus", "chair", "sofa", "ladder", "keyboard", "computer mouse", "telephone", "camera", "wristwatch",
    "necklace", "shoe", "sock", "hat", "glove", "shirt", "trousers", "zipper", "key", "padlock", "pliers", "drill", "saw",
    "nail", "screw", "paper clip", "stapler", "pencil", "fountain pen", "notebook", "newspaper", "dinosaur", "horse", "cow",
    "penguin", "spider", "butterfly", "snake", "fish", "shark", "pineapple", "broccoli", "carrot", "croissant", "pretzel",
    "pizza", "hamburger", "sandwich", "spaghetti", "ice cream cone", "wine glass", "frying pan", "whisk", "spatula", "colander",
    "corkscrew", "syringe", "stethoscope", "thermometer", "crutch", "wheelchair", "bandage", "microscope", "trumpet", "piano",
    "skateboard", "tennis racket", "surfboard", "parachute", "tent", "anchor", "sailboat", "submarine", "tractor", "bulldozer",
    "excavator", "robot arm", "antenna", "circuit board", "USB stick", "cable", "light switch", "lamp", "curtain", "pillow",
    "teddy bear", "doll", "skeleton", "hand", "human face", "eyeglasses", "beard", "feather", "seashell", "snowflake",
)  # fmt: skip
"""Nouns of which no table of plain solids shows any."""

STRANGE_COLORS: dict[str, tuple[str, ...]] = {
    "pink": ("red", "purple", "white", "orange"),
    "turquoise": ("blue", "green", "white"),
    "brown": ("orange", "red", "black", "yellow"),
    "gray": ("white", "black"),
    "cyan": ("blue", "green", "white"),
    "beige": ("white", "yellow", "orange"),
    "magenta": ("red", "purple"),
    "lime": ("green", "yellow"),
    "teal": ("blue", "green"),
    "golden": ("yellow", "orange"),
}
"""Colors of no object, each with the colors that some people would call so."""

STRANGE_ADJECTIVES: tuple[str, ...] = (
    "wooden", "striped", "transparent", "furry", "broken", "spotted", "hollow", "glass", "woolen", "rusty", "inflatable", "hairy",
    "checkered", "edible", "burning", "knitted", "chrome", "feathered", "moldy", "leather", "dotted", "frozen", "torn", "rainbow",
)  # fmt: skip
"""Adjectives that fit no plain solid."""

COLOR_SYNONYMS: dict[str, tuple[str, ...]] = {
    "red": ("crimson", "scarlet", "ruby"),
    "orange": ("tangerine", "amber"),
    "yellow": ("canary", "lemon-colored"),
    "green": ("emerald", "verdant"),
    "blue": ("azure", "navy", "cobalt"),
    "purple": ("violet", "lilac"),
    "white": ("ivory", "snow-white"),
    "black": ("ebony", "jet-black"),
}
SHAPE_SYNONYMS: dict[str, tuple[str, ...]] = {
    "cube": ("die", "dice", "cubical block"),
    "ball": ("sphere", "globe", "orb"),
    "cylinder": ("tube", "can", "drum", "roll"),
    "brick": ("cuboid", "slab", "rectangular block", "bar"),
}
"""Other words for the colors and shapes; who points at the object is right."""

OTHER_LANGUAGES: tuple[tuple[str, str, dict[str, str], dict[str, str]], ...] = (
    (
        "German", "{color} {shape}",
        {"red": "roter", "orange": "oranger", "yellow": "gelber", "green": "grüner", "blue": "blauer", "purple": "lila",
         "white": "weißer", "black": "schwarzer"},
        {"cube": "Würfel", "ball": "Ball", "cylinder": "Zylinder", "brick": "Ziegelstein"},
    ),
    (
        "Spanish", "{shape} {color}",
        {"red": "rojo", "orange": "naranja", "yellow": "amarillo", "green": "verde", "blue": "azul", "purple": "morado",
         "white": "blanco", "black": "negro"},
        {"cube": "el cubo", "ball": "el balón", "cylinder": "el cilindro", "brick": "el ladrillo"},
    ),
    (
        "French", "{shape} {color}",
        {"red": "rouge", "orange": "orange", "yellow": "jaune", "green": "vert", "blue": "bleu", "purple": "violet",
         "white": "blanc", "black": "noir"},
        {"cube": "le cube", "ball": "le ballon", "cylinder": "le cylindre", "brick": "le pavé"},
    ),
    (
        "Italian", "{shape} {color}",
        {"red": "rosso", "orange": "arancione", "yellow": "giallo", "green": "verde", "blue": "blu", "purple": "viola",
         "white": "bianco", "black": "nero"},
        {"cube": "il cubo", "ball": "il pallone", "cylinder": "il cilindro", "brick": "il mattone"},
    ),
    (
        "Chinese", "{color}{shape}",
        {"red": "红色", "orange": "橙色", "yellow": "黄色", "green": "绿色", "blue": "蓝色", "purple": "紫色",
         "white": "白色", "black": "黑色"},
        {"cube": "立方体", "ball": "球", "cylinder": "圆柱体", "brick": "砖"},
    ),
    (
        "Japanese", "{color}{shape}",
        {"red": "赤い", "orange": "オレンジ色の", "yellow": "黄色い", "green": "緑の", "blue": "青い", "purple": "紫の",
         "white": "白い", "black": "黒い"},
        {"cube": "立方体", "ball": "ボール", "cylinder": "円柱", "brick": "レンガ"},
    ),
    (
        "Dutch", "de {color} {shape}",
        {"red": "rode", "orange": "oranje", "yellow": "gele", "green": "groene", "blue": "blauwe", "purple": "paarse",
         "white": "witte", "black": "zwarte"},
        {"cube": "kubus", "ball": "bal", "cylinder": "cilinder", "brick": "baksteen"},
    ),
    (
        "Polish", "{color} {shape}",
        {"red": "czerwony", "orange": "pomarańczowy", "yellow": "żółty", "green": "zielony", "blue": "niebieski",
         "purple": "fioletowy", "white": "biały", "black": "czarny"},
        {"cube": "sześcian", "ball": "balon", "cylinder": "walec", "brick": "klocek"},
    ),
)  # fmt: skip
"""Languages: name, pattern, color words, shape words; who points at the object is right."""

FOREIGN_NOUNS: tuple[str, ...] = (
    "der Elefant", "la silla", "le parapluie", "il cane", "大象", "傘", "de fiets", "widelec", "Schraubenzieher", "el plátano",
    "la voiture", "слон", "la forchetta", "鉛筆", "het paard", "ratownik", "la tijera", "Fahrrad", "le marteau", "قطة",
)  # fmt: skip
"""Words of other languages for what no table shows."""

NONSENSE: tuple[str, ...] = (
    "xyzzy", "blorp", "qwertz", "the frobnicator", "asdf asdf", "glimmerfax", "zorb wug", "brillig slithy toves", "42", "a1b2c3",
    "??", "the the the", "lorem ipsum", "foo bar", "undefined", "plugh", "hjkl", "the gostak", "mxyzptlk", "snarfblat",
    "nothing", "the meaning of life", "yesterday", "sadness", "π ≈ 3.14", "🦄", "null", "of and to", "1 + 1", "the number seven",
)  # fmt: skip
"""Words that name no object."""

NEGATIONS: tuple[tuple[str, str], ...] = (
    ("not the", "not the {q}s"),
    ("everything but", "everything but the {q}s"),
    ("all but", "all objects but the {q}s"),
    ("anything except", "anything except the {q}s"),
    ("that are not", "the objects that are not {q}s"),
    ("that is not", "everything that is not a {q}"),
    ("other than", "objects other than the {q}s"),
    ("without", "all objects without the {q}s"),
)
"""Names of negations, and their patterns."""

FALSE_RELATIONS: tuple[str, ...] = (
    "{a} on top of {b}", "{a} inside the bowl", "{a} in the person's hand", "{a} under the table", "{a} hanging from the ceiling",
    "{a} on the chair", "the label on {a}", "the hole in {a}", "the handle of {a}", "the lid of {a}", "the wheels of {a}",
    "{a} held by the robot", "the text on {a}", "the crack in {a}", "{a} inside {b}", "the sticker on {a}",
)  # fmt: skip
"""Relations to, and parts of, what is not there; `{a}` and `{b}` are objects of the table."""


def misspelt(word: str, known: Sequence[str], rng: np.random.Generator) -> str:
    """Return a word with one slip of the fingers; it is never one of the known words."""
    while True:
        k = int(rng.integers(1, len(word)))
        letter = chr(int(rng.integers(ord("a"), ord("z") + 1)))
        slips = (
            word[:k] + word[k + 1 :],
            word[:k] + word[k] + word[k:],
            word[: k - 1] + word[k] + word[k - 1] + word[k + 1 :],
            word[:k] + letter + word[k + 1 :],
            word[:k] + letter + word[k:],
        )
        slip = slips[int(rng.integers(len(slips)))]
        if slip not in known and slip != word and not slip.startswith(tuple(f"{name}s" for name in known)):
            return slip
