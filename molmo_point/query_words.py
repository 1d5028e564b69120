"""Names of objects in a query, without the request around them.

"Could you show me the red cube, please?" names "red cube". Only words without meaning for the place are dropped: requests
such as "show me", articles, politeness, and the end of the sentence. Negations, relations and quantities stay.
"""

import re
import unicodedata

_ENDINGS = " .,;:!?…。、"
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "„": "“", "«": "»", "`": "`", "(": ")", "[": "]", "*": "*"}
_MOST_FRAMES = 8
_WORTH_A_LOOK = 240
"""Characters at either end of a text in which a request is searched."""

# Faces and hands that only greet or thank; a crossed circle or an arrow has a meaning. "Red cube with 😀" keeps its face.
_FACE = (
    r"[\U0001f600-\U0001f644\U0001f64b-\U0001f64f\U0001f914\U0001f916\U0001f917\U0001f970☺❤👋👌👍👉]"
    r"[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]*"
)
_MOOD = rf"(?:{_FACE}|(?<!\S)(?:[:;=]['-]?[)DP]+|\^\^|<3)(?!\S))"
_MOOD_AT_START = re.compile(rf"(?:{_MOOD}[ ,.!]*)+(?=\w)")
_MOOD_AT_END = re.compile(rf"(?P<word>\w+)[ .,!?]*(?:{_MOOD}[ .,!?]*)+$")
_NAMES_ITS_FACE = frozenset(("with", "of", "the", "a", "an", "like", "says", "saying", "emoji", "and", "or", "no", "not", "on"))

# A verb that may also begin a name ("touch screen") counts only before one of these.
_OWN = r"(?:the|an?|this|that|these|those|my|your|our|all|every|each|any|some)\b"
_PICTURE = r"(?:(?:in|on) (?:the|this|that) (?:image|picture|photo|photograph|scene)|in (?:the )?(?:view|sight))"
_COLOR = r"(?:red|orange|yellow|green|blue|purple|violet|pink|brown|black|white|gr[ae]y)"
_PLEASE = r"please|kindly|pls|plz"
_YOU = r"(?:you guys|you all|y'all|you|u|ya|i|we)"
_ANYBODY = r"(?:anyone|anybody|someone|somebody)"
_ADVERBS = rf"(?:(?:{_PLEASE}|just|maybe|perhaps|possibly|quickly|also|now|first|really|still|currently),? )*"
_PLACE = r"(?:(?:exact|pixel|current) )?(?:locations?|positions?|whereabouts|coordinates)"
_NUMBER = r"(?:(?:total|exact) )?(?:number|quantity|amount|count)"
_VERBS = "|".join(
    (
        r"point(?:ing|ed)? (?:me |your finger )?(?:to|at|out|towards?)(?: to me)?(?: where)?",
        rf"(?:show|tell|find|giv)(?:e|ing)? (?:me|us) (?:where(?! (?:to|i|we)\b)|the {_PLACE} of)",
        r"(?:show|find|giv|hand|pass|bring|fetch|get|gett|grab|grabb|pick)(?:e|ing)? (?:me|us)|gimme|lemme (?:see|have)",
        rf"(?:tell|show|giv)(?:e|ing)? (?:me|us)(?= how many| which| where (?:to|i|we)\b| the {_NUMBER} of)",
        r"(?:find|locate|locating|mark|count|identify|indicate|segment)(?:ing)?(?: where)?",
        r"(?:pick|picking) (?:up|out)|(?:look|search)(?:ing)? for|let (?:me|us) (?:see|have)|(?:put|place) a (?:point|dot) on",
        rf"(?:show|get|grab|take|fetch|bring|give|hand|pass|lift|grasp|grip|hold|touch|select|choose|see|spot|detect|highlight|have"
        rf"|pick|click|click on|tap|tap on|press|push|poke|carry|aim at|focus on|look at|reach for"
        rf"|(?:go|move|drive|walk|navigate) to|(?:direct|guide|lead|take|walk|drive) (?:me|us) to)"
        rf"(?:(?<!give) up| over)?(?= {_OWN})",
    )
)
_ASKED = "|".join(
    (
        rf"where(?:'s|s|abouts|(?: exactly| {_PICTURE})? (?:is|are))(?: is| are)?",
        rf"where (?:do|did|can|could|might|would|will) (?:{_YOU}|one) (?:see|find|spot|get)",
        r"where (?:to|(?:i|we) can) (?:find|see|spot|get)",
        rf"where (?:did|has|have)(?= {_OWN}.* (?:go|gone)$)|where(?= {_OWN})",
        r"which (?:one |object |thing |item |of (?:these|those|them) )?(?:is|are)"
        r"|(?:count )?how many(?: of(?= (?:the|these|those|my|your|our)\b))?|# of",
        rf"which(?= (?!one\b)\w+(?: \w+)? (?:is|are) {_COLOR}$)",
        rf"(?:is|are) there(?= (?:an?|any|some|the|no|one)\b)|(?:do|can|did|have) {_YOU} (?:see|find|spot|have|seen|got)",
        rf"(?:has|have|did|does|can) {_ANYBODY} (?:seen|see|found|find|got)|{_ANYBODY} seen|got(?= (?:an?|any|some|the|my)\b)",
        rf"(?:(?:what (?:is|are) |what's )(?:the )?)?{_PLACE} of|the {_PLACE} of(?= (?:the|an?|this|that|my|your)\b)",
        rf"(?:what (?:is|are) |what's )(?:the )?{_NUMBER} of|number of|the number of(?! (?:the|an?|this|that|my|your)\b)",
        r"(?:the )?(?:total number|quantity|amount) of",
        r"(?:all |every |each |any )?(?:of )?(?:the )?(?:occurrences?|instances?) of",
        rf"(?:pick|lift)(?= {_OWN}.* up\b)",
    )
)
_WISHED = r"(?:really )?(?:want|need|mean|meant|'m looking for|am looking for|are looking for|'re looking for|asked for)"
_WISHES = "|".join(
    (
        rf"(?:can|could|would|will|may|might|should|won't) {_YOU} {_ADVERBS}"
        rf"(?:be so kind(?: as)? to |help me(?: to)? )?(?={_VERBS}|{_OWN}|(?:give|lend) me a hand)",
        rf"(?:would|do) you mind {_ADVERBS}(?={_VERBS})|(?:would it be|is it) possible to (?={_VERBS})",
        rf"(?:i|we)(?:'d| would| do)? {_ADVERBS}(?:like|love|want|need|wish)(?: you)? to (?:know )?(?={_VERBS}|{_ASKED})",
        rf"(?:i|we)(?:'d| would) (?:like|love) (?:to have )?|(?:i|we) {_ADVERBS}(?:want|need|choose) (?!you |to )(?=\S)",
        rf"(?:i|we) (?:wanna|gotta) (?:have |get |see |find |know )?(?={_OWN}|{_ASKED})",
        rf"(?:i|we) {_ADVERBS}(?:can't|cannot|can not|couldn't|could not|don't|do not) (?:find|see|spot) (?={_OWN})",
        rf"(?:i|we)(?:'ve| have)? (?:lost|misplaced) (?={_OWN})|i (?:mean|meant|said|say|asked for) (?={_OWN})",
        rf"i(?:'ll| will) (?:have|take) (?={_OWN})|(?:do you know|any idea|i wonder|i want to know) (?=where|which|how)",
        rf"(?:(?:i|we)(?: am| was|'m| are| were|'re) )?(?:just )?wonder(?:ing)? (?:(?=where|which|how)"
        rf"|(?:if|whether) (?:{_YOU}|there) (?:could|can|would|might) {_ADVERBS}(?={_VERBS}))",
        rf"(?:it|that)(?:'d| would) be (?:\w+ )?(?:great|nice|good|lovely|helpful|kind|wonderful|awesome)(?: of you)?"
        rf" (?:if you (?:could |would |can )?|to ){_ADVERBS}(?={_VERBS})",
        rf"(?:i|we)(?:'d| would)(?: \w+)? (?:appreciate it|be (?:happy|glad|grateful|thankful)) if you"
        rf" (?:could |would )?(?={_VERBS})",
        rf"do (?:me|us) a favou?r(?: and|,|:)? (?={_VERBS})|(?:give|lend) (?:me|us) a hand (?:with |in )?(?={_VERBS})",
        r"(?:i am|i'm|we are|we're) (?:looking|searching) for |(?:i'm|i am|we're|we are) after (?=the\b|an?\b|my\b)",
        r"(?:i (?:think|believe|guess|know|bet|hope)(?: that)? )?(?:somewhere )?there"
        r"(?:'s| is| are| (?:should|must|might|may) be)"
        r"(?: somewhere)? (?=an?\b|some\b|any\b)",
        rf"(?:(?:let's|let us|help me(?: to)?|try to|try and|go ahead and|go(?: and)?|come(?: and)?|(?:thanks|thank you) for"
        rf"|you (?:should|must)|i'm trying to|i am trying to) )(?={_VERBS})",
        rf"(?:just|only|and|what about|how about) (?={_OWN})|{_PICTURE},? (?={_VERBS}|{_ASKED})",
        rf"(?:it's|it is|that's|that is) (?={_OWN}.* (?:i|we) ?{_WISHED}$)|(?:my|the|your) target (?:is )?(?={_OWN})|target: ",
        rf"(?:what|the (?:one|thing|object|item)(?: that| which)?) (?:i|we) ?{_WISHED} is (?={_OWN})",
    )
)
_GREETINGS = (
    r"(?:hey|hi|hello|ok|okay|alright|all right|so|well|now|next|then|just|yes|yeah|thanks|thank you|dear|robot|molmo|excuse me)"
    r"(?: there| robot| molmo| buddy| mate| guys| everyone)?"
)
_SOUNDS = r"um+|uh+|erm?|hm+|oh|ah|yeah|ok|okay|alright|and now|now|then|so|robot"
_ASIDES = (
    r"sorry|pardon(?: me)?|quick|quickly|hurry(?: up)?|cheers|again|once (?:more|again)|right now|right|fine|sure|great|perfect"
    r"|nice|good|very good|well done|good (?:morning|afternoon|evening|day|job)|buddy|mate|dude|sir|madam|ma'am|friend|guys|there"
)
_REQUEST = rf"(?:{_WISHES}|{_VERBS}|{_ASKED})"
_HEAD = re.compile(
    rf"(?:(?:{_PLEASE}),? |{_GREETINGS}(?:[,!.:]+ ?| (?=(?:(?:{_PLEASE}|now|robot) )?{_REQUEST})| (?=now {_OWN})))"
    rf"|(?:{_SOUNDS})(?:[,.!:]+ ?| )(?={_OWN})|(?:{_ASIDES}|{_SOUNDS})[,.!:]+ ?|(?:right now|quickly|{_SOUNDS}) (?={_REQUEST})"
    rf"|(?:{_WISHES})|(?P<asked>(?:{_ASKED}):? )|(?:{_VERBS}):? ",
    re.IGNORECASE,
)
_POLITE_END = (
    rf"{_PLEASE}|for (?:me|us)|(?:thanks|thank you)(?: a lot| (?:very|so) much| in advance| again)?|thx|ty|cheers"
    r"|(?:right )?now|asap|(?:right|straight) away|immediately|at once|once (?:more|again)|one more time"
)
_TAIL = re.compile(
    rf"(?:[ ,;.!?]+(?:{_POLITE_END}|if you (?:can|could|would|please|don't mind|see (?:it|one|any))"
    r"|(?:would|will|could|can) you|(?:do|can) you see|(?:that |which )?(?:you|we|i) (?:can )?see"
    r"|(?<! is )(?<! are )(?:somewhere|anywhere|(?:over )?there|here)"
    rf"|(?:that |which )?(?:i|we) ?{_WISHED}|{_PICTURE})|, (?:that's what i want|i said|ok|okay|robot|molmo|mate|buddy|sir))+$",
    re.IGNORECASE,
)
_TO_ME = re.compile(
    r"(?<! next)(?<! close)(?<! closest)(?<! near)(?<! nearest)(?<! opposite)(?<! relative) (?:over )?to (?:me|us)$",
    re.IGNORECASE,
)
_GIVEN = re.compile(r"(?:show|giv|hand|pass|bring|point)", re.IGNORECASE)
_ASKED_TAIL = re.compile(
    r" (?:(?:there )?(?:is|are|(?:do|does|can|could|have)(?= ))"
    r"(?: (?:there|here|it|they|you|i|we|one|see|seen|find|spot|count|have|got|lie|visible|located|found|be|at|on the table))*"
    r"|lie on the table|there|located|at|up|go|gone)$",
    re.IGNORECASE,
)
_COLORED = re.compile(rf"\b({_COLOR})(?:-| )colou?red(?= )", re.IGNORECASE)
_HAS_COLOR = re.compile(rf"(?P<name>\w+)(?P<link> (?:that|which)(?:'s| is| are)| is| are) (?P<color>{_COLOR})", re.IGNORECASE)
_NO_NAME = frozenset(("not", "no", "none", "nothing", "of", "or", "and", "one", "than", "to", "all", "but"))
_OWNER = r"my|your|our"


def _determiner(more: str) -> re.Pattern[str]:
    """Compile the words before a name that mean nothing; `more` adds to them."""
    return re.compile(
        rf"(?:(?:all|every|each|any)(?: one)? of (?:(?:the|these|those{more}) )?"
        rf"|(?:all|every|each|any|some) (?!but |except |other |one )|(?:the|an?|this|that|these|those{more}) )"
        r"(?!(?:and|or|of|is|are|to|but|except|which|who)\b)(?=\S)",
        re.IGNORECASE,
    )


_DETERMINER, _DETERMINER_BUT_OWNER = _determiner(f"|{_OWNER}"), _determiner("")


def tidy_words(words: str) -> str:
    """Write words with single spaces and plain characters, without quotes around them and punctuation behind them.

    Compatibility characters such as full-width letters become plain ones. Words of punctuation alone stay.
    """
    text = " ".join(unicodedata.normalize("NFKC", words).split())
    return _without_ends(text) or text


def named_objects(words: str, *, owners: bool = False) -> str:
    """Return the names of objects in a query, as `tidy_words` writes them; never empty for words with content.

    Args:
        words: The query.
        owners: True keeps "my", "your" and "our", which are part of the name of an object that somebody taught.
    """
    text, asked, given = _without_moods(tidy_words(words)), False, False
    for _ in range(_MOST_FRAMES):
        head = _HEAD.match(_plain(text), 0, _WORTH_A_LOOK)
        rest = _without_ends(text[head.end() :].lstrip(" ,:")) if head else ""
        if head is None or not _has_words(rest):
            break
        asked = asked or head["asked"] is not None or head[0].rstrip().lower().endswith(" where")
        text, given = rest, given or _GIVEN.match(head[0]) is not None
    text = _without_tail(text, _TAIL)
    if asked:
        text = _without_tail(_without_tail(text, _ASKED_TAIL), _TAIL)
    if given:
        text = _without_tail(text, _TO_ME)
    for _ in range(2):
        determiner = (_DETERMINER_BUT_OWNER if owners else _DETERMINER).match(text)
        rest = _without_ends(text[determiner.end() :]) if determiner else ""
        text = rest if _has_words(rest) else text
    return _with_color_first(text, asked)


def _without_moods(text: str) -> str:
    """Drop smileys at either end that name nothing."""
    start, end = _MOOD_AT_START.match(text), _MOOD_AT_END.search(text, max(0, len(text) - _WORTH_A_LOOK))
    if end is not None and end["word"].lower() not in _NAMES_ITS_FACE:
        text = text[: end.end("word")]
    return _without_ends(text[start.end() :] if start else text) or text


def _with_color_first(text: str, asked: bool) -> str:
    """Write "cube that is red" and "red-colored cube" as "red cube"."""
    found = _HAS_COLOR.fullmatch(_plain(text))
    if found and found["name"].lower() not in _NO_NAME and (asked or len(found["link"].split()) > 1 or "'" in found["link"]):
        return f"{found['color']} {found['name']}"
    return _COLORED.sub(r"\1", text)


def _plain(text: str) -> str:
    """Write the typographic apostrophe as the plain one; the length stays."""
    return text.replace("’", "'")


def _without_ends(text: str) -> str:
    bare = text.rstrip(_ENDINGS)
    while len(bare) > 1 and _QUOTES.get(bare[0]) == bare[-1] and bare[0] not in bare[1:-1]:
        bare = bare[1:-1].strip().rstrip(_ENDINGS)
    return bare


def _without_tail(text: str, tail: re.Pattern[str]) -> str:
    start = max(0, len(text) - _WORTH_A_LOOK)
    found = tail.search(_plain(text), start)
    rest = _without_ends(text[: found.start()]) if found else ""
    return rest if _has_words(rest) else text


def _has_words(text: str) -> bool:
    return any(character.isalnum() for character in text)
