"""Names of objects in a query, without the request around them.

"Could you show me the red cube, please?" names "red cube". Only words without meaning for the place are dropped: requests
such as "show me", articles, politeness, and the end of the sentence. Negations, relations and quantities stay.
"""

import re
import unicodedata

_ENDINGS = " .,;:!?…。、"
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "„": "“", "«": "»", "`": "`", "(": ")"}
_MOST_FRAMES = 8
_WORTH_A_LOOK = 240
"""Characters at either end of a text in which a request is searched."""

# A verb that may also begin a name ("touch screen") counts only before one of these.
_OWN = r"(?:the|an?|this|that|these|those|my|your|our|all|every|each|any|some)\b"
_PICTURE = r"(?:in|on) (?:the|this|that) (?:image|picture|photo|photograph|scene)"
_PLEASE = r"please|kindly|pls|plz"
_ADVERBS = rf"(?:(?:{_PLEASE}|just|maybe|perhaps|possibly|quickly|also|now|first|really),? )*"
_VERBS = "|".join(
    (
        r"point(?:ing)? (?:me |your finger )?(?:to|at|out|towards?)(?: to me)?(?: where)?",
        r"(?:show|tell|find|giv)(?:e|ing)? (?:me|us) (?:where|the (?:locations?|positions?|coordinates) of)",
        r"(?:show|find|giv|hand|pass|bring|fetch|get|gett)(?:e|ing)? (?:me|us)|(?:tell|show) (?:me|us)(?= how many| which)",
        r"(?:find|locate|locating|mark|count|identify|indicate|segment)(?:ing)?(?: where)?",
        r"(?:pick|picking) (?:up|out)|(?:look|search)(?:ing)? for|let (?:me|us) (?:see|have)|(?:put|place) a (?:point|dot) on",
        rf"(?:show|get|grab|take|fetch|bring|give|hand|pass|lift|grasp|grip|hold|touch|select|choose|see|spot|detect|highlight|have"
        rf"|pick|click|click on|aim at|focus on|look at|go to|move to|reach for)(?: up)?(?= {_OWN})",
    )
)
_ASKED = "|".join(
    (
        rf"where(?:'s|s|abouts|(?: exactly| {_PICTURE})? (?:is|are))(?: is| are)?",
        r"where (?:do|did|can|could|might|would|will) (?:you|i|we|one) (?:see|find|spot)",
        rf"where(?= {_OWN})",
        r"which (?:one |of (?:these|those|them) )?(?:is|are)|(?:count )?how many",
        r"(?:is|are) there(?= (?:an?|any|some|the|no|one)\b)|(?:do|can|did|have) (?:you|we) (?:see|find|spot|have|seen)",
        r"(?:(?:what (?:is|are) |what's )(?:the )?(?:exact )?)?(?:locations?|positions?|whereabouts|coordinates|number) of",
        r"the number of(?! (?:the|an?|this|that|my|your)\b)",
        r"(?:all |every |each |any )?(?:of )?(?:the )?(?:occurrences?|instances?) of",
        rf"(?:pick|lift)(?= {_OWN}.* up\b)",
    )
)
_WISHES = "|".join(
    (
        rf"(?:can|could|would|will|may|might|should) (?:you|u|i|we) {_ADVERBS}"
        rf"(?:be so kind(?: as)? to |help me(?: to)? )?(?={_VERBS}|{_OWN})",
        rf"(?:would|do) you mind {_ADVERBS}(?={_VERBS})|(?:would it be|is it) possible to (?={_VERBS})",
        rf"(?:i|we)(?:'d| would| do)? {_ADVERBS}(?:like|love|want|need|wish)(?: you)? to (?:know )?(?={_VERBS}|{_ASKED})",
        rf"(?:i|we)(?:'d| would) (?:like|love) (?:to have )?|(?:i|we) {_ADVERBS}(?:want|need|choose) (?!you |to )(?=\S)",
        rf"i(?:'ll| will) (?:have|take) (?={_OWN})|(?:do you know|i wonder|i want to know) (?=where|which|how)",
        r"(?:i am|i'm|we are|we're) (?:looking|searching) for |there (?:is|are|should be|must be) (?=an?\b|some\b|any\b)",
        rf"(?:let's|let us|help me(?: to)?|try to|go ahead and|you (?:should|must)|i'm trying to|i am trying to) (?={_VERBS})",
        rf"(?:just|only|and|what about|how about) (?={_OWN})|{_PICTURE},? (?={_VERBS}|{_ASKED})",
    )
)
_GREETINGS = (
    r"(?:hey|hi|hello|ok|okay|alright|so|well|now|next|then|just|yes|thanks|thank you|robot|molmo|excuse me)"
    r"(?: there| robot| molmo)?"
)
_HEAD = re.compile(
    rf"(?:(?:{_PLEASE}),? |{_GREETINGS}(?:, ?|! ?| (?=(?:(?:{_PLEASE}) )?(?:{_WISHES}|{_VERBS}|{_ASKED}))))"
    rf"|(?:{_WISHES})|(?P<asked>(?:{_ASKED}):? )|(?:{_VERBS}):? ",
    re.IGNORECASE,
)
_POLITE_END = rf"{_PLEASE}|for (?:me|us)|thanks(?: a lot| so much)?|thank you(?: very much| so much)?|(?:right )?now|asap"
_TAIL = re.compile(
    rf"(?:[ ,;.!?]+(?:{_POLITE_END}|if you (?:can|could|would|please|don't mind|see (?:it|one|any))|(?:would|will|could|can) you"
    r"|(?:do|can) you see|(?:that |which )?(?:you|we|i) (?:can )?see|anywhere|(?<! is )(?<! are )(?:(?:over )?there|here)"
    rf"|{_PICTURE}))+$",
    re.IGNORECASE,
)
_ASKED_TAIL = re.compile(
    r" (?:(?:there )?(?:is|are|(?:do|does|can|could)(?= ))"
    r"(?: (?:there|here|it|they|you|i|we|one|see|seen|find|spot|count|visible|located|found|be|at|on the table))*"
    r"|there|located|at|up)$",
    re.IGNORECASE,
)
_DETERMINER = re.compile(
    r"(?:(?:all|every|each|any)(?: one)? of (?:(?:the|these|those|my|your|our) )?"
    r"|(?:all|every|each|any|some) (?!but |except |other |one )|(?:the|an?|this|that|these|those|my|your|our) )"
    r"(?!(?:and|or|of|is|are|to|but|except|which|who)\b)(?=\S)",
    re.IGNORECASE,
)


def tidy_words(words: str) -> str:
    """Write words with single spaces and plain characters, without quotes around them and punctuation behind them.

    Compatibility characters such as full-width letters become plain ones. Words of punctuation alone stay.
    """
    text = " ".join(unicodedata.normalize("NFKC", words).split())
    return _without_ends(text) or text


def named_objects(words: str) -> str:
    """Return the names of objects in a query, as `tidy_words` writes them; never empty for words with content."""
    text, asked = tidy_words(words), False
    for _ in range(_MOST_FRAMES):
        head = _HEAD.match(text.replace("’", "'"), 0, _WORTH_A_LOOK)
        rest = _without_ends(text[head.end() :].lstrip(" ,:")) if head else ""
        if head is None or not _has_words(rest):
            break
        text, asked = rest, asked or head["asked"] is not None or head[0].rstrip().lower().endswith(" where")
    text = _without_tail(text, _TAIL)
    if asked:
        text = _without_tail(_without_tail(text, _ASKED_TAIL), _TAIL)
    for _ in range(2):
        determiner = _DETERMINER.match(text)
        rest = _without_ends(text[determiner.end() :]) if determiner else ""
        text = rest if _has_words(rest) else text
    return text


def _without_ends(text: str) -> str:
    bare = text.rstrip(_ENDINGS)
    while len(bare) > 1 and _QUOTES.get(bare[0]) == bare[-1] and bare[0] not in bare[1:-1]:
        bare = bare[1:-1].strip().rstrip(_ENDINGS)
    return bare


def _without_tail(text: str, tail: re.Pattern[str]) -> str:
    start = max(0, len(text) - _WORTH_A_LOOK)
    found = tail.search(text, start)
    rest = _without_ends(text[: found.start()]) if found else ""
    return rest if _has_words(rest) else text


def _has_words(text: str) -> bool:
    return any(character.isalnum() for character in text)
