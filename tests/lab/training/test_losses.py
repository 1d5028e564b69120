"""Soft targets of digits, and the losses against sums written out by hand."""

import math

import numpy as np
import pytest
import torch

from lab.training.batches import Batch, draw_batch
from lab.training.initial import LAYOUT, embedded_config
from lab.training.losses import (
    AuxiliaryHeads,
    CoordinatePlaces,
    LookPlaces,
    SoftTokenLoss,
    attention_loss,
    digit_distance_table,
    soft_coordinate_table,
    soft_digits,
)
from lab.training.views import UNKNOWN, SceneViews
from molmo_point.model.inputs.molmo_processor import MolmoProcessor
from molmo_point.model.inputs.preprocess import token_places
from molmo_point.sim.tabletop.objects import COLORS, SHAPES

CHARACTERS = '0123456789."'
CLASSES = {"color": len(COLORS), "shape": len(SHAPES)}
TABLE = soft_coordinate_table()


def places_of(row: list[int], place: list[int], value: list[int], character: list[int], tokens: torch.Tensor) -> CoordinatePlaces:
    return CoordinatePlaces(*(torch.tensor(v) for v in (row, place, value, character)), torch.zeros(len(row), 2), tokens)


@pytest.fixture(scope="module")
def batch(source: SceneViews, processor: MolmoProcessor) -> Batch:
    torch.manual_seed(0)
    return draw_batch(source, processor, token_places(0, 0, LAYOUT), 4, 4, np.random.default_rng(8))


# --- Soft digits ------------------------------------------------------------------------------------------------


def test_every_used_row_is_a_distribution() -> None:
    assert TABLE.shape == (1001, 5, 12)
    assert TABLE.min() >= 0
    for value in range(1001):
        length = len(f"{value / 10:.1f}")
        np.testing.assert_allclose(TABLE[value, :length].sum(-1), 1, atol=1e-6)
        assert (TABLE[value, length:] == 0).all()


@pytest.mark.parametrize("value", [0, 7, 95, 99, 100, 104, 400, 615, 699, 999, 1000])
def test_a_digit_is_conditional_on_the_digits_before_it(value: int) -> None:
    text = f"{value / 10:.1f}"
    for place in range(len(text)):
        expected = dict.fromkeys(CHARACTERS, 0.0)
        for other in range(1001):
            candidate = f"{other / 10:.1f}"
            if abs(other - value) <= 16 and candidate.startswith(text[:place]) and len(candidate) > place:
                expected[candidate[place]] += math.exp(-((other - value) ** 2) / 32)
        total = sum(expected.values())
        for k, character in enumerate(CHARACTERS):
            assert TABLE[value, place, k] == pytest.approx(expected[character] / total, abs=1e-6), (text, place, character)


def test_the_true_tenth_is_most_likely_and_the_first_digit_may_go_either_way() -> None:
    assert TABLE[615, 3].argmax() == 5
    assert TABLE[615, 0, 6] == pytest.approx(1, abs=2e-4)
    assert 0.3 < TABLE[599, 0, 6] < 0.5 < TABLE[599, 0, 5]
    assert soft_coordinate_table(0.01)[599, 0, 5] == 1


def test_soft_positions_are_distributions_around_the_truth() -> None:
    xy = torch.tensor([[0.0, 0.123], [0.5, 0.999], [1.0, 0.345]])
    tens, ones = soft_digits(xy)
    assert tens.shape == (3, 2, 11) and ones.shape == (3, 2, 10)
    torch.testing.assert_close(tens.sum(-1), torch.ones(3, 2))
    torch.testing.assert_close(ones.sum(-1), torch.ones(3, 2))
    assert tens.argmax(-1)[0].tolist() == [0, 1] and ones.argmax(-1)[0].tolist() == [0, 2]
    assert tens.argmax(-1)[2, 1] == 3 and ones.argmax(-1)[2, 1] == 4


# --- Token loss -------------------------------------------------------------------------------------------------


def test_sharp_soft_targets_are_the_labels(batch: Batch, processor: MolmoProcessor) -> None:
    """Where the value is certain, the soft target of every place is the label of that place."""
    ids = {c: processor.encode_text(c)[0] for c in CHARACTERS}
    loss = SoftTokenLoss(ids)
    loss.table = torch.from_numpy(soft_coordinate_table(0.01))
    p = batch.places
    assert len(p.row) > 20
    target = loss.ids[loss.table[p.value, p.character].argmax(-1)]
    torch.testing.assert_close(target, batch.labels[p.row, p.place])
    logits = torch.randn(*batch.labels.shape, 512, generator=torch.Generator().manual_seed(3))
    plain = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch.labels.flatten(), reduction="none")
    # The first token of every answer, the one after a place without loss, weighs eight times as much.
    begins = (batch.weights > 0) & (torch.nn.functional.pad(batch.weights, (1, 0))[:, :-1] == 0)
    assert int(begins.sum()) >= len(batch.weights)
    weights = torch.where(begins, 8 * batch.weights, batch.weights).flatten()
    expected = (plain * weights).sum() / weights.sum()
    torch.testing.assert_close(loss(logits, batch.labels, batch.weights, p), expected)


def test_the_soft_loss_prefers_a_near_digit_to_a_far_one(processor: MolmoProcessor) -> None:
    loss = SoftTokenLoss({c: k for k, c in enumerate(CHARACTERS)})
    labels, weights = torch.tensor([[5]]), torch.ones(1, 1)
    places = places_of([0], [0], [615], [3], torch.zeros(1, 4))

    def of(digit: int) -> float:
        logits = torch.zeros(1, 1, 12)
        logits[0, 0, digit] = 4.0
        return float(loss(logits, labels, weights, places))

    assert of(5) < of(4) < of(3) < of(0)
    exact = torch.log(loss.table[615, 3].clamp(min=1e-9))[None, None]
    entropy = float(-(loss.table[615, 3] * exact[0, 0]).sum())
    assert float(loss(exact, labels, weights, places)) == pytest.approx(entropy, abs=1e-4)


@pytest.mark.parametrize(
    ("value", "character", "digit", "percent"),
    [(615, 0, 6, 0), (615, 0, 5, 1.5), (615, 0, 7, 8.5), (615, 0, 0, 10), (615, 1, 1, 0), (615, 1, 0, 0.5), (615, 1, 4, 2.5),
     (615, 2, 3, 0), (615, 3, 9, 0), (53, 0, 5, 0), (53, 0, 7, 1.7), (1000, 0, 4, 0)],
)  # fmt: skip
def test_distances_of_digits(value: int, character: int, digit: int, percent: float) -> None:
    assert digit_distance_table()[value, character, digit] == pytest.approx(percent, abs=1e-5)


def test_the_expected_distance_tells_far_digits_apart_and_coordinates_may_weigh_more() -> None:
    ids = {c: k for k, c in enumerate(CHARACTERS)}
    labels, weights = torch.tensor([[5, 6, 9]]), torch.ones(1, 3)
    places = places_of([0], [1], [615], [0], torch.zeros(1, 4))

    def of(digit: int, **options: float) -> float:
        logits = torch.zeros(1, 3, 12)
        logits[0, 1, digit] = 9.0
        return float(SoftTokenLoss(ids, **options)(logits, labels, weights, places))

    # Cross-entropy cannot tell a tens digit that is next to the place from one that is far away.
    assert of(5) == pytest.approx(of(2), abs=1e-3)
    assert of(2, distance_weight=0.2) > of(5, distance_weight=0.2) + 0.1
    assert of(6, distance_weight=0.2) == pytest.approx(of(6), abs=0.02)
    assert of(2, coordinate_weight=4.0) > 1.3 * of(2)


# --- Auxiliary losses -------------------------------------------------------------------------------------------


def test_attention_loss_by_hand() -> None:
    g = torch.Generator().manual_seed(4)
    q, k = torch.randn(1, 5, 8, generator=g), torch.randn(1, 5, 8, generator=g)
    allowed = torch.ones(5, 5, dtype=torch.bool).tril()[None, None]
    share = torch.tensor([[0.25, 0.75, 0.0]])
    got = attention_loss(q, k, allowed, LookPlaces(torch.tensor([0]), torch.tensor([3]), share), torch.tensor([0, 1, 2]))
    scores = [float(q[0, 3] @ k[0, j]) / math.sqrt(8) for j in range(4)]
    total = math.log(sum(math.exp(s) for s in scores))
    assert float(got) == pytest.approx(-(0.25 * (scores[0] - total) + 0.75 * (scores[1] - total)), abs=1e-5)
    # A key that may not be seen does not matter; one that may does.
    k[0, 4] += 100
    again = attention_loss(q, k, allowed, LookPlaces(torch.tensor([0]), torch.tensor([3]), share), torch.tensor([0, 1, 2]))
    assert float(again) == pytest.approx(float(got))


@pytest.fixture(scope="module")
def heads() -> AuxiliaryHeads:
    torch.manual_seed(1)
    return AuxiliaryHeads(embedded_config(0), (1,), CLASSES)


def test_right_classes_cost_nothing_and_empty_cells_weigh_a_quarter(heads: AuxiliaryHeads) -> None:
    classes, filled = torch.tensor([[[2, 1], [len(COLORS), len(SHAPES)]]]), torch.tensor([[True, False]])
    right = torch.full((1, 2, len(COLORS) + len(SHAPES) + 2), -30.0)
    for cell in range(2):
        color, shape = classes[0, cell].tolist()
        right[0, cell, color] = right[0, cell, len(COLORS) + 1 + shape] = 30.0
    assert float(heads.class_loss(right, classes, filled)) == pytest.approx(0, abs=1e-5)
    wrong_object, wrong_empty = right.clone(), right.clone()
    wrong_object[0, 0], wrong_empty[0, 1] = 0.0, 0.0
    of_object = float(heads.class_loss(wrong_object, classes, filled))
    of_empty = float(heads.class_loss(wrong_empty, classes, filled))
    assert of_object == pytest.approx(4 * of_empty, rel=1e-4)
    assert of_object == pytest.approx((math.log(len(COLORS) + 1) + math.log(len(SHAPES) + 1)) / 1.25, rel=1e-4)


def test_what_is_not_known_of_an_object_is_not_taught(heads: AuxiliaryHeads) -> None:
    scores = torch.randn(1, 2, len(COLORS) + len(SHAPES) + 2, generator=torch.Generator().manual_seed(2))
    classes, filled = torch.tensor([[[UNKNOWN, 1], [3, 2]]]), torch.ones(1, 2, dtype=torch.bool)
    split = len(COLORS) + 1
    color = torch.nn.functional.cross_entropy(scores[0, 1:, :split], torch.tensor([3]))
    shape = torch.nn.functional.cross_entropy(scores[0, :, split:], torch.tensor([1, 2]))
    torch.testing.assert_close(heads.class_loss(scores, classes, filled), color + shape)
    nothing = torch.full((1, 2, 2), UNKNOWN)
    assert float(heads.class_loss(scores, nothing, filled)) == 0.0


def test_without_anything_in_view_the_losses_are_zero_and_so_are_the_gradients(heads: AuxiliaryHeads) -> None:
    heads.zero_grad(set_to_none=True)
    vectors, features = torch.zeros(1, 3, 160), torch.zeros(1, 3, 192)
    empty = torch.zeros(1, 3, dtype=torch.bool)
    none = places_of([], [], [], [], torch.zeros(0, 3))
    none = CoordinatePlaces(*(t.long() for t in (none.row, none.place, none.value, none.character)), none.xy, none.tokens)
    queries = torch.zeros(1, 3, 8, requires_grad=True)
    losses = [
        heads.position_loss(vectors, torch.zeros(1, 3, 2), empty),
        heads.outline_loss(features, torch.zeros(1, 3, 5), empty),
        heads.answer_loss(vectors, none),
        attention_loss(
            queries,
            queries,
            torch.ones(1, 1, 3, 3, dtype=torch.bool),
            LookPlaces(none.row, none.place, none.tokens),
            torch.arange(3),
        ),
    ]
    assert [float(loss.detach()) for loss in losses] == [0.0] * 4
    torch.stack(losses).sum().backward()
    for layer in (heads.position, heads.outline, heads.answer):
        # Without a gradient on one worker the workers' sums would not fit together.
        assert layer.weight.grad is not None and float(layer.weight.grad.abs().sum()) == 0.0


def test_position_and_answer_losses_fall_when_the_position_is_right(heads: AuxiliaryHeads) -> None:
    vectors = torch.zeros(1, 3, 160)
    filled = torch.tensor([[True, False, True]])
    xy = torch.tensor([[[0.2, 0.8], [9.0, 9.0], [0.2, 0.8]]])
    with torch.no_grad():
        heads.position.weight.zero_()
        heads.position.bias.zero_()
        far = float(heads.position_loss(vectors, xy, filled))
        heads.position.bias.view(2, 22)[:, 0] = torch.tensor([0.2, 0.8])
        near = float(heads.position_loss(vectors, xy, filled))
    assert far - near > 1
    places = CoordinatePlaces(*(torch.tensor([0]) for _ in range(4)), torch.tensor([[0.2, 0.8]]), torch.zeros(1, 3))
    with torch.no_grad():
        heads.answer.weight.zero_()
        heads.answer.bias.copy_(torch.tensor([0.2, 0.8]))
        assert float(heads.answer_loss(vectors, places)) == pytest.approx(0, abs=1e-9)
        heads.answer.bias.copy_(torch.tensor([0.8, 0.2]))
        assert float(heads.answer_loss(vectors, places)) > 1
