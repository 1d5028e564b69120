"""The small tokenizer takes the steps of the released one, so that decoding is the same work."""

import pytest
from transformers import PreTrainedTokenizerFast

from lab.training import tokenizer as module
from lab.training.tokenizer import END_TOKEN, train_tokenizer
from molmo_point.model.inputs.molmo_processor import IMAGE_TOKENS

# What the released Molmo-7B-D tokenizer makes of ` <point x="61.5" y="40.4" alt="`.
RELEASED = [
    "Ġ<", "point", "Ġx", '="', "6", "1", ".", "5", '"', "Ġy", '="', "4", "0", ".", "4", '"', "Ġalt", '="', "red",
]  # fmt: skip
RELEASED_MANY = ["Ġ<", "points", "Ġx", "1", '="', "5", ".", "0", '"', "Ġy", "1", '="', "1", "0", "0", ".", "0", '"']
CLOSING = ["</", "point", ">"]


def test_one_point_is_cut_like_the_released_one(tokenizer: PreTrainedTokenizerFast) -> None:
    pieces = tokenizer.tokenize(' <point x="61.5" y="40.4" alt="red mug">red mug</point>')
    assert pieces[: len(RELEASED)] == RELEASED
    assert pieces[-3:] == CLOSING
    assert '">' in pieces


def test_many_points_are_cut_like_the_released_one(tokenizer: PreTrainedTokenizerFast) -> None:
    text = ' Counting the <points x1="5.0" y1="100.0" x2="50.0" y2="10.0" alt="cubes">cubes</points> shows a total of 2.'
    pieces = tokenizer.tokenize(text)
    start = pieces.index("Ġ<")
    assert pieces[start : start + len(RELEASED_MANY)] == RELEASED_MANY
    assert pieces[-3:] == ["Ġ", "2", "."]
    assert tokenizer.tokenize(" There are none.") == ["ĠThere", "Ġare", "Ġnone", "."]


@pytest.mark.parametrize("text", ["12", "3.14", " 100.0", "99,5"])
def test_every_digit_is_a_token(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    pieces = tokenizer.tokenize(text)
    assert all(len(piece) == 1 for piece in pieces)


def test_image_tokens_stand_right_after_the_base_table(tokenizer: PreTrainedTokenizerFast) -> None:
    assert tokenizer.convert_tokens_to_ids(list(IMAGE_TOKENS)) == [512, 513, 514, 515]
    assert len(tokenizer) == 517
    assert tokenizer.eos_token == END_TOKEN
    assert tokenizer.eos_token_id == 0


@pytest.mark.parametrize(
    "text",
    [
        ' <point x="61.5" y="40.4" alt="red mug">red mug</point>',
        " User: wo ist der rote Würfel? Assistant:",
        "赤い\n\n  x\t🙂",
        " ,  . !",
    ],
)
def test_any_text_survives(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    ids = tokenizer.encode(text, add_special_tokens=False)
    assert max(ids) < 512
    assert tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False) == text


def test_training_it_again_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CORPUS_SCENES", 150)
    first, second = train_tokenizer(400), train_tokenizer(400)
    assert first.get_vocab() == second.get_vocab()
    assert first.convert_tokens_to_ids("<im_start>") == 400
