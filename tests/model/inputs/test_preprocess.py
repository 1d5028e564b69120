"""Crops, masks, token layout and pixels, number for number as the official preprocessor makes them."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from molmo_point.errors import CheckpointError, InputError
from molmo_point.model.inputs import preprocess
from molmo_point.model.inputs.molmo_processor import MolmoProcessor
from molmo_point.model.inputs.preprocess import (
    ImageLayout,
    PreparedImage,
    image_token_ids,
    prepare_image,
    select_tiling,
    token_places,
)
from molmo_point.model.inputs.resize import resized_patches

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "golden.json").read_text())
CASES = [pytest.param(case, id=f"{case['h']}x{case['w']}-{case['max_crops']}") for case in GOLDEN["preprocessor"]]
SMALL = next(case for case in GOLDEN["preprocessor"] if (case["h"], case["w"]) == (300, 2000))
EOS = 151643


class OrdTokenizer:
    """The tokenizer that the golden cases were made with: one id per character."""

    eos_token_id = EOS
    pad_token_id = None

    def get_vocab(self) -> dict[str, int]:
        return dict(GOLDEN["special_ids"])

    def encode(self, text: str, add_special_tokens: bool, split_special_tokens: bool) -> list[int]:
        assert split_special_tokens and not add_special_tokens
        return [ord(character) for character in text]


def golden_image(height: int, width: int) -> np.ndarray:
    y, x, c = np.ogrid[:height, :width, :3]
    return ((7 * y + 13 * x + 29 * c + (x * y) // 17) % 256).astype(np.uint8)


def sha256(values: Any) -> str:
    return hashlib.sha256(np.ascontiguousarray(values, dtype=np.int32).tobytes()).hexdigest()


def differences(case: dict[str, Any], prepare: Callable[..., PreparedImage] = prepare_image) -> list[str]:
    """Names of what does not agree with one golden case."""
    layout = ImageLayout(max_crops=case["max_crops"])
    image = golden_image(case["h"], case["w"])
    prepared = prepare(image, layout)
    ids = [EOS, *image_token_ids(prepared.tiling, layout, GOLDEN["special_ids"]), *map(ord, " User: hi Assistant:")]
    masks = prepared.image_masks
    agree = {
        "tiling": list(prepared.tiling) == case["tiling"],
        "crops": prepared.images.shape == (case["n_crops"], 576, 588) and prepared.images.dtype == np.float32,
        "tokens": len(ids) == case["n_tokens"],
        "ids": sha256(ids) == case["sha256_input_ids_int32"],
        "places": sha256(prepared.image_input_idx) == case["sha256_image_input_idx_int32"],
        "masks": sha256(np.round(np.round(masks, 3) * 1000)) == case["sha256_masks_round3_x1000_int32"],
        "mask sum": abs(masks.sum(dtype=np.float64) - case["mask_sum"]) < 1e-2,
        "mean": abs(prepared.images.mean(dtype=np.float64) - case["images_mean"]) < 1e-6,
        "deviation": abs(prepared.images.std(dtype=np.float64) - case["images_std"]) < 1e-6,
        "overview": np.allclose(prepared.images[0, 300, :6], case["crop0_patch300_first6"], rtol=0, atol=1e-5),
        "last crop": np.allclose(prepared.images[-1, 300, :6], case["last_crop_patch300_first6"], rtol=0, atol=1e-5),
    }
    return [name for name, same in agree.items() if not same]


def test_all_golden_cases_are_here() -> None:
    assert len(CASES) == 27


@pytest.mark.parametrize("case", CASES)
def test_golden_case(case: dict[str, Any]) -> None:
    assert differences(case) == []


@pytest.mark.parametrize("case", [p for p in CASES if p.id in ("32x32-12", "480x640-12", "2000x300-12")])
def test_processor_puts_bos_image_and_turn_together(case: dict[str, Any]) -> None:
    processor = MolmoProcessor(OrdTokenizer(), ImageLayout(max_crops=case["max_crops"]))  # type: ignore[arg-type]
    inputs = processor(golden_image(case["h"], case["w"]), "hi")
    assert sha256(inputs.input_ids[0]) == case["sha256_input_ids_int32"]
    assert sha256(inputs.image_input_idx[0]) == case["sha256_image_input_idx_int32"]
    assert inputs.images.shape == (1, case["n_crops"], 576, 588)
    assert inputs.image_masks.shape == (1, case["n_crops"], 576)
    assert inputs.input_ids.dtype == torch.int64


def test_every_place_holds_a_patch_token_and_every_patch_token_is_used_once() -> None:
    layout = ImageLayout()
    for tiling in [(1, 1), (2, 3), (3, 4), (1, 12), (12, 1)]:
        ids = np.array([EOS, *image_token_ids(tiling, layout, GOLDEN["special_ids"])])
        places = token_places(*tiling, layout)
        used = np.sort(places[places >= 0])
        np.testing.assert_array_equal(used, np.flatnonzero(ids == GOLDEN["special_ids"]["<im_patch>"]))


def test_overview_alone_has_one_crop_and_its_own_mask_row() -> None:
    layout = ImageLayout(crop_px=240, patch_px=12, max_crops=0)
    prepared = prepare_image(golden_image(48, 64), layout)
    assert prepared.tiling == (0, 0)
    assert prepared.images.shape == (1, 400, 432)
    assert (prepared.image_masks == -1).all()
    assert prepared.image_input_idx.shape == (1, 100)
    ids = [EOS, *image_token_ids((0, 0), layout, GOLDEN["special_ids"])]
    assert all(ids[place] == GOLDEN["special_ids"]["<im_patch>"] for place in prepared.image_input_idx[0])


def test_padding_is_black_before_normalisation() -> None:
    layout = ImageLayout(max_crops=0)
    crop = prepare_image(np.full((100, 300, 3), 255, np.uint8), layout).images[0]
    top_left = crop[0].reshape(14, 14, 3)[0, 0]
    np.testing.assert_allclose(top_left, -np.array(layout.mean) / np.array(layout.std), rtol=1e-6)
    middle = crop[12 * 24 + 12].reshape(14, 14, 3)[0, 0]
    np.testing.assert_allclose(middle, (1 - np.array(layout.mean)) / np.array(layout.std), rtol=1e-5)


# --- A broken preprocessor is noticed ---------------------------------------------------------------------------


def _swap_rows_and_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preprocess, "select_tiling", lambda h, w, layout: select_tiling(h, w, layout)[::-1])


def _overview_unpadded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preprocess, "fitted_size", lambda source_h, source_w, height, width: (height, width))


def _channel_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def patches(*arguments: Any) -> Iterator[tuple[int, np.ndarray]]:
        for column, made in resized_patches(*arguments):
            yield column, made.reshape(*made.shape[:2], -1, 3).swapaxes(-1, -2).reshape(made.shape)

    monkeypatch.setattr(preprocess, "resized_patches", patches)


def _places_one_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preprocess, "token_places", lambda r, c, layout: token_places(r, c, layout) + 1)


@pytest.mark.parametrize(
    ("break_it", "seen_in"),
    [
        (_swap_rows_and_columns, "tiling"),
        (_overview_unpadded, "masks"),
        (_channel_first, "overview"),
        (_places_one_off, "places"),
    ],
)
def test_a_broken_preprocessor_is_noticed(break_it: Any, seen_in: str, monkeypatch: pytest.MonkeyPatch) -> None:
    break_it(monkeypatch)
    assert seen_in in differences(SMALL)


def test_masks_repaired_to_fit_their_crops_are_noticed() -> None:
    def repaired(image: np.ndarray, layout: ImageLayout) -> PreparedImage:
        prepared = prepare_image(image, layout)
        return replace(prepared, image_masks=np.roll(prepared.image_masks, 1, axis=0))

    assert differences(SMALL, repaired) == ["masks"]


# --- What is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(np.zeros(12, np.uint8), id="one-dimensional"),
        pytest.param(np.zeros((8, 8), np.uint8), id="grey"),
        pytest.param(np.zeros((8, 8, 3), np.float32), id="float"),
        pytest.param(np.zeros((8, 8, 3), np.uint16), id="16-bit"),
        pytest.param(np.zeros((8, 8, 4), np.uint8), id="RGBA"),
        pytest.param(np.zeros((3, 8, 8), np.uint8), id="channel-first"),
        pytest.param(np.zeros((0, 8, 3), np.uint8), id="empty"),
        pytest.param(np.zeros((8, 0, 3), np.uint8), id="empty-width"),
        pytest.param(np.zeros((20000, 20, 3), np.uint8), id="20000x20"),
        pytest.param([[[0, 0, 0]]], id="list"),
        pytest.param(None, id="nothing"),
    ],
)
def test_a_bad_image_is_refused_with_what_to_do(image: Any) -> None:
    with pytest.raises(InputError) as caught:
        prepare_image(image, ImageLayout())
    assert "pass a" in str(caught.value)


def test_one_pixel_and_views_are_fine() -> None:
    assert np.isfinite(prepare_image(np.zeros((1, 1, 3), np.uint8), ImageLayout()).images).all()
    image = golden_image(60, 90)
    mirrored = prepare_image(image[:, ::-1], ImageLayout(max_crops=1)).images
    np.testing.assert_array_equal(mirrored, prepare_image(image[:, ::-1].copy(), ImageLayout(max_crops=1)).images)


# --- Settings of a checkpoint -----------------------------------------------------------------------------------


def test_settings_of_the_released_checkpoint() -> None:
    assert ImageLayout.from_folder(Path(__file__).parents[2] / "golden" / "molmo-7b-d") == ImageLayout()


def test_settings_are_read_and_broken_ones_are_refused(tmp_path: Path) -> None:
    assert ImageLayout.from_folder(tmp_path) == ImageLayout()
    settings = {
        "base_image_input_size": [240, 240], "image_patch_size": 12, "overlap_margins": [2, 2], "max_crops": 5,
        "image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6],
    }  # fmt: skip
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps(settings))
    assert ImageLayout.from_folder(tmp_path) == ImageLayout(240, 12, 2, 5, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    for text in ("{", "[]", json.dumps(settings | {"max_crops": "many"}), json.dumps({"image_patch_size": 12})):
        path.write_text(text)
        with pytest.raises(CheckpointError, match="preprocessor_config"):
            ImageLayout.from_folder(tmp_path)
