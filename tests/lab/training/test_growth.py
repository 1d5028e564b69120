"""A grown model answers as the small one did, where nothing new has been learnt yet."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerFast

from lab.training.growth import _resampled, _spread, grow
from lab.training.initial import SIZES, ModelSize, embedded_config, initial_model, write_preprocessor_config
from lab.training.tokenizer import train_tokenizer
from molmo_point.errors import InputError
from molmo_point.model import load_backend
from molmo_point.model.architecture.causal_lm import MolmoForCausalLM
from molmo_point.model.inputs.molmo_processor import MolmoProcessor

LINES = [" User: Where is the orange measuring tape? Assistant:", " There are none.", "Point to the red cubes"] * 50


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the small size."""
    folder = tmp_path_factory.mktemp("small")
    tokenizer = train_tokenizer(SIZES["small"].vocabulary)
    tokenizer.save_pretrained(folder)
    write_preprocessor_config(folder, SIZES["small"].layout)
    config = embedded_config(tokenizer.eos_token_id)
    config.save_pretrained(folder)
    model = initial_model(config, seed=1)
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def larger() -> PreTrainedTokenizerFast:
    """A larger vocabulary that has its words at other places."""
    return train_tokenizer(600, LINES)


def grown(size: ModelSize, tokenizer: PreTrainedTokenizerFast, folder: Path) -> MolmoForCausalLM:
    model = initial_model(embedded_config(0, size), seed=3).eval()
    grow(model, tokenizer, folder)
    return model


@pytest.fixture(scope="module")
def small(folder: Path) -> MolmoForCausalLM:
    return load_backend(folder, device="cpu").model


def test_a_model_of_the_same_size_is_taken_over_whole(small: MolmoForCausalLM, folder: Path) -> None:
    same = grown(SIZES["small"], MolmoProcessor.from_pretrained(folder).tokenizer, folder)
    blank = initial_model(same.config, seed=3).state_dict()
    for name, tensor in same.state_dict().items():
        if name.endswith(("wte.embedding", "transformer.ff_out.weight")):
            # All but the rows of tokens that only fill the table up.
            moved = (tensor != blank[name]).any(-1)
            torch.testing.assert_close(tensor[moved], small.state_dict()[name][moved].float())
        else:
            torch.testing.assert_close(tensor, small.state_dict()[name].float(), msg=name)


def test_deeper_decoder_and_other_token_numbers_change_no_answer(
    small: MolmoForCausalLM, larger: PreTrainedTokenizerFast, folder: Path
) -> None:
    deep = grown(replace(SIZES["small"], blocks=6, vocabulary=600), larger, folder)
    theirs = MolmoProcessor.from_pretrained(folder).tokenizer
    words = ["Ġthe", "4", ".", "7", "a", "Q"]
    ours, old = (torch.tensor([tokenizer.convert_tokens_to_ids(words)]) for tokenizer in (larger, theirs))
    assert not torch.equal(ours, old)
    with torch.inference_mode():
        mine, expected = deep(input_ids=ours).logits[0], small(input_ids=old).logits[0]
    torch.testing.assert_close(mine[:, ours[0]], expected[:, old[0]], atol=2e-4, rtol=1e-3)


def test_a_wider_encoder_keeps_the_old_weights_in_its_corner(
    small: MolmoForCausalLM, larger: PreTrainedTokenizerFast, folder: Path
) -> None:
    wide = grown(replace(SIZES["medium"], vocabulary=600), larger, folder).state_dict()
    old = small.state_dict()
    name = "model.vision_backbone.image_vit.transformer.resblocks.4.feed_forward.w1.weight"
    torch.testing.assert_close(wide[name][:384, :96], old[name].float())
    assert float(wide[name][:384, 96:].std()) == pytest.approx(0.1 * 128**-0.5, rel=0.1)
    assert float(wide[name][384:].std()) == pytest.approx(128**-0.5, rel=0.1)
    # The pooling reads two feature maps side by side: each keeps to its own half.
    name = "model.vision_backbone.image_pooling_2d.wv.weight"
    torch.testing.assert_close(wide[name][:96, :96], old[name][:, :96].float())
    torch.testing.assert_close(wide[name][:96, 128:224], old[name][:, 96:].float())


def test_resampled_patches_are_read_alike() -> None:
    g = torch.Generator().manual_seed(0)
    weight, patch = torch.randn(5, 3 * 144, generator=g), torch.rand(1, 3, 12, 12, generator=g)
    large = F.interpolate(patch, size=(16, 16), mode="bilinear", antialias=True)
    flat, flat_large = (p[0].permute(1, 2, 0).reshape(-1) for p in (patch, large))
    torch.testing.assert_close(_resampled(weight, 3 * 256) @ flat_large, weight @ flat, atol=1e-3, rtol=1e-3)
    assert _resampled(weight, 3 * 144) is weight


def test_added_blocks_come_early_and_apart() -> None:
    assert _spread(4, 6) == [1, 3, 4, 5]
    assert _spread(4, 4) == [0, 1, 2, 3]
    assert _spread(2, 9) == [7, 8]
    assert np.diff(_spread(4, 7)).min() >= 1


def test_a_model_does_not_shrink(larger: PreTrainedTokenizerFast, folder: Path) -> None:
    for size in (replace(SIZES["small"], blocks=3, vocabulary=600), replace(SIZES["small"], vision_width=64, vocabulary=600)):
        with pytest.raises(InputError, match="grow"):
            grown(size, larger, folder)
