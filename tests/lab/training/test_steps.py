"""The losses of a step come from the model that ships; validation counts what it should."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lab.training import checks
from lab.training.batches import Batch, draw_batch
from lab.training.checks import seeing_scores, topic_scores
from lab.training.initial import (
    LAYOUT,
    embedded_config,
    initial_model,
    sine_positions_2d,
    write_preprocessor_config,
)
from lab.training.losses import AuxiliaryHeads, SoftTokenLoss
from lab.training.steps import pointing_losses, seeing_losses
from lab.training.views import SceneViews
from molmo_point.backend import Prompt
from molmo_point.finetuning.packing import segment_mask
from molmo_point.finetuning.sample import TrainingExample, TrainingSample
from molmo_point.model.architecture.causal_lm import MolmoForCausalLM
from molmo_point.model.architecture.config import load_config
from molmo_point.model.inputs.molmo_processor import MolmoProcessor
from molmo_point.model.inputs.preprocess import ImageLayout, token_places

CLASSES = {"color": 8, "shape": 4}


@pytest.fixture(scope="module")
def model(processor: MolmoProcessor) -> MolmoForCausalLM:
    return initial_model(embedded_config(processor.eos_id), seed=0)


@pytest.fixture(scope="module")
def heads(model: MolmoForCausalLM) -> AuxiliaryHeads:
    torch.manual_seed(1)
    return AuxiliaryHeads(model.config, (1, 2), CLASSES)


@pytest.fixture(scope="module")
def token_loss(processor: MolmoProcessor) -> SoftTokenLoss:
    return SoftTokenLoss({c: processor.encode_text(c)[0] for c in '0123456789."'})


@pytest.fixture(scope="module")
def batch(source: SceneViews, processor: MolmoProcessor) -> Batch:
    torch.manual_seed(0)
    return draw_batch(source, processor, token_places(0, 0, LAYOUT), 2, 3, np.random.default_rng(4))


def test_the_token_loss_is_that_of_the_shipped_forward_pass(
    model: MolmoForCausalLM, heads: AuxiliaryHeads, token_loss: SoftTokenLoss, batch: Batch
) -> None:
    with torch.no_grad():
        logits = model(
            input_ids=batch.input_ids,
            attention_mask=segment_mask(batch.segments),
            position_ids=batch.position_ids,
            images=batch.images,
            image_masks=batch.image_masks,
            image_input_idx=batch.image_input_idx,
        ).logits
        expected = token_loss(logits, batch.labels, batch.weights, batch.places)
        full = pointing_losses(model, heads, token_loss, batch, 1.0)
        tenth = pointing_losses(model, heads, token_loss, batch, 0.1)
    assert float(full["token"]) == pytest.approx(float(expected), abs=1e-4)
    assert {"answer", "attention", "position"} <= set(full)
    for name, value in full.items():
        scale = 1.0 if name == "token" else 0.1
        assert float(tenth[name]) == pytest.approx(scale * float(value), rel=1e-3)
    blocks = model.model.transformer["blocks"]
    assert not any(block._forward_pre_hooks for block in blocks.children())


def test_each_phase_reaches_its_parameters(
    model: MolmoForCausalLM, heads: AuxiliaryHeads, token_loss: SoftTokenLoss, batch: Batch
) -> None:
    def reached(losses: dict[str, torch.Tensor]) -> set[str]:
        model.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        return {n for n, p in model.named_parameters() if p.grad is not None and torch.isfinite(p.grad).all()}

    everything = {n for n, _ in model.named_parameters()}
    unused = {n for n in everything if "resblocks.8." in n}
    # The crop's mask row is −1 everywhere, so pad_embed takes part by its second row.
    assert reached(seeing_losses(model, heads, batch)) == {n for n in everything - unused if "vision_backbone" in n}
    assert reached(pointing_losses(model, heads, token_loss, batch, 1.0)) == everything - unused
    model.zero_grad(set_to_none=True)


# --- Before training --------------------------------------------------------------------------------------------


def test_the_embedded_model_is_small_dense_and_decided_by_its_seed(model: MolmoForCausalLM, tmp_path: Path) -> None:
    assert 2e6 < sum(p.numel() for p in model.parameters()) < 4e6
    same, other = (initial_model(model.config, seed).state_dict() for seed in (0, 1))
    assert all(torch.equal(tensor, same[name]) for name, tensor in model.state_dict().items())
    assert not torch.equal(same["model.transformer.ff_out.weight"], other["model.transformer.ff_out.weight"])
    model.config.save_pretrained(tmp_path)
    assert load_config(tmp_path).to_dict() == model.config.to_dict()
    write_preprocessor_config(tmp_path)
    assert ImageLayout.from_folder(tmp_path) == LAYOUT


def test_sine_positions_tell_rows_and_columns_apart() -> None:
    table = sine_positions_2d(20, 96)
    assert (table.shape, table.dtype) == ((400, 96), np.float32)
    assert np.abs(table).max() <= 1
    grid = table.reshape(20, 20, 96)
    np.testing.assert_array_equal(grid[3, :, 48:], np.broadcast_to(grid[3, 0, 48:], (20, 48)))
    np.testing.assert_array_equal(grid[:, 3, :48], np.broadcast_to(grid[0, 3, :48], (20, 48)))
    away = table[1:] - table[:-1]  # neighbours are the hardest to tell apart
    assert np.linalg.norm(away, axis=-1).min() > 0.1


# --- Validation -------------------------------------------------------------------------------------------------


def answered_by(
    answer: str | None, processor: MolmoProcessor, source: SceneViews, monkeypatch: pytest.MonkeyPatch
) -> dict[str, float]:
    """Scores of a model that always gives one answer, or the right one for None."""
    asked: dict[str, TrainingExample] = {}
    samples = checks._samples

    class Backend:
        def __init__(self, *_: object) -> None: ...

        def complete(self, pixels: np.ndarray, prompt: Prompt, limits: object) -> SimpleNamespace:
            return SimpleNamespace(text=f" {answer or asked[prompt.text].answer}")

    def kept(views: SceneViews) -> Iterator[TrainingSample]:
        for sample in samples(views):
            asked.update({example.prompt: example for example in sample.examples})
            yield sample

    monkeypatch.setattr(checks, "_samples", kept)
    monkeypatch.setattr(checks, "MolmoBackend", Backend)
    return topic_scores(torch.nn.Linear(1, 1), processor, source, most=12)  # type: ignore[arg-type]


def test_right_answers_score_one(processor: MolmoProcessor, source: SceneViews, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = answered_by(None, processor, source, monkeypatch)
    assert scores["name"] == scores["color_name"] == scores["count"] == scores["absent"] == 1.0
    assert np.isnan(scores["relation"])  # plain scenes have no such questions


def test_wrong_answers_score_nothing(processor: MolmoProcessor, source: SceneViews, monkeypatch: pytest.MonkeyPatch) -> None:
    corner = '<point x="0.5" y="99.5" alt="it">it</point>'
    scores = answered_by(corner, processor, source, monkeypatch)
    assert scores["name"] < 0.1 and scores["color_name"] < 0.1 and scores["absent"] == 0.0


def test_none_is_right_only_where_nothing_is(
    processor: MolmoProcessor, source: SceneViews, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = answered_by("There are none.", processor, source, monkeypatch)
    assert nothing["name"] == 0.0 and nothing["absent"] == 1.0 and nothing["count"] == 0.0


def test_what_the_vision_tells_is_counted_by_read_out(
    model: MolmoForCausalLM, heads: AuxiliaryHeads, processor: MolmoProcessor, source: SceneViews
) -> None:
    places = token_places(0, 0, LAYOUT)
    state = torch.get_rng_state()
    one, two = (seeing_scores(model, heads, source, processor, places, count=6) for _ in range(2))
    assert one == two and set(one) == {"see_color", "see_shape"}
    assert torch.equal(state, torch.get_rng_state())
    with torch.no_grad():
        batch = draw_batch(source, processor, places, 6, 1, np.random.default_rng(checks._SEED))
        shares = batch.token_cells.classes[batch.token_cells.filled]
        kept = heads.token.weight.clone(), heads.token.bias.clone()
        heads.token.weight.zero_()
        heads.token.bias.zero_()
        heads.token.bias[4] = 1.0  # every token is said to be blue
        blue = seeing_scores(model, heads, source, processor, places, count=6)
        heads.token.weight.copy_(kept[0])
        heads.token.bias.copy_(kept[1])
    assert blue["see_color"] == pytest.approx(float((shares[:, 0] == 4).float().mean()), abs=1e-3)
