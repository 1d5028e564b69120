"""The loss is that of every question asked alone, whatever shares a row or a batch with it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from molmo_point.finetuning.packed_batch import PackedImage, packed_image, summed_loss
from molmo_point.finetuning.sample import AnswerKind, TrainingExample
from molmo_point.model import load_backend
from molmo_point.model.molmo_backend import MolmoBackend

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def backend(base: Path) -> MolmoBackend:
    found = load_backend(base, device="cpu")
    assert isinstance(found, MolmoBackend)
    return found


def image(seed: int, size: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)


def packed(backend: MolmoBackend, seed: int, size: tuple[int, int], *examples: TrainingExample) -> PackedImage:
    found = packed_image(backend.processor, image(seed, size), examples, 400)
    assert found is not None
    return found


def loss(backend: MolmoBackend, *rows: PackedImage, z_loss: float = 0.0) -> float:
    with torch.inference_mode():
        return float(summed_loss(backend.model, rows, backend.processor.eos_id, z_loss, CPU))


ONE = TrainingExample("Point to the mug", "There are none.", kind=AnswerKind.ABSENT)
TWO = TrainingExample("Describe this image.", "a red cube", kind=AnswerKind.CAPTION)


def test_questions_that_share_an_image_do_not_see_one_another(backend: MolmoBackend) -> None:
    alone = [loss(backend, packed(backend, 1, (40, 90), example)) for example in (ONE, TWO)]
    together = loss(backend, packed(backend, 1, (40, 90), ONE, TWO))
    assert together * 2**0.5 == pytest.approx(sum(alone), rel=1e-4)


def test_images_of_a_batch_do_not_either(backend: MolmoBackend) -> None:
    wide, high = packed(backend, 1, (40, 90), ONE, TWO), packed(backend, 2, (90, 40), TWO)
    assert wide.image.tiling != high.image.tiling
    assert loss(backend, wide, high) == pytest.approx(loss(backend, wide) + loss(backend, high), rel=1e-4)


def test_it_is_the_loss_of_transformers(backend: MolmoBackend) -> None:
    row = packed(backend, 3, (40, 60), ONE)
    inputs = backend.processor(image(3, (40, 60)), ONE.prompt)
    answer = [*backend.processor.encode_text(f" {ONE.answer}"), backend.processor.eos_id]
    ids = torch.cat([inputs["input_ids"], torch.tensor([answer])], dim=1)
    labels = ids.clone()
    labels[:, : -len(answer)] = -100
    with torch.inference_mode():
        theirs = backend.model(
            input_ids=ids, labels=labels, **{k: inputs[k] for k in ("images", "image_masks", "image_input_idx")}
        ).loss
    assert loss(backend, row) == pytest.approx(float(theirs) * len(answer), rel=1e-4)
    assert row.weight == len(answer)
    assert loss(backend, row, z_loss=1.0) > loss(backend, row) + 1


def test_what_does_not_fit_is_left_out(backend: MolmoBackend) -> None:
    pixels = image(1, (40, 90))
    both = packed(backend, 1, (40, 90), ONE, TWO)
    limit = len(both.row.input_ids) - 1
    first = packed_image(backend.processor, pixels, (ONE, TWO), limit)
    assert first is not None and len(first.row.input_ids) <= limit and first.row.segments.max() == 10_000
    assert set(first.row.segments) == {1, 10_000}
    assert packed_image(backend.processor, pixels, (ONE, TWO), 20) is None


def test_it_computes_in_bfloat16_where_that_is_chosen(backend: MolmoBackend) -> None:
    row = packed(backend, 3, (40, 60), ONE, TWO)
    exact = loss(backend, row)
    with torch.autocast("cpu", torch.bfloat16):
        rough = summed_loss(backend.model, [row], backend.processor.eos_id, 1e-4, CPU)
    assert rough.dtype == torch.float32 and rough.requires_grad
    rough.backward()
    found = float(rough.detach())
    assert found == pytest.approx(exact, rel=0.05) and found != exact
    assert all(p.grad is None or p.grad.dtype == torch.float32 for p in backend.model.parameters())
    backend.model.zero_grad()
