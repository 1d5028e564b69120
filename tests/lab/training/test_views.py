"""Views of scenes: shards kept out, classes of the truth, questions of all topics, plain scenes among household ones."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lab.household.colors import PAINTS
from lab.training.batches import draw_batch
from lab.training.initial import LAYOUT, embedded_config, initial_model
from lab.training.lesson import POINTING
from lab.training.losses import AuxiliaryHeads, SoftTokenLoss
from lab.training.questions import Question
from lab.training.steps import pointing_losses
from lab.training.views import UNKNOWN, MixedViews, SceneViews, View, is_kept_out
from molmo_point.errors import InputError
from molmo_point.model.inputs.molmo_processor import MolmoProcessor
from molmo_point.model.inputs.preprocess import token_places
from molmo_point.sim.tabletop.objects import COLORS, SHAPES


def test_one_shard_in_twenty_five_is_kept_for_validation(household: Path) -> None:
    names = [f"shard_1_{k:04d}" for k in range(100)]
    assert [name for name in names if is_kept_out(name)] == [f"shard_1_{k:04d}" for k in (0, 25, 50, 75)]
    training, validation = SceneViews(household), SceneViews(household, validation=True)
    assert len(training) == len(validation) == 6
    pictures = [
        {view.color.tobytes() for view in map(source.shards.sample, range(6), [None] * 6)} for source in (training, validation)
    ]
    assert not pictures[0] & pictures[1]


def test_classes_are_those_of_the_truth(household: Path) -> None:
    source = SceneViews(household)
    shown = [row for row in source.shards.words.values() if not row["held_out"]]
    tables = [sorted(PAINTS), sorted({row["noun"] for row in shown})]
    assert [source.classes["color"], source.classes["noun"]] == [len(table) for table in tables]
    rng, checked = np.random.default_rng(0), 0
    for _ in range(6):
        view = source.draw(rng, augment=False)
        assert view.classes.shape == (len(view.objects), 3) and view.xy.shape == (len(view.objects), 2)
        for thing, (color, noun, _), xy in zip(view.objects, view.classes, view.xy, strict=True):
            assert tables[1][noun] == thing.noun  # type: ignore[union-attr]
            assert color == UNKNOWN or thing.colors == {tables[0][color]}  # type: ignore[union-attr]
            if thing.usable:  # type: ignore[union-attr]
                row, column = (int(v * n) for v, n in zip(xy[::-1], view.mask.shape, strict=True))
                assert view.objects[view.mask[row, column]] is thing
                checked += 1
    assert checked > 5


def test_questions_are_of_many_kinds_and_name_no_object_that_training_hides(household: Path) -> None:
    source = SceneViews(household)
    rng, kinds = np.random.default_rng(1), Counter()
    for _ in range(30):
        for question in POINTING.ask(source.draw(rng), 4, rng):
            assert isinstance(question, Question)
            kinds[question.topic] += 1
    assert {"name", "color_name", "count", "absent"} <= set(kinds)


def test_a_folder_says_what_it_holds(household: Path, scenes: Path, tmp_path: Path) -> None:
    assert list(SceneViews(household).classes) == ["color", "noun", "category"]
    assert SceneViews(scenes).classes == {"color": len(COLORS), "shape": len(SHAPES)}
    with pytest.raises(InputError, match="complete shards"):
        SceneViews(tmp_path)


def test_a_step_on_household_scenes_has_finite_losses_even_where_there_is_nothing(
    household: Path, processor: MolmoProcessor
) -> None:
    class Emptied(SceneViews):
        def draw(self, rng: np.random.Generator, augment: bool = True) -> View:
            view = super().draw(rng, augment)
            return replace(view, mask=np.full_like(view.mask, -1), classes=view.classes[:0], objects=[])

    config = embedded_config(processor.eos_id)
    torch.manual_seed(0)
    for source in (SceneViews(household), Emptied(household)):
        model, heads = initial_model(config, 0), AuxiliaryHeads(config, (1, 2), source.classes)
        batch = draw_batch(source, processor, token_places(0, 0, LAYOUT), 2, 3, np.random.default_rng(3))
        token_loss = SoftTokenLoss({c: processor.encode_text(c)[0] for c in '0123456789."'})
        losses = pointing_losses(model, heads, token_loss, batch, 1.0)
        assert {"token", "class_patch", "outline", "position", "answer", "attention", "mention"} <= set(losses)
        torch.stack(list(losses.values())).sum().backward()
        # What one worker has gradients of, all must have, whatever their pictures show.
        assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in heads.parameters())
        assert (len(batch.looks.row) == 0) == (batch.token_cells.filled.sum() == 0)


# --- Plain scenes among household scenes ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def both(household: Path, scenes: Path) -> tuple[SceneViews, SceneViews]:
    return SceneViews(household), SceneViews(scenes)


def test_a_plain_shape_has_the_classes_of_the_household_object_of_that_name(both: tuple[SceneViews, SceneViews]) -> None:
    mixed = MixedViews(*both, share=1.0)
    rng, checked, words = np.random.default_rng(3), 0, both[0].shards.words
    index = both[0]._index
    for _ in range(8):
        view = mixed.draw(rng)
        assert view.classes.shape == (len(view.objects), 3)
        for seen, (color, noun, category) in zip(view.objects, view.classes, strict=True):
            row = words[f"formula:{seen.noun}"]
            assert index["color"][next(iter(seen.colors))] == color
            assert (index["noun"][row["noun"]], index["category"][row["category"]]) == (noun, category)
            checked += 1
    assert checked > 8


def test_the_share_says_how_many_are_plain_and_each_is_asked_about_in_its_own_words(both: tuple[SceneViews, SceneViews]) -> None:
    mixed, rng = MixedViews(*both, share=0.25), np.random.default_rng(5)
    views = [mixed.draw(rng) for _ in range(200)]
    plain = [view for view in views if view.vocabulary is both[1].vocabulary]
    assert 0.15 < len(plain) / len(views) < 0.35
    topics = {q.topic for view in plain for q in POINTING.ask(view, 2, rng) if isinstance(q, Question)}
    assert topics == {"name", "color_name", "count", "absent"}
    assert len(mixed) == len(both[0]) + len(both[1])


def test_scenes_that_cannot_be_mixed_are_refused(both: tuple[SceneViews, SceneViews]) -> None:
    with pytest.raises(InputError, match="household scenes only"):
        MixedViews(both[1], both[1], 0.5)
