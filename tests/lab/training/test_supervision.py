"""Supervised places of packed rows: characters of coordinates, starts of answers, mentions."""

from lab.training.questions import Question
from lab.training.supervision import supervised_places
from molmo_point.finetuning.packing import pack_examples
from molmo_point.finetuning.sample import AnswerKind, TrainingExample
from molmo_point.model.inputs.molmo_processor import MolmoProcessor


def question(prompt: str, answer: str, targets: tuple[int, ...], mentions: tuple = ()) -> Question:
    kind = AnswerKind.POINTS if targets else AnswerKind.ABSENT
    return Question(prompt, answer, kind=kind, topic="name", phrase="", targets=targets, mentions=mentions)


def test_coordinates_are_the_characters_of_the_numbers(processor: MolmoProcessor) -> None:
    answer = '<points x1="5.0" y1="100.0" x2="61.5" y2="40.4" alt="x9">x9</points>'
    plain = TrainingExample("q", "a red cube", kind=AnswerKind.CAPTION)
    examples = [plain, question("p", answer, (3, 1))]
    row = pack_examples(processor, (0, 0), examples)
    places = supervised_places(processor, row, examples)
    read: dict[tuple[int, int], str] = {}
    for place, target, axis, value, character in places.coordinates:
        key = (int(target), int(axis))
        assert character == len(read.get(key, ""))
        # The place *before* a character predicts it.
        assert row.labels[place] == row.input_ids[place + 1]
        read[key] = read.get(key, "") + processor.decode([int(row.labels[place])])
        assert value == round(float({(3, 0): "5.0", (3, 1): "100.0", (1, 0): "61.5", (1, 1): "40.4"}[key]) * 10)
    assert read == {(3, 0): "5.0", (3, 1): "100.0", (1, 0): "61.5", (1, 1): "40.4"}


def test_real_tokenizer_gives_one_place_a_character(processor: MolmoProcessor) -> None:
    answer = '<point x="61.5" y="100.0" alt="red cube">red cube</point>'
    examples = [question("Point to the red cube", answer, (0,))]
    row = pack_examples(processor, (0, 0), examples)
    places = supervised_places(processor, row, examples)
    text = "".join(processor.decode([int(row.labels[place])]) for place in places.coordinates[:, 0])
    assert text == "61.5100.0"
    targets = row.labels[row.labels >= 0].tolist()
    assert targets[-1] == processor.eos_id
    assert processor.decode(targets) == f" {answer}"
    assert row.weights[row.weights > 0].tolist() == [1.0] * len(targets)
    # The answer begins at the last place of the prompt.
    assert places.looks.tolist() == [[int((row.labels >= 0).argmax()), 0]]


def test_mentions_end_where_the_words_do(processor: MolmoProcessor) -> None:
    near = question(
        "Point to the red cube left of the red ball", "There are none.", (), mentions=(("red ball", (2, 4)), ("red cube", (0,)))
    )
    examples = [question("Point to it", "There are none.", ()), near]
    row = pack_examples(processor, (0, 0), examples)
    places = supervised_places(processor, row, examples)
    assert places.mentions[:, 1].tolist() == [2, 4, 0]
    for place, target in places.mentions:
        told = processor.decode(row.input_ids[: place + 1].tolist())
        assert told.endswith("the red cube" if target == 0 else "left of the red ball")
        assert row.segments[place] == 2
