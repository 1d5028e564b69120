"""Cautions in words: for a line, for a picture, and for programs."""

import json

from molmo_point.cautions import Caution, CautionKind

MUG = Caution(CautionKind.UNKNOWN_WORDS, "'mgu' is no word that scripted knows.", ("mgu",), "red cube")


def test_a_line_holds_the_kind_the_message_and_the_suggestion():
    assert str(MUG) == "UNKNOWN_WORDS: 'mgu' is no word that scripted knows; did you mean 'red cube'?"
    assert str(Caution(CautionKind.POOR_IMAGE, "the image is dark")) == "POOR_IMAGE: the image is dark"


def test_a_picture_gets_a_few_words():
    assert MUG.brief == "unknown words: mgu"
    assert Caution(CautionKind.UNFAMILIAR_IMAGE, "a long message").brief == "unfamiliar image"


def test_json_holds_every_field():
    plain = json.loads(json.dumps(MUG.to_dict()))
    assert plain == {"kind": "UNKNOWN_WORDS", "message": MUG.message, "words": ["mgu"], "suggestion": "red cube"}
