"""What people do with a model of transformers: adapters, merging, offloading, sharding, sampling."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from molmo_point.errors import CheckpointError, InputError
from molmo_point.model import Molmo, default_quantization
from molmo_point.model.checkpoint.quantization import check_quantized, quantized_modules

try:
    import peft
except ImportError as error:
    pytest.skip(f"peft cannot be imported: {error}", allow_module_level=True)
try:
    import bitsandbytes
except ImportError as error:  # there is no wheel for some machines
    bitsandbytes, WHY_NOT = None, f"bitsandbytes cannot be imported: {error}"
else:
    WHY_NOT = ""

needs_bitsandbytes = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
DECODER = r".*blocks\.\d+\.(att_proj|attn_out|ff_proj|ff_out|mlp\.experts\.\d+\.\w+_proj)"
"""The decoder's matrices, without vision tower, connector, router and head."""


def lora(model: Any, **options: Any) -> Any:
    torch.manual_seed(7)
    settings: dict[str, Any] = {"r": 4, "lora_alpha": 8, "target_modules": DECODER, "task_type": "CAUSAL_LM"}
    return peft.get_peft_model(model, peft.LoraConfig(**(settings | options)))


def batch(case: Any) -> dict[str, torch.Tensor]:
    labels = case.inputs["input_ids"].clone()
    labels[:, :20] = -100
    return {**case.inputs, "labels": labels}


def train(model: Any, inputs: dict[str, torch.Tensor], steps: int = 8) -> list[float]:
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    losses = []
    for _ in range(steps):
        loss = model(**inputs).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss))
    model.eval()
    return losses


def logits_of(model: Any, case: Any) -> torch.Tensor:
    with torch.inference_mode():
        return model(**case.inputs).logits


def saved(case: Any, folder: Path) -> Path:
    case.model().save_pretrained(folder)
    return folder


@pytest.mark.parametrize("flavor", ["qwen2", "olmo", "olmoe"])
def test_an_adapter_learns_is_saved_loaded_merged_and_loaded_again(
    golden: Callable[[str], Any], tmp_path: Path, flavor: str
) -> None:
    case = golden(flavor)
    base = saved(case, tmp_path / "base")
    model = lora(Molmo.from_pretrained(base))
    adapted = {name.split(".lora_")[0] for name, p in model.named_parameters() if p.requires_grad}
    assert len(adapted) == (8 if flavor != "olmoe" else 2 * (2 + 8 * 3))
    assert not any("vision" in name or name.endswith(("mlp.gate", "transformer.ff_out")) for name in adapted)
    losses = train(model, batch(case))
    assert losses[-1] < 0.8 * losses[0]
    trained = logits_of(model, case)
    assert float((trained - case.logits).abs().max()) > 0.1

    model.save_pretrained(tmp_path / "adapter")
    again = peft.PeftModel.from_pretrained(Molmo.from_pretrained(base), tmp_path / "adapter").eval()
    torch.testing.assert_close(logits_of(again, case), trained, rtol=0, atol=1e-5)
    direct = Molmo.from_pretrained(tmp_path / "adapter")
    torch.testing.assert_close(logits_of(direct, case), trained, rtol=0, atol=1e-5)

    merged = again.merge_and_unload()
    assert type(merged) is Molmo
    merged.save_pretrained(tmp_path / "merged")
    last = Molmo.from_pretrained(tmp_path / "merged")
    assert set(last.state_dict()) == set(case.model().state_dict())
    torch.testing.assert_close(logits_of(last, case), trained, rtol=0, atol=2e-4)


def test_the_base_below_an_adapter_is_read_strictly(golden: Callable[[str], Any], tmp_path: Path) -> None:
    case = golden("qwen2")
    base = saved(case, tmp_path / "base")
    lora(Molmo.from_pretrained(base)).save_pretrained(tmp_path / "adapter")
    model = case.model()
    state = model.state_dict()
    state.pop("model.transformer.ln_f.weight")
    model.save_pretrained(base, state_dict=state)
    with pytest.raises(CheckpointError, match=r"transformer\.ln_f\.weight"):
        Molmo.from_pretrained(tmp_path / "adapter")


@needs_bitsandbytes
@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_an_adapter_over_a_quantized_base(golden: Callable[[str], Any], tmp_path: Path, kind: str) -> None:
    case = golden("qwen2")
    base = Molmo.from_pretrained(
        saved(case, tmp_path), dtype=torch.float32, quantization_config=default_quantization(kind, torch.float32)
    )
    logits_of(base, case)
    model = lora(peft.prepare_model_for_kbit_training(base))
    losses = train(model, batch(case), steps=4)
    assert losses[-1] < losses[0]
    check_quantized(model.get_base_model())
    assert len(quantized_modules(model)) == 8
    trained = logits_of(model, case)
    merged = model.merge_and_unload()
    # merging rounds the sum once more
    off = float((logits_of(merged, case) - trained).norm() / trained.norm())
    assert off < (0.5 if kind == "nf4" else 0.05)


def test_checkpointed_gradients_are_the_gradients(golden: Callable[[str], Any]) -> None:
    case = golden("qwen2")
    gradients = []
    for checkpointed in (False, True):
        model = case.model().train()
        if checkpointed:
            model.gradient_checkpointing_enable()
            assert model.is_gradient_checkpointing
        model(**batch(case)).loss.backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=0, atol=1e-6)


# --- Where the weights lie --------------------------------------------------------------------------------------


@pytest.mark.parametrize("device_map", ["auto", "cpu", {"": "cpu"}])
def test_device_maps(golden: Callable[[str], Any], tmp_path: Path, device_map: Any) -> None:
    pytest.importorskip("accelerate")
    case = golden("olmoe")
    model = Molmo.from_pretrained(saved(case, tmp_path), device_map=device_map)
    torch.testing.assert_close(logits_of(model, case), case.logits, rtol=0, atol=1e-4)


@pytest.mark.parametrize("flavor", ["qwen2", "olmoe"])
def test_blocks_on_disk(golden: Callable[[str], Any], tmp_path: Path, flavor: str) -> None:
    pytest.importorskip("accelerate")
    case = golden(flavor)
    places = {
        "model.vision_backbone": "cpu", "model.transformer.wte": "cpu", "model.transformer.blocks.0": "disk",
        "model.transformer.blocks.1": "cpu", "model.transformer.ln_f": "cpu", "model.transformer.ff_out": "disk",
    }  # fmt: skip
    model = Molmo.from_pretrained(saved(case, tmp_path / "model"), device_map=places, offload_folder=tmp_path / "offload")
    assert model.model.transformer["blocks"][0].attn_out.weight.device.type == "meta"
    torch.testing.assert_close(logits_of(model, case), case.logits, rtol=0, atol=1e-4)


@pytest.mark.parametrize("flavor", ["qwen2", "olmo", "olmoe"])
def test_shards(golden: Callable[[str], Any], tmp_path: Path, flavor: str) -> None:
    case = golden(flavor)
    case.model().save_pretrained(tmp_path, max_shard_size="200KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    assert torch.equal(logits_of(Molmo.from_pretrained(tmp_path), case), logits_of(case.model(), case))


# --- The rest of transformers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{"do_sample": True, "top_p": 0.9}, {"num_beams": 3}, {"num_beams": 2, "num_return_sequences": 2}]
)
def test_sampling_and_beams(golden: Callable[[str], Any], options: dict[str, Any]) -> None:
    case = golden("qwen2")
    torch.manual_seed(3)
    out = case.model().generate(**case.inputs, max_new_tokens=5, pad_token_id=0, **options)
    rows = options.get("num_return_sequences", 1)
    assert out.shape == (rows, 45)
    assert torch.equal(out[:, :40], case.inputs["input_ids"].expand(rows, -1))


def test_a_beam_is_at_least_as_likely_as_the_greedy_answer(golden: Callable[[str], Any]) -> None:
    case = golden("qwen2")
    model = case.model()

    def likelihood(tokens: torch.Tensor) -> float:
        with torch.inference_mode():
            logits = model(**(case.inputs | {"input_ids": tokens})).logits[0, 39:-1]
        return float(logits.log_softmax(-1)[torch.arange(5), tokens[0, 40:]].sum())

    greedy, beam = (model.generate(**case.inputs, max_new_tokens=5, do_sample=False, num_beams=n, pad_token_id=0) for n in (1, 8))
    assert likelihood(beam) >= likelihood(greedy) - 1e-4


def test_resizing_the_embeddings_is_refused(golden: Callable[[str], Any]) -> None:
    model = golden("qwen2").model()
    assert model.resize_token_embeddings() is model.resize_token_embeddings(320) is model.get_input_embeddings()
    with pytest.raises(InputError, match="321"):
        model.resize_token_embeddings(321)
