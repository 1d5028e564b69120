"""Golden models of the official code, and a tiny checkpoint folder of our own."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from molmo_point.model.architecture.causal_lm import MolmoForCausalLM
from molmo_point.model.architecture.config import MolmoConfig
from molmo_point.model.checkpoint.tensor_names import released_name, state_in_memory
from molmo_point.model.inputs.molmo_processor import IMAGE_TOKENS

GOLDEN = Path(__file__).parents[1] / "golden"
TINY_VISION = {
    "image_size": 56, "patch_size": 14, "hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 10,
    "intermediate_size": 64,
}  # fmt: skip


@dataclass(frozen=True)
class Golden:
    """What the official code was given and what it gave."""

    config: MolmoConfig
    state: dict[str, torch.Tensor]
    inputs: dict[str, torch.Tensor]
    logits: torch.Tensor
    facts: dict[str, Any]

    def model(self, config: MolmoConfig | None = None) -> MolmoForCausalLM:
        """A fresh model that holds copies of the official weights."""
        model = MolmoForCausalLM(config or self.config).eval()
        model.load_state_dict({name: tensor.clone() for name, tensor in self.state.items()}, strict=True)
        return model


def golden_config(llm: dict[str, Any], **changes: Any) -> MolmoConfig:
    """Our configuration of the official one, whose names are those of MolmoE's config.json."""
    return MolmoConfig(**(llm | {"vision_config": dict(TINY_VISION)} | changes))


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Golden]:
    """``golden("qwen2")``, ``golden("olmo")`` or ``golden("olmoe")``."""
    return _golden


def _golden(flavor: str) -> Golden:
    tensors = load_file(GOLDEN / f"{flavor}.safetensors")
    facts = json.loads((GOLDEN / f"{flavor}.json").read_text())
    config = golden_config(facts["llm"])
    return Golden(
        config=config,
        state=state_in_memory({k[3:]: v for k, v in tensors.items() if k.startswith("sd.")}, config.num_experts),
        inputs={k[3:]: v for k, v in tensors.items() if k.startswith("in.")},
        logits=tensors["logits"],
        facts=facts,
    )


@pytest.fixture(scope="session")
def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, then the end of text (256) and Molmo's image tokens (257 …)."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken(t, special=True, normalized=False) for t in ("<|endoftext|>", *IMAGE_TOKENS, "<|image|>")]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>", clean_up_tokenization_spaces=False)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: PreTrainedTokenizerFast) -> Path:
    """A complete checkpoint folder in the released layout, random weights; never changed."""
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    torch.manual_seed(5)
    config = MolmoConfig(
        vocab_size=257, embedding_size=257, additional_vocab_size=8, hidden_size=32, intermediate_size=64,
        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
        initializer_range=0.2, eos_token_id=256, vision_config=dict(TINY_VISION),
    )  # fmt: skip
    MolmoForCausalLM(config).save_pretrained(folder)
    byte_tokenizer.save_pretrained(folder)
    settings = json.loads((GOLDEN / "molmo-7b-d" / "preprocessor_config.json").read_text())
    settings |= {"base_image_input_size": [56, 56], "overlap_margins": [0, 0], "max_crops": 2}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture
def tiny_folder(tmp_path: Path, tiny_checkpoint: Path) -> Path:
    """A copy of `tiny_checkpoint` that the test may change."""
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "tiny"))


@pytest.fixture
def tiny_moe_folder(tiny_folder: Path) -> Path:
    """A tiny MolmoE as that is released: its own names for settings and tensors, in two ``.bin`` shards."""
    config = {
        "model_type": "molmo", "architectures": ["MolmoForCausalLM"], "block_type": "moe", "d_model": 32, "n_heads": 4,
        "n_kv_heads": None, "n_layers": 2, "mlp_ratio": 1, "mlp_hidden_size": None, "moe_num_experts": 4, "moe_top_k": 2,
        "vocab_size": 257, "embedding_size": 264, "additional_vocab_size": 8, "attention_layer_norm": True,
        "rope_theta": 1e4, "layer_norm_eps": 1e-5, "max_sequence_length": 256, "vision_config": dict(TINY_VISION),
        "auto_map": {"AutoConfig": "config_molmoe.MolmoConfig", "AutoModelForCausalLM": "modeling_molmoe.MolmoForCausalLM"},
    }  # fmt: skip
    folder = tiny_folder.rename(tiny_folder.with_name("tiny-moe"))
    (folder / "model.safetensors").unlink()
    (folder / "config.json").write_text(json.dumps(config))
    torch.manual_seed(6)
    model = MolmoForCausalLM(MolmoConfig(**config))
    state = {released_name(name, 4): torch.randn_like(tensor) * 0.1 for name, tensor in model.state_dict().items()}
    shards: dict[str, dict[str, torch.Tensor]] = {f"pytorch_model-0000{i}-of-00002.bin": {} for i in (1, 2)}
    for position, name in enumerate(state):
        shards[f"pytorch_model-0000{1 + (position > len(state) // 2)}-of-00002.bin"][name] = state[name]
    for file, tensors in shards.items():
        torch.save(tensors, folder / file)
    weight_map = {name: file for file, tensors in shards.items() for name in tensors}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return folder
