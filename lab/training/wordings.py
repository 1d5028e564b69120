"""How questions are worded: templates, words for categories and relations, plurals."""

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
"""Categories that are asked about: what one is called, and what many are called, first a word that can be counted."""

ONE = (
    "Point to {q}", "Point to {q}.", "Point at {q}.", "Find {q}.", "Where is {q}?", "Show me {q}", "Locate {q}.",
    "Can you point to {q}?", "Please point out {q}.", "I am looking for {q}.", "Mark {q}.", "Which one is {q}?",
    "pick up {q}", "Where do you see {q}?", "Give me the location of {q}.", "{q}",
)  # fmt: skip
"""Wordings of a question about one thing."""
MANY = (
    "Point to {q}", "Point to all {q}", "Point to all {q}.", "Find every one of {q}.", "Where are {q}?", "Show me {q}",
    "Locate all of {q}.", "Can you point to all {q}?", "Mark each of {q}.", "Point out {q}.", "Find {q}", "all {q}", "{q}",
)  # fmt: skip
"""Wordings of a question about several things."""
COUNT = (
    "How many {q} are there?", "Count the {q}.", "How many {q} do you see?", "How many {q} are on the table?",
    "Count {q}", "count the {q}", "What is the number of {q}?", "How many {q} can you find?", "Number of {q}?",
)  # fmt: skip
"""Wordings of a question how many there are."""
CAPTION = (
    "Describe this image.", "Describe the image.", "Describe this image", "What is in this image?", "What does the image show?",
    "Caption this image.", "Tell me what you see.", "What can be seen here?", "Write a caption.", "describe this picture",
)  # fmt: skip
"""Wordings of a request for a description."""
RELATIONS = {
    "left of": ("left of", "to the left of"),
    "right of": ("right of", "to the right of"),
    "in front of": ("in front of",),
    "behind": ("behind",),
    "nearest to": ("nearest to", "closest to", "next to"),
    "between": ("between",),
}
"""Relation to how it may be said."""
SUPERLATIVE_WORDS = {
    "closest": "{q} closest to the camera",
    "farthest": "{q} farthest from the camera",
    "nearest the edge of the table": "{q} nearest the edge of the table",
}
"""How a superlative joins what it is about, where it does not simply stand before it."""
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
    """Plural of a noun phrase of ours, e.g. ``"cups and saucers"``, ``"knives"``, ``"bowls of fruit"``."""
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
