"""Drafts of the next tokens: from the answer format, all ten digits, and the last answer.

A continuation is tokenized after the last tokens of the answer; if the tokenizer would join the two, it is dropped.
"""

from collections.abc import Callable, Sequence

from molmo_point.model.decoding.templates import LABEL_START, ExpectedAnswer, continuations, follow_last_answer
from molmo_point.model.decoding.token_tree import ROOT, TokenTree

_ANCHOR_TOKENS = 3
_LONGEST_TEXT = 4000


class Drafter:
    """Source of drafts for one answer.

    Args:
        encode: Function from text to token ids, without added tokens; should cache its results.
        decode_token: Function from a token id to its text.
        request: Expected form of the answer.
        digit_ids: Ids of "0" to "9" if numbers are written digit by digit; else empty.
        last_answer: Text of an earlier answer to the same question; empty without one.
        fans: True drafts all ten digits of a place: passes become wider and fewer.
        template: True drafts the format of the answer.
        limit: Largest number of drafted tokens in a pass.
    """

    def __init__(
        self,
        encode: Callable[[str], Sequence[int]],
        decode_token: Callable[[int], str],
        request: ExpectedAnswer,
        digit_ids: Sequence[int] = (),
        last_answer: str = "",
        fans: bool = True,
        template: bool = True,
        limit: int = 64,
    ) -> None:
        self._encode = lambda text: tuple(encode(text))
        self._decode_token = decode_token
        self._request = request
        self._digit_ids = tuple(digit_ids)
        self._last_answer = last_answer[:_LONGEST_TEXT]
        self._fans = fans and bool(self._digit_ids)
        self._template = template
        self._limit = limit

    @property
    def room(self) -> int:
        """Largest number of nodes of a draft."""
        return self._limit + (len(self._encode(self._last_answer)) if self._last_answer else 0)

    def draft(self, ids: Sequence[int], text: str) -> TokenTree:
        """Draft the next tokens after the tokens of the answer so far and their text."""
        followed = follow_last_answer(text, self._last_answer) if self._last_answer else ""
        # The first pass is a prefill; an unchanged answer must fit into it completely.
        tree = TokenTree(self._limit if ids else self.room)
        anchor = "".join(self._decode_token(token) for token in ids[-_ANCHOR_TOKENS:])
        anchor_ids = tuple(ids[-_ANCHOR_TOKENS:])
        if followed:
            tree.add(self._tokens(anchor, anchor_ids, followed))
        if not self._template:
            return tree
        expected = continuations(text, self._request)
        for continuation in expected.texts:
            chain = self._tokens(anchor, anchor_ids, continuation)
            end = tree.add(chain)
            self._note_label(tree, chain, continuation)
            if self._fans and chain and continuation.endswith('="'):
                for digit in self._digit_ids:
                    tree.add((digit,), end)
        if self._fans and expected.digits == 1:
            # Most numbers have two digits: after the first any digit may follow, then the dot.
            for digit in self._digit_ids:
                tree.add((digit, *self._encode(".")), ROOT)
        elif self._fans and expected.digits == 2:
            self._fan_tenths(tree, ids, text, self._encode("."))
        elif self._fans and expected.tenth:
            self._fan_tenths(tree, ids, text, ())
        return tree

    def _note_label(self, tree: TokenTree, chain: Sequence[int], continuation: str) -> None:
        """Note the node after which the drafted labels begin, if they begin in this chain."""
        before, alt, _ = continuation.partition(LABEL_START)
        if not alt or tree.label_start is not None:
            return
        node, text = ROOT, ""
        for token in chain:
            child, text = tree.child(node, token), text + self._decode_token(token)
            if child is None or len(text) > len(before + alt):
                return
            node = child
            if text == before + alt:
                tree.label_start = node
                return

    def _fan_tenths(self, tree: TokenTree, ids: Sequence[int], text: str, dot: Sequence[int]) -> None:
        """Add the dot if it is next, all ten decimals, and the text from each to the next number."""
        known = (*ids, *dot, self._digit_ids[0])[-_ANCHOR_TOKENS:]
        anchor = "".join(self._decode_token(token) for token in known)
        after = continuations(text + (".0" if dot else "0"), self._request)
        rests = [rest for rest in after.texts if rest.endswith('="')]
        chain = self._tokens(anchor, known, rests[0]) if rests else ()
        for digit in self._digit_ids:
            tree.add((*dot, digit, *chain), ROOT)

    def _tokens(self, anchor: str, anchor_ids: tuple[int, ...], text: str) -> tuple[int, ...]:
        """Tokenize ``text`` after the anchor; empty if the tokenizer joins the two."""
        n = len(anchor_ids)
        if text.endswith('="'):
            # A digit follows; the part common to both tokenizations does not depend on it.
            one, other = self._encode(anchor + text + "1"), self._encode(anchor + text + "7")
            shared = 0
            while shared < min(len(one), len(other)) and one[shared] == other[shared]:
                shared += 1
            whole = one[:shared]
        else:
            whole = self._encode(anchor + text)
        return whole[n:] if whole[:n] == anchor_ids else ()
