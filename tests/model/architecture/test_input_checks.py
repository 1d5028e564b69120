"""What ``forward`` refuses and how it says so; what labels mean."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from transformers import DynamicCache

from molmo_point.errors import InputError

Change = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture(scope="module")
def case(golden: Callable[[str], Any]) -> Any:
    return golden("qwen2")


@pytest.fixture(scope="module")
def model(case: Any) -> Any:
    return case.model()


def dropped(*names: str) -> Change:
    return lambda inputs: {k: v for k, v in inputs.items() if k not in names}


def changed(**changes: Callable[[torch.Tensor], Any]) -> Change:
    return lambda inputs: inputs | {name: change(inputs[name]) for name, change in changes.items()}


def added(**tensors: Any) -> Change:
    return lambda inputs: inputs | tensors


REFUSALS: dict[str, tuple[Change, str]] = {
    "nothing at all": (lambda _: {}, "neither input_ids nor inputs_embeds"),
    "ids without a batch": (changed(input_ids=lambda t: t[0]), r"input_ids\[None\]"),
    "ids that are no integers": (changed(input_ids=torch.Tensor.float), "float32"),
    "no ids": (changed(input_ids=lambda t: t[:, :0]), r"\(1, 0\)"),
    "an id beyond the vocabulary": (changed(input_ids=lambda t: t.index_fill(1, torch.tensor([5]), 448)), "must be below 448"),
    "images without masks": (dropped("image_masks"), "without image_masks"),
    "images without places": (dropped("image_input_idx"), "without image_input_idx"),
    "masks without images": (dropped("images"), "image_masks, image_input_idx without images"),
    "an image without a batch": (changed(images=lambda t: t[0]), r"images\[None\]"),
    "masks of fewer crops": (changed(image_masks=lambda t: t[:, :2]), r"image_masks .*\(1, 3, 16\).*\(1, 2, 16\)"),
    "places of more crops": (
        changed(image_input_idx=lambda t: torch.cat([t, t], 1)),
        r"image_input_idx .*\(1, 3, 4\).*\(1, 6, 4\)",
    ),
    "another patch size": (changed(images=lambda t: t[..., :-3]), "585"),
    "another crop size": (changed(images=lambda t: t[:, :, :9]), r"\(1, 3, 16, 588\).*\(1, 3, 9, 588\)"),
    "another batch": (changed(images=lambda t: t.repeat(2, 1, 1, 1)), r"\(1, 3, 16, 588\).*\(2, 3, 16, 588\)"),
    "pixels that are not normalized": (changed(images=torch.Tensor.byte), "uint8"),
    "places that are no integers": (changed(image_input_idx=torch.Tensor.float), "float32"),
    "a place beyond the sequence": (changed(input_ids=lambda t: t[:, :8]), "must be below 8"),
    "a mask of another length": (added(attention_mask=torch.ones(1, 39)), r"\(1, 39\) for 1 rows of 0 cached and 40"),
    "a mask that is too long": (added(attention_mask=torch.ones(1, 41)), r"\(1, 41\)"),
    "a mask of another batch": (added(attention_mask=torch.ones(2, 40)), r"\(2, 40\)"),
    "a pattern of another length": (added(attention_mask=torch.ones(1, 1, 40, 39).bool()), r"\(1, 1, 40, 39\)"),
    "a pattern for every head": (added(attention_mask=torch.ones(1, 4, 40, 40).bool()), r"\(1, 4, 40, 40\)"),
    "a mask of three dimensions": (added(attention_mask=torch.ones(1, 40, 40)), r"\(1, 40, 40\)"),
    "positions of another length": (added(position_ids=torch.arange(39)[None]), r"\(1, 39\)"),
    "ids and embeddings": (added(inputs_embeds=torch.zeros(1, 40, 64)), "both"),
    "labels of another length": (added(labels=torch.zeros(1, 39, dtype=torch.long)), r"\(1, 39\), not \(1, 40\)"),
    "labels for a part": (added(labels=torch.zeros(1, 40, dtype=torch.long), logits_to_keep=2), "logits_to_keep"),
    "labels beyond the head": (added(labels=torch.full((1, 40), 320)), "must be below 320"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_inputs_that_do_not_belong_together_are_refused(case: Any, model: Any, name: str) -> None:
    change, message = REFUSALS[name]
    with pytest.raises(InputError, match=message) as caught, torch.inference_mode():
        model(**change(case.inputs))
    assert caught.value.given and caught.value.fix


def test_a_mask_that_forgets_the_cache_is_refused(case: Any, model: Any) -> None:
    cache, ids = DynamicCache(config=model.config), case.inputs["input_ids"]
    with torch.inference_mode():
        model(input_ids=ids[:, :30], past_key_values=cache)
        with pytest.raises(InputError, match="30 cached and 10 new"):
            model(input_ids=ids[:, 30:], attention_mask=torch.ones(1, 10), past_key_values=cache)


def test_generate_refuses_the_same_way(case: Any, model: Any) -> None:
    with pytest.raises(InputError, match="without image_masks"):
        model.generate(**dropped("image_masks")(case.inputs), max_new_tokens=2)


def test_embeddings_stand_for_ids_and_image(case: Any, model: Any) -> None:
    with torch.inference_mode():
        embedded = model.model.embed(**case.inputs)
        logits = model(inputs_embeds=embedded).logits
    torch.testing.assert_close(logits, case.logits, rtol=0, atol=3e-5)


def test_a_tuple_is_returned_where_it_is_asked_for(case: Any, model: Any) -> None:
    with torch.inference_mode():
        first, *_ = model(**case.inputs, return_dict=False)
    torch.testing.assert_close(first, case.logits, rtol=0, atol=3e-5)


# --- Labels -----------------------------------------------------------------------------------------------------


def test_labels_are_compared_with_the_logits_before_them(golden: Callable[[str], Any]) -> None:
    for flavor in ("qwen2", "olmoe"):
        case = golden(flavor)
        model, ids = case.model(), case.inputs["input_ids"]
        out = model(**case.inputs, labels=ids)
        expected = F.cross_entropy(case.logits[0, :-1], ids[0, 1:])
        assert float(out.loss.detach()) == pytest.approx(float(expected), abs=1e-5)
        out.loss.backward()
        unused = {n for n, p in model.named_parameters() if p.grad is None and ".mlp.experts." not in n}
        assert unused and all("resblocks.9." in name for name in unused)


@pytest.mark.parametrize("ignored", [-100, -1])
def test_negative_labels_count_for_nothing(case: Any, model: Any, ignored: int) -> None:
    labels = case.inputs["input_ids"].clone()
    labels[0, :30] = ignored
    with torch.inference_mode():
        loss = model(**case.inputs, labels=labels).loss
        of_many = model(**case.inputs, labels=labels, num_items_in_batch=40).loss
    expected = F.cross_entropy(case.logits[0, 29:-1], case.inputs["input_ids"][0, 30:])
    assert float(loss) == pytest.approx(float(expected), abs=1e-5)
    assert float(of_many) == pytest.approx(float(expected) * 10 / 40, abs=1e-5)


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated:FutureWarning")
def test_gradient_checkpointing_changes_no_gradient(golden: Callable[[str], Any]) -> None:
    case = golden("olmoe")
    gradients = []
    for checkpointing in (False, True):
        model = case.model().train()
        runs: list[int] = []
        model.model.transformer["blocks"][0].mlp.register_forward_pre_hook(lambda *_, runs=runs: runs.append(1))
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        model(**case.inputs, labels=case.inputs["input_ids"]).loss.backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
        assert len(runs) == (2 if checkpointing else 1)
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-5, atol=1e-7)
