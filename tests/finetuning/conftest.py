"""A small random Molmo of 7B-D's architecture, and a few labels of small pictures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from molmo_point.backend import resolve_checkpoint
from molmo_point.finetuning.run_file import parse_settings
from molmo_point.finetuning.run_settings import TuneSettings
from molmo_point.model.architecture.causal_lm import MolmoForCausalLM
from molmo_point.model.architecture.config import MolmoConfig
from molmo_point.model.inputs.molmo_processor import MolmoProcessor
from molmo_point.model.inputs.preprocess import ImageLayout

LAYOUT = ImageLayout(crop_px=56, patch_px=14, margin_patches=0, max_crops=2)


@pytest.fixture(scope="session")
def processor() -> MolmoProcessor:
    """The small tokenizer of an embedded model."""
    return MolmoProcessor.from_pretrained(resolve_checkpoint("tabletop"))


@pytest.fixture(scope="session")
def base(processor: MolmoProcessor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder: grouped-query attention, biases, two high-resolution crops, as 7B-D has them."""
    folder = tmp_path_factory.mktemp("base") / "molmo"
    torch.manual_seed(5)
    config = MolmoConfig(
        vocab_size=1024, embedding_size=1024, additional_vocab_size=8, hidden_size=64, intermediate_size=128,
        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512,
        initializer_range=0.1, eos_token_id=processor.eos_id,
        vision_config={"image_size": 56, "patch_size": 14, "hidden_size": 32, "num_attention_heads": 4,
                       "num_hidden_layers": 9, "intermediate_size": 64},
    )  # fmt: skip
    MolmoForCausalLM(config).save_pretrained(folder)
    MolmoProcessor(processor.tokenizer, LAYOUT).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures, each with points, a thing that is not there, a caption and a question."""
    folder = tmp_path_factory.mktemp("labels")
    rng, rows = np.random.default_rng(1), []
    for k in range(6):
        name = f"{k}.png"
        Image.fromarray(rng.integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(folder / name)
        rows += [
            {"image": name, "label": "red cubes", "points": [{"x": 10.0 * k, "y": 50.0}, {"x": 5.0, "y": 7.0}]},
            {"image": name, "label": "cats", "points": []},
            {"image": name, "caption": "A red cube on a table."},
            {"image": name, "question": "What colour is it?", "answer": "red", "style": "vqa2"},
        ]
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def settings(base: Path, labels: Path, out: Path, **changes: Any) -> TuneSettings:
    """A run of two steps of captions and two of pointing, each saved."""
    values = {
        "base": str(base), "out": str(out), "data": [{"path": str(labels)}], "batch": 2, "annotations": 3, "check_every": 2,
        "check_images": 0, "device": "cpu", "validation_share": 0.0, "seed": 3,
        "stages": [{"stage": "caption", "images": 4, "rates": {"connector": 2e-3, "vision": 1e-3, "language": 1e-3}},
                   {"stage": "point", "images": 4, "rates": {"connector": 1e-3, "vision": 0, "language": 1e-3}}],
    }  # fmt: skip
    return parse_settings(TuneSettings, {**values, **changes} | {"check_images": changes.get("check_images", 1)}, "test")
