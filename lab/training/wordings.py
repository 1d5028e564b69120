"""Words of questions about household scenes: categories, relations, superlatives, plurals."""

CATEGORY_WORDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "fruit": (("fruit", "piece of fruit"), ("pieces of fruit", "fruit", "fruits")),
    "vegetables": (("vegetable",), ("vegetables",)),
    "food": (("food", "food item"), ("food items", "food", "things to eat")),
    "dishes": (("piece of crockery", "piece of tableware"), ("dishes", "crockery", "tableware")),
    "cutlery": (("piece of cutlery",), ("pieces of cutlery", "cutlery", "silverware")),
    "toys": (("toy",), ("toys",)),
    "tools": (("tool",), ("tools",)),
    "stationery": (("office supply", "piece of stationery"), ("office supplies", "stationery")),
    "toiletries": (("bathroom item", "toiletry"), ("toiletries", "bathroom items")),
    "clothes": (("thing to wear", "wearable item"), ("things to wear", "wearable items")),
    "plants": (("plant",), ("plants",)),
    "electronics": (("electronic device",), ("electronic devices", "electronics")),
}
"""Categories that are asked about: words for one object, and for several, first a word that can be counted."""

RELATIONS = {
    "left of": ("left of", "to the left of"),
    "right of": ("right of", "to the right of"),
    "in front of": ("in front of",),
    "behind": ("behind",),
    "nearest to": ("nearest to", "closest to", "next to"),
    "between": ("between",),
}
"""Words for a relation."""
SUPERLATIVE_WORDS = {
    "closest": "{q} closest to the camera",
    "farthest": "{q} farthest from the camera",
    "nearest the edge of the table": "{q} nearest the edge of the table",
}
"""Position of a superlative that does not simply precede its noun."""
_IRREGULAR = {
    "scissors": "scissors", "glasses": "glasses", "sunglasses": "sunglasses", "keys": "keys", "knife": "knives",
    "loaf": "loaves", "loaf of bread": "loaves of bread", "toothbrush": "toothbrushes", "bread": "bread", "butter": "butter",
    "french fries": "french fries", "fries": "fries", "chips": "chips", "sneakers": "sneakers", "high heels": "high heels",
    "shoes": "shoes", "paper towels": "paper towels", "cards": "cards", "playing cards": "playing cards",
    "bamboo": "bamboo", "milk": "milk", "medicine": "medicine", "shampoo": "shampoo", "lotion": "lotion", "salt": "salt",
    "kitchen knife": "kitchen knives", "table knife": "table knives", "spices": "spices", "soap": "soap", "food": "food",
    "scales": "scales", "oil bottles": "oil bottles", "oil servers": "oil servers", "eyeglasses": "eyeglasses",
    "ping pong paddle": "ping pong paddles", "headphones": "headphones", "chess": "chess", "adhesive tape": "adhesive tape",
}  # fmt: skip
MASS_NOUNS = {
    "adhesive tape", "bamboo", "bread", "butter", "chess", "french fries", "fries", "chips", "lotion", "medicine", "milk",
    "paper", "perfume", "salad", "salt", "shampoo", "soap", "spices", "spray", "sushi", "tape", "sugar",
}  # fmt: skip
"""Nouns that are not counted."""
_HEAD_FIRST = (" of ", " and ")


def plural(noun: str) -> str:
    """Return the plural of a noun phrase of ours, e.g. ``"cups and saucers"``, ``"knives"``, ``"bowls of fruit"``."""
    if noun in _IRREGULAR:
        return _IRREGULAR[noun]
    for joint in _HEAD_FIRST:
        head, found, rest = noun.partition(joint)
        if found:
            return plural(head) + joint + (plural(rest) if joint == " and " else rest)
    if noun.endswith(("s", "x", "ch", "sh")):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"
