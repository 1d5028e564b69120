"""A checkpoint of Molmo v1 that is small enough to time in tests."""

import json
import shutil
from pathlib import Path

import torch

TABLETOP = Path(__file__).parents[1] / "molmo_point" / "checkpoints" / "tabletop"


def write_tiny_checkpoint(folder: Path) -> Path:
    """Write a checkpoint with random weights, the embedded tokenizer and crops of 56 pixels; return its folder."""
    from molmo_point.model.architecture.causal_lm import MolmoForCausalLM
    from molmo_point.model.architecture.config import MolmoConfig

    torch.manual_seed(1)
    vision = {"image_size": 56, "hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 9, "intermediate_size": 32}
    config = MolmoConfig(
        vocab_size=1024, embedding_size=1024, additional_vocab_size=8, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512, initializer_range=0.2, vision_config=vision,
    )  # fmt: skip
    MolmoForCausalLM(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "processor_config.json"):
        shutil.copy(TABLETOP / name, folder)
    settings = json.loads((TABLETOP / "preprocessor_config.json").read_text())
    settings |= {"base_image_input_size": [56, 56], "image_patch_size": 14, "overlap_margins": [0, 0], "max_crops": 2}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder
