"""Both dialects of the released config.json, and settings that no released Molmo has."""

import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.errors import StrictDataclassFieldValidationError

from molmo_point.errors import CheckpointError
from molmo_point.model.architecture.config import MolmoConfig, MolmoVisionConfig, released_config

CONFIGS = Path(__file__).parents[2] / "golden" / "configs"
CHECKPOINTS = ("molmo-7b-d-0924", "molmo-7b-o-0924", "molmo-72b-0924", "molmoe-1b-0924")
TRAINING = {"d_model": 64, "n_layers": 2, "n_heads": 4, "vocab_size": 300, "mlp_ratio": 1, "block_type": "moe"}


def released(checkpoint: str) -> dict[str, Any]:
    return json.loads((CONFIGS / f"{checkpoint}.json").read_text())


def same(a: MolmoConfig, b: MolmoConfig) -> bool:
    noise = ("_name_or_path", "transformers_version")
    first, second = ({k: v for k, v in c.to_dict().items() if k not in noise} for c in (a, b))
    return first == second


def test_the_mixture_of_experts_in_its_own_words() -> None:
    config = MolmoConfig(**released("molmoe-1b-0924"))
    assert (config.hidden_size, config.num_hidden_layers, config.head_dim) == (2048, 16, 128)
    assert (config.num_attention_heads, config.num_key_value_heads) == (16, 16)
    assert (config.intermediate_size, config.num_experts, config.num_experts_per_tok) == (2048, 64, 8)
    # the sequence, not the longer rotary table
    assert (config.max_position_embeddings, config.rope_theta, config.layer_norm_eps) == (4096, 1e4, 1e-5)
    assert (config.qkv_bias, config.attention_layer_norm, config.norm_after) == (False, True, False)
    assert (config.vocab_size, config.embedding_size, config.additional_vocab_size) == (50280, 50304, 128)


def test_dense_checkpoints_have_no_experts() -> None:
    for checkpoint in CHECKPOINTS[:3]:
        assert MolmoConfig(**released(checkpoint)).num_experts == 0
    assert MolmoConfig(**released("molmo-7b-o-0924")).num_key_value_heads == 32  # written as null


def test_vision_is_clip_unless_overridden() -> None:
    vision = MolmoConfig(**released("molmo-7b-d-0924")).vision_config
    assert isinstance(vision, MolmoVisionConfig)
    assert (vision.image_size, vision.patch_size, vision.num_hidden_layers, vision.feature_layers) == (336, 14, 23, (21, 14))
    assert (vision.hidden_size, vision.num_attention_heads, vision.intermediate_size) == (1024, 16, 4096)
    small = MolmoConfig(vision_config={"image_size": 56, "num_hidden_layers": 10}).vision_config
    assert isinstance(small, MolmoVisionConfig)
    assert (small.image_size, small.hidden_size, small.feature_layers) == (56, 1024, (8, 1))


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_saved_and_loaded_is_the_same(checkpoint: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(released(checkpoint)))
    config = MolmoConfig.from_pretrained(tmp_path)
    assert same(config, MolmoConfig(**released(checkpoint)))
    config.save_pretrained(tmp_path / "again")
    assert same(MolmoConfig.from_pretrained(tmp_path / "again"), config)
    assert "d_model" not in json.loads((tmp_path / "again" / "config.json").read_text())


def test_translating_twice_changes_nothing_more() -> None:
    data = released("molmoe-1b-0924")
    before = json.dumps(data)
    once = released_config(data)
    assert released_config(once) == once
    assert json.dumps(data) == before
    assert released_config(released("molmo-7b-d-0924")) == released("molmo-7b-d-0924")


def test_what_the_dialect_leaves_out_is_as_the_training_code_had_it() -> None:
    config = MolmoConfig(**TRAINING)
    assert (config.num_experts, config.num_experts_per_tok, config.additional_vocab_size) == (64, 8, 128)
    assert (config.qkv_bias, config.num_key_value_heads, config.embedding_size) == (False, 4, 300)
    assert (config.rope_theta, config.layer_norm_eps, config.max_position_embeddings) == (1e4, 1e-5, 4096)
    dense = MolmoConfig(**(TRAINING | {"block_type": "sequential", "mlp_hidden_size": 96, "moe_num_experts": 8}))
    assert (dense.num_experts, dense.intermediate_size) == (0, 96)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rope_impl", "interleave"), ("clip_qkv", 8.0), ("layer_norm_type", "default"), ("weight_tying", True),
        ("alibi", True), ("include_bias", True), ("moe_dropless", False), ("moe_normalize_expert_weights", 1),
        ("norm_topk_prob", True), ("image_pooling_2d", "attention"), ("vit_layers", [-1]), ("rope_scaling", {"factor": 2}),
        ("activation_type", "gelu"), ("tie_word_embeddings", True), ("moe_shared_expert", True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("checkpoint", ["molmoe-1b-0924", "molmo-7b-d-0924"])
def test_other_arithmetic_is_refused(checkpoint: str, name: str, value: Any) -> None:
    with pytest.raises(CheckpointError, match=name) as caught:
        MolmoConfig(**(released(checkpoint) | {name: value}))
    assert repr(value) in caught.value.given and caught.value.fix


@pytest.mark.parametrize(
    "changes",
    [
        {"block_type": "llama"}, {"n_layers": None}, {"hidden_size": 128}, {"moe_top_k": 65}, {"moe_top_k": 0}, {"n_heads": 5},
        {"n_kv_heads": 3}, {"n_heads": 0}, {"mlp_ratio": 0}, {"mlp_hidden_size": 95},
        {"block_type": "sequential", "mlp_ratio": None},
    ],
)  # fmt: skip
def test_settings_that_fit_no_model_are_refused(changes: dict[str, Any]) -> None:
    data = {k: v for k, v in (TRAINING | changes).items() if v is not None}
    with pytest.raises(CheckpointError) as caught:
        MolmoConfig(**data)
    assert caught.value.given and caught.value.fix


@pytest.mark.parametrize(
    "vision",
    [{"num_hidden_layers": 8}, {"image_size": 350}, {"image_size": 330}, {"patch_size": 0}, {"num_attention_heads": 15}],
)
def test_an_encoder_that_cannot_be_is_refused(vision: dict[str, int]) -> None:
    with pytest.raises(CheckpointError, match=str(next(iter(vision.values())))):
        MolmoConfig(vision_config=vision)


def test_a_value_of_the_wrong_kind_is_named() -> None:
    with pytest.raises(StrictDataclassFieldValidationError, match="hidden_size"):
        MolmoConfig(**(released("molmo-7b-d-0924") | {"hidden_size": "wide"}))
