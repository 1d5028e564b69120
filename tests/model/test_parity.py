"""The official logits, and those of transformers' CLIP, Qwen2, OLMo2 and OLMoE with our weights carried over."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    Olmo2Config,
    Olmo2ForCausalLM,
    OlmoeConfig,
    OlmoeForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from molmo_point.model.architecture import language, vision
from molmo_point.model.architecture.causal_lm import MolmoForCausalLM
from molmo_point.model.architecture.config import MolmoConfig, MolmoVisionConfig
from molmo_point.model.architecture.connector import VisionBackbone

FLAVORS = ("qwen2", "olmo", "olmoe")
GOAL = 3e-5  # far below the 1e-4 that is promised; measured 1.3e-6
BROKEN = 1e-3  # a broken model is off by at least this much


def error(golden: Any, model: MolmoForCausalLM | None = None, **changed: torch.Tensor) -> float:
    """Largest difference from the official logits."""
    with torch.inference_mode():
        logits = (model or golden.model())(**(golden.inputs | changed)).logits
    return float((logits - golden.logits).abs().max())


@pytest.mark.parametrize("flavor", FLAVORS)
def test_official_logits(golden: Callable[[str], Any], flavor: str) -> None:
    case = golden(flavor)
    with torch.inference_mode():
        logits = case.model()(**case.inputs).logits
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, case.logits, rtol=0, atol=GOAL)
    assert float(logits.double().abs().sum()) == pytest.approx(case.facts["abs_sum_float64"], abs=1e-3)
    assert logits[0, -1, :5].tolist() == pytest.approx(case.facts["last_logits_first5"], abs=GOAL)


def test_official_greedy_tokens(golden: Callable[[str], Any]) -> None:
    case = golden("qwen2")
    out = case.model().generate(**case.inputs, max_new_tokens=5, do_sample=False)
    assert out[0, 40:].tolist() == [8, 224, 8, 224, 181]


@pytest.mark.parametrize("flavor", FLAVORS)
def test_the_golden_case_reaches_every_branch(golden: Callable[[str], Any], flavor: str) -> None:
    case = golden(flavor)
    assert set(case.inputs["image_masks"].unique().tolist()) == {-1.0, 0.0, 0.5, 1.0}
    assert bool((case.inputs["image_input_idx"] < 0).any())


# --- Broken models are noticed ----------------------------------------------------------------------------------


def _swap_halves(weight: torch.Tensor) -> None:
    weight.copy_(torch.cat(weight.chunk(2)[::-1]))


def _swap(a: torch.Tensor, b: torch.Tensor) -> None:
    kept = a.clone()
    a.copy_(b)
    b.copy_(kept)


WEIGHT_BREAKS: dict[str, tuple[str, Callable[[Any], None]]] = {
    "up and gate swapped": ("qwen2", lambda m: _swap_halves(m.transformer["blocks"][0].ff_proj.weight)),
    "keys and values swapped": ("qwen2", lambda m: _swap_halves(m.transformer["blocks"][0].att_proj.weight[64:])),
    "queries and keys swapped": ("olmo", lambda m: _swap_halves(m.transformer["blocks"][0].att_proj.weight[:128])),
    "biases of keys and values swapped": ("qwen2", lambda m: _swap_halves(m.transformer["blocks"][1].att_proj.bias[64:])),
    "query and key norms swapped": (
        "olmo",
        lambda m: _swap(m.transformer["blocks"][0].q_norm.weight, m.transformer["blocks"][0].k_norm.weight),
    ),
    "norms of the block swapped": (
        "olmo",
        lambda m: _swap(m.transformer["blocks"][0].attn_norm.weight, m.transformer["blocks"][0].ff_norm.weight),
    ),
    "query and key norms of a mixture swapped": (
        "olmoe",
        lambda m: _swap(m.transformer["blocks"][1].q_norm.weight, m.transformer["blocks"][1].k_norm.weight),
    ),
    "padding rows swapped": ("qwen2", lambda m: _swap_halves(m.vision_backbone.pad_embed)),
    "projector gate swapped": (
        "qwen2",
        lambda m: _swap(m.vision_backbone.image_projector.w1.weight, m.vision_backbone.image_projector.w3.weight),
    ),
    "pooling keys and values swapped": (
        "qwen2",
        lambda m: _swap(m.vision_backbone.image_pooling_2d.wk.weight, m.vision_backbone.image_pooling_2d.wv.weight),
    ),
    "class position moved to the end": (
        "qwen2",
        lambda m: m.vision_backbone.image_vit.positional_embedding.copy_(
            m.vision_backbone.image_vit.positional_embedding.roll(-1, 0)
        ),
    ),
}


@pytest.mark.parametrize("name", WEIGHT_BREAKS)
def test_misread_weights_are_noticed(golden: Callable[[str], Any], name: str) -> None:
    flavor, break_it = WEIGHT_BREAKS[name]
    case = golden(flavor)
    model = case.model()
    with torch.no_grad():
        break_it(model.model)
    assert error(case, model) > BROKEN


def _interleaved(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    turned = torch.stack([-x[..., 1::2], x[..., 0::2]], -1).flatten(-2)
    half = cos.shape[-1] // 2
    return x * cos[..., :half].repeat_interleave(2, -1) + turned * sin[..., :half].repeat_interleave(2, -1)


def _first_of_window(self: VisionBackbone, features: torch.Tensor) -> torch.Tensor:
    side, width = self.vision.patches_per_side, features.shape[-1]
    windows = features.view(-1, side // 2, 2, side // 2, 2, width).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, width)
    return self.image_pooling_2d(windows[:, :1], windows).view(features.shape[0], -1, width // 2)


_encode = vision.VisionTransformer.forward


def _early_features_first(self: vision.VisionTransformer, patches: torch.Tensor) -> torch.Tensor:
    return torch.cat(_encode(self, patches).chunk(2, -1)[::-1], -1)


CODE_BREAKS: dict[str, tuple[Any, str, Any]] = {
    "feature layers swapped": (vision.VisionTransformer, "forward", _early_features_first),
    "a feature layer later": (MolmoVisionConfig, "feature_layers", property(lambda c: (9, 1))),
    "interleaved rotation": (language, "apply_rotary", _interleaved),
    "plain GELU": (vision, "quick_gelu", torch.nn.functional.gelu),
    "pooling with the first patch": (VisionBackbone, "pool", _first_of_window),
    "gate without SiLU": (
        language.DecoderBlock,
        "feed_forward",
        lambda self, x: self.ff_out(torch.mul(*self.ff_proj(x).chunk(2, -1))),
    ),
}


@pytest.mark.parametrize("name", CODE_BREAKS)
def test_other_arithmetic_is_noticed(golden: Callable[[str], Any], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, attribute, replacement = CODE_BREAKS[name]
    monkeypatch.setattr(where, attribute, replacement)
    assert error(golden("qwen2")) > BROKEN


@pytest.mark.parametrize(
    ("flavor", "changes"),
    [
        ("qwen2", {"rope_theta": 10_000.0}),
        ("olmo", {"norm_after": False}),
        ("olmo", {"rope_theta": 1_000_000.0}),
        ("qwen2", {"layer_norm_eps": 1e-4}),
        ("olmoe", {"norm_after": True}),
        ("olmoe", {"rope_theta": 500_000.0}),
        ("olmoe", {"num_experts_per_tok": 3}),
    ],
)
def test_another_configuration_is_noticed(golden: Callable[[str], Any], flavor: str, changes: dict[str, Any]) -> None:
    case = golden(flavor)
    values = case.config.to_dict() | changes
    assert error(case, case.model(MolmoConfig(**values))) > BROKEN


def test_shifted_inputs_are_noticed(golden: Callable[[str], Any]) -> None:
    case = golden("qwen2")
    places, masks = case.inputs["image_input_idx"], case.inputs["image_masks"]
    assert error(case, image_input_idx=torch.where(places >= 0, places + 1, places)) > BROKEN
    assert error(case, image_masks=masks.roll(1, 1)) > BROKEN
    assert error(case, images=case.inputs["images"].flip(1)) > BROKEN
    assert error(case, attention_mask=torch.ones(1, 40).index_fill_(1, torch.tensor([3]), 0)) > BROKEN


def test_the_last_vision_block_is_never_used(golden: Callable[[str], Any]) -> None:
    case = golden("qwen2")
    model = case.model()
    with torch.no_grad():
        for parameter in model.model.vision_backbone.image_vit.transformer.resblocks[-1].parameters():
            parameter.fill_(float("nan"))
    assert error(case, model) < GOAL


# --- Parts against transformers' own ----------------------------------------------------------------------------


def clip_with_weights_of(vit: vision.VisionTransformer) -> CLIPVisionModel:
    config = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=10, num_attention_heads=4, image_size=56,
        patch_size=14, hidden_act="quick_gelu", layer_norm_eps=1e-5,
    )  # fmt: skip
    state = {
        "embeddings.class_embedding": vit.class_embedding,
        "embeddings.position_embedding.weight": vit.positional_embedding,
        "embeddings.patch_embedding.weight": vit.patch_embedding.weight.view(32, 14, 14, 3).permute(0, 3, 1, 2),
        "pre_layrnorm.weight": vit.pre_ln.weight,
        "pre_layrnorm.bias": vit.pre_ln.bias,
    }
    names = {
        "attention.wq": "self_attn.q_proj", "attention.wk": "self_attn.k_proj", "attention.wv": "self_attn.v_proj",
        "attention.wo": "self_attn.out_proj", "attention_norm": "layer_norm1", "ffn_norm": "layer_norm2",
        "feed_forward.w1": "mlp.fc1", "feed_forward.w2": "mlp.fc2",
    }  # fmt: skip
    for index, block in enumerate(vit.transformer.resblocks):
        for ours, theirs in names.items():
            for kind in ("weight", "bias"):
                state[f"encoder.layers.{index}.{theirs}.{kind}"] = block.get_parameter(f"{ours}.{kind}")
    clip = CLIPVisionModel(config).eval()
    prefix = "vision_model." if any(k.startswith("vision_model.") for k in clip.state_dict()) else ""
    report = clip.load_state_dict({prefix + k: v.detach() for k, v in state.items()}, strict=False)
    assert not report.unexpected_keys
    assert all("post_layernorm" in key or "position_ids" in key for key in report.missing_keys)
    return clip


def test_vision_matches_clip(golden: Callable[[str], Any]) -> None:
    vit = golden("qwen2").model().model.vision_backbone.image_vit
    clip = clip_with_weights_of(vit)
    pixels = torch.randn(2, 3, 56, 56, generator=torch.Generator().manual_seed(1))
    patches = pixels.view(2, 3, 4, 14, 4, 14).permute(0, 2, 4, 3, 5, 1).reshape(2, 16, 588)
    with torch.inference_mode():
        states = clip(pixel_values=pixels, output_hidden_states=True).hidden_states
        ours = vit(patches)
    # hidden_states[0] is what enters block 0: block 8 of 10 is 9, block 1 is 2.
    torch.testing.assert_close(ours, torch.cat([states[9][:, 1:], states[2][:, 1:]], -1), rtol=0, atol=1e-5)
    assert float((ours - torch.cat([states[10][:, 1:], states[2][:, 1:]], -1)).abs().max()) > BROKEN


def dense_state(block: Any, at: str) -> dict[str, torch.Tensor]:
    up, gate = block.ff_proj.weight.chunk(2)
    return {
        f"{at}.mlp.up_proj.weight": up, f"{at}.mlp.gate_proj.weight": gate, f"{at}.mlp.down_proj.weight": block.ff_out.weight,
    }  # fmt: skip


def expert_state(mixture: Any, at: str) -> dict[str, torch.Tensor]:
    """OLMoE packs its experts: gate above up."""
    return {
        f"{at}.mlp.gate.weight": mixture.gate.weight,
        f"{at}.mlp.experts.gate_up_proj": torch.stack(
            [torch.cat([e.gate_proj.weight, e.up_proj.weight]) for e in mixture.experts]
        ),
        f"{at}.mlp.experts.down_proj": torch.stack([e.down_proj.weight for e in mixture.experts]),
    }


def decoder_state(model: MolmoForCausalLM) -> dict[str, torch.Tensor]:
    """Our weights under the names that Qwen2, OLMo2 and OLMoE have in common."""
    inner, config = model.model, model.config
    state = {
        "model.embed_tokens.weight": inner.transformer["wte"].embedding,
        "model.norm.weight": inner.transformer["ln_f"].weight,
        "lm_head.weight": inner.transformer["ff_out"].weight,
    }
    first, second = ("input", "post_attention") if not config.norm_after else ("post_attention", "post_feedforward")
    for index, block in enumerate(inner.transformer["blocks"]):
        at = f"model.layers.{index}"
        state[f"{at}.{first}_layernorm.weight"] = block.attn_norm.weight
        state[f"{at}.{second}_layernorm.weight"] = block.ff_norm.weight
        state[f"{at}.self_attn.o_proj.weight"] = block.attn_out.weight
        state |= expert_state(block.mlp, at) if config.num_experts else dense_state(block, at)
        for kind in ("weight", "bias") if config.qkv_bias else ("weight",):
            parts = block.att_proj.get_parameter(kind).split(block.split)
            state |= {f"{at}.self_attn.{n}_proj.{kind}": part for n, part in zip("qkv", parts, strict=True)}
        if config.attention_layer_norm:
            state[f"{at}.self_attn.q_norm.weight"] = block.q_norm.weight
            state[f"{at}.self_attn.k_norm.weight"] = block.k_norm.weight
    return {name: tensor.detach() for name, tensor in state.items()}


@pytest.mark.parametrize("flavor", FLAVORS)
def test_decoder_matches_transformers(golden: Callable[[str], Any], flavor: str) -> None:
    case = golden(flavor)
    model = case.model()
    config = model.config
    sizes: dict[str, Any] = {
        "vocab_size": 320, "hidden_size": 64, "intermediate_size": config.intermediate_size // 2, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": config.num_key_value_heads, "rms_norm_eps": config.layer_norm_eps,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "tie_word_embeddings": False, "pad_token_id": None, "eos_token_id": None,
    }  # fmt: skip
    if flavor == "qwen2":
        theirs: Any = Qwen2ForCausalLM(Qwen2Config(**sizes))
    elif flavor == "olmo":
        theirs = Olmo2ForCausalLM(Olmo2Config(**sizes))
    else:
        theirs = OlmoeForCausalLM(OlmoeConfig(**sizes, num_experts=8, num_experts_per_tok=2, norm_topk_prob=False))
    theirs.eval().load_state_dict(decoder_state(model), strict=True)
    ids = torch.randint(0, 320, (2, 33), generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        expected, ours = theirs(input_ids=ids).logits, model(input_ids=ids).logits
    torch.testing.assert_close(ours, expected, rtol=0, atol=GOAL)
    with torch.no_grad():
        if flavor == "olmoe":
            expert = model.model.transformer["blocks"][1].mlp.experts[3]
            _swap(expert.up_proj.weight, expert.gate_proj.weight)
        else:
            _swap_halves(model.model.transformer["blocks"][1].ff_proj.weight)
    with torch.inference_mode():
        assert float((model(input_ids=ids).logits - expected).abs().max()) > BROKEN


# --- What the golden vectors do not reach ------------------------------------------------------------------------


def test_added_tokens_take_their_rows_after_the_base_table(golden: Callable[[str], Any]) -> None:
    embedding = golden("qwen2").model().model.transformer["wte"]
    ids = torch.tensor([[0, 319, 320, 321, 447]])
    joined = torch.cat([embedding.embedding, embedding.new_embedding])
    torch.testing.assert_close(embedding(ids), joined[ids], rtol=0, atol=0)
