"""The losses of a step come from the model that ships; validation counts what it should."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from molmo_point.model.generate import Generated
from molmo_point.model.loading import load_config
from molmo_point.model.molmo import MolmoForCausalLM
from molmo_point.model.preprocess import ImageLayout, token_places
from molmo_point.model.processing import MolmoProcessor
from molmo_point.training import validation
from molmo_point.training.batches import Batch, draw_batch
from molmo_point.training.dataset import SceneShards
from molmo_point.training.initial import (
    LAYOUT,
    embedded_config,
    initial_model,
    sine_positions_2d,
    write_preprocessor_config,
)
from molmo_point.training.losses import AuxiliaryHeads, SoftTokenLoss
from molmo_point.training.packing import segment_mask
from molmo_point.training.queries import Example, draw_examples
from molmo_point.training.steps import pointing_losses, seeing_losses
from molmo_point.training.validation import hit_rate


@pytest.fixture(scope="module")
def model(processor: MolmoProcessor) -> MolmoForCausalLM:
    return initial_model(embedded_config(processor.eos_id), seed=0)


@pytest.fixture(scope="module")
def heads(model: MolmoForCausalLM) -> AuxiliaryHeads:
    torch.manual_seed(1)
    return AuxiliaryHeads(model.config, (1, 2))


@pytest.fixture(scope="module")
def token_loss(processor: MolmoProcessor) -> SoftTokenLoss:
    return SoftTokenLoss({c: processor.encode_text(c)[0] for c in '0123456789."'})


@pytest.fixture(scope="module")
def batch(shards: SceneShards, processor: MolmoProcessor) -> Batch:
    torch.manual_seed(0)
    return draw_batch(shards, processor, token_places(0, 0, LAYOUT), 2, 3, np.random.default_rng(4))


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
    assert not any(block._forward_pre_hooks for block in blocks)


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
    change: Callable[[Example], str], processor: MolmoProcessor, shards: SceneShards, monkeypatch: pytest.MonkeyPatch
) -> dict[str, float]:
    """Scores of a model that answers what ``change`` makes of the right answer."""
    asked: list[Example] = []

    def draw(*args: object) -> list[Example]:
        asked.extend(drawn := draw_examples(*args))  # type: ignore[arg-type]
        return drawn

    def answer(*_: object) -> Generated:
        tokens = processor.encode_text(f" {change(asked[-1])}")
        return Generated(tokens, [], [], finish_reason="stop", prefill_ms=1.0, decode_ms=1.0)

    monkeypatch.setattr(validation, "draw_examples", draw)
    monkeypatch.setattr(validation, "greedy", answer)
    return hit_rate(torch.nn.Linear(1, 1), processor, shards, count=40)  # type: ignore[arg-type]


def test_right_answers_score_one(processor: MolmoProcessor, shards: SceneShards, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = answered_by(lambda example: example.answer, processor, shards, monkeypatch)
    assert scores["hit_rate"] == scores["count_exact"] == scores["absent"] == 1.0
    assert scores["median_error_percent"] < 0.08


def test_wrong_answers_score_nothing(processor: MolmoProcessor, shards: SceneShards, monkeypatch: pytest.MonkeyPatch) -> None:
    corner = '<point x="0.5" y="0.5" alt="it">it</point>'
    scores = answered_by(
        lambda e: f"Counting the {corner} shows a total of 1." if len(e.targets) != 1 else corner.replace("0.5", "99.5"),
        processor, shards, monkeypatch,
    )  # fmt: skip
    assert scores["hit_rate"] < 0.1 and scores["absent"] == 0.0
    assert scores["median_error_percent"] > 20
    nothing = answered_by(lambda e: "There are none.", processor, shards, monkeypatch)
    assert nothing["hit_rate"] == 0.0 and nothing["absent"] == 1.0 and nothing["count_exact"] == 0.0
