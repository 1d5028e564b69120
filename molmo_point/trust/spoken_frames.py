"""Words around the names in a spoken request that change nothing of what is meant.

Every word outside this closed list may carry meaning: negations, relations, quantities and names are not in it.
"""

from collections.abc import Sequence

_ANYWHERE = """
please pls plz kindly pretty thanks thank thx ty ta cheers bitte merci gracias hey hi hello ok okay yes yeah well um uh
hmm so now here there just maybe perhaps possibly actually also quickly again immediately asap soon instead finally robot
molmo buddy mate dude sir madam dear friend
|
s'il vous plaît, por favor, thank you, right now, right away, as well, i guess, i think, i mean, i said, you know, or so,
of course, if possible, if you see it, if you can, if you could, if you don't mind, that would be great, that would be
nice, that'd be great, as soon as you can, in the image, in the picture, in the photo, in the scene, in this image, in
this picture, for me, for us, my friend
"""
_BEFORE = """
i we you u me us it i'm i'd i've i'll we're we'd we've we'll it's am is are be can could would will shall may might do
want need have has got gotta gonna wanna imma must should use able see find to at for really currently
point pointing show locate identify detect highlight mark indicate select choose pick picking grab take fetch bring give
hand pass get reach touch look looking search searching spot track follow watch inspect approach retrieve collect notice
tell know help try return output report say said guess think hold lift grasp
|
i'd like, we'd like, would like, you like, and now, and point, and show, and find, and locate, and get, and give, and
bring, and pick, and grab, and tell, the location of, the position of, the coordinates of, location of, position of,
coordinates of, the target is, target is, job is, your job is, your task is, your goal is, task is, goal is, your task,
target, task, goal, command, query, go to, move to, drive to, click on, tap on, focus on, where is, where are, where's,
where'd, where abouts is, where on earth is, the heck is, where exactly can, where can, where exactly is, how can, how do i
get, what about, how about, what's with, which is, is there, are there, isn't there, why don't you, can't you, couldn't
you, won't you, don't you, does the picture show, does the image show, does the picture contain, does the image contain,
does this have, in which place is, at what position is, when you see, if you see, if you find, much obliged if you found,
be so kind as, be so kind, be a dear, this is, is this, pick up,
interested in, talking about, thinking of, draw a point on, draw a dot on, draw a
circle around, put a point on, put a dot on, put your finger on, place a marker on, place a point on, click in the middle
of, i'm after
"""
_AFTER = """
visible somewhere anywhere located too
|
where is it, where is that, where are they, is where, is located, point to it, point at it, mark it, pick it up, can you
see it, do you see it, find it, show it, that's it, in view, to me, - where is it, over there
"""
_SIGNS = frozenset((sign,) for sign in (",", ".", ":", ";", "!", "?", "…"))
_LONGEST = 6


def _entries(*texts: str) -> frozenset[tuple[str, ...]]:
    """Read single words before the bar, and phrases between commas behind it."""
    parts = [text.split("|") for text in texts]
    words = {(word,) for single, _ in parts for word in single.split()}
    return frozenset(words | {tuple(phrase.split()) for _, phrases in parts for phrase in phrases.split(",")} | _SIGNS)


_FRONT, _BACK = _entries(_ANYWHERE, _BEFORE), _entries(_ANYWHERE, _AFTER)


def means_nothing(before: Sequence[str], after: Sequence[str]) -> bool:
    """Tell whether words in lower case before and after the names of objects are only a request."""
    before, after = ([token.replace("’", "'") for token in part] for part in (before, after))
    return (not before or tuple(before[:1]) not in _SIGNS) and _is_made_of(before, _FRONT) and _is_made_of(after, _BACK)


def _is_made_of(tokens: Sequence[str], known: frozenset[tuple[str, ...]]) -> bool:
    reached = [True, *(False for _ in tokens)]
    for start in range(len(tokens)):
        for end in range(start + 1, min(start + _LONGEST, len(tokens)) + 1) if reached[start] else ():
            reached[end] |= tuple(tokens[start:end]) in known
    return reached[-1]
