"""Sequences, batches, conversations and files of the processor."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoProcessor, PreTrainedTokenizerFast

from molmo_point.errors import CheckpointError, InputError
from molmo_point.model import MolmoProcessor
from molmo_point.model.checkpoint.loading import load_model
from molmo_point.model.inputs import molmo_processor
from molmo_point.model.inputs.preprocess import ImageLayout

GOLDEN = Path(__file__).parents[2] / "golden"
RELEASED = json.loads((GOLDEN / "molmo-7b-d" / "prompts.json").read_text())
RNG = np.random.default_rng(17)
WIDE, TALL, SMALL = (RNG.integers(0, 256, (*size, 3), dtype=np.uint8) for size in ((40, 120), (90, 50), (30, 30)))
EOS = 256
NAMES = {"input_ids", "attention_mask", "images", "image_masks", "image_input_idx"}


@pytest.fixture
def processor(byte_tokenizer: PreTrainedTokenizerFast) -> MolmoProcessor:
    return MolmoProcessor(byte_tokenizer, ImageLayout(56, 14, 0, 2))


def words(text: str) -> list[int]:
    """Ids of the byte tokenizer, whose alphabet is sorted by character."""
    from tokenizers.pre_tokenizers import ByteLevel

    order = {character: k for k, character in enumerate(sorted(ByteLevel.alphabet()))}
    (pieces,) = [ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)]
    return [order[character] for piece, _ in pieces for character in piece]


# --- One sequence -----------------------------------------------------------------------------------------------


def test_text_alone(processor: MolmoProcessor) -> None:
    inputs = processor(text="hi")
    assert set(inputs) == {"input_ids", "attention_mask"}
    assert inputs["input_ids"].tolist() == [[EOS, *words(" User: hi Assistant:")]]
    assert inputs["attention_mask"].tolist() == [[1] * len(inputs["input_ids"][0])]


def test_shapes_and_types(processor: MolmoProcessor) -> None:
    inputs = processor(WIDE, "hi")
    assert set(inputs) == NAMES == set(processor.model_input_names)
    assert inputs.images.shape == (1, 3, 16, 588) and inputs.images.dtype == torch.float32
    assert inputs.image_masks.shape == (1, 3, 16) and inputs.image_masks.dtype == torch.float32
    assert inputs.image_input_idx.shape == (1, 3, 4) and inputs.image_input_idx.dtype == torch.int32
    assert inputs.input_ids.dtype == torch.int64
    arrays = processor(WIDE, "hi", return_tensors="np")
    assert all(isinstance(arrays[name], np.ndarray) for name in NAMES)
    np.testing.assert_array_equal(arrays["images"], inputs.images.numpy())


def test_every_kind_of_image_and_nesting_is_the_same_image(processor: MolmoProcessor, tmp_path: Path) -> None:
    Image.fromarray(WIDE).save(tmp_path / "a.png")
    expected = processor(WIDE, "hi").images
    tensor = torch.from_numpy(WIDE).permute(2, 0, 1)
    for image in (Image.fromarray(WIDE), tmp_path / "a.png", str(tmp_path / "a.png"), WIDE / 255, tensor, [WIDE], [[WIDE]]):
        assert torch.equal(processor(image, "hi").images, expected)
        assert torch.equal(processor(image, ["hi"]).images, expected)


def test_style_and_frame(processor: MolmoProcessor) -> None:
    def text(**options: Any) -> str:
        return processor.decode(processor(text="hi", **options).input_ids[0])

    assert text() == " User: hi Assistant:"
    assert text(style="vqa2") == " User: vqa2: hi Assistant:"
    assert text(message_format="none") == " hi"
    assert text(message_format="none", always_start_with_space=False) == "hi"
    with pytest.raises(InputError, match="vqa2"):
        text(style="vqa")


@pytest.mark.parametrize("token", ["<im_patch>", "<im_start>", "<|endoftext|>", "<|image|>"])
def test_words_that_look_like_special_tokens_are_words(processor: MolmoProcessor, token: str) -> None:
    ids = processor(SMALL, f"a {token} b").input_ids[0].tolist()
    plain = processor(SMALL, "a b").input_ids[0].tolist()
    specials = [i for i in ids if i >= EOS]
    assert specials == [i for i in plain if i >= EOS]
    assert processor.decode(ids) == f" User: a {token} b Assistant:"
    assert max(processor.encode_text(token)) < EOS


def test_decoding(processor: MolmoProcessor) -> None:
    ids = [-1, *processor.encode_text("a , b ."), EOS, -1]
    assert processor.decode(ids) == processor.decode(torch.tensor(ids)) == "a , b ."
    assert processor.decode(ids, skip_special_tokens=False) == "a , b .<|endoftext|>"
    assert processor.batch_decode(torch.tensor([ids, ids])) == ["a , b ."] * 2


# --- Batches ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["left", "right"])
def test_rows_of_a_batch_are_the_single_sequences(processor: MolmoProcessor, side: str) -> None:
    images, texts = [WIDE, SMALL, None], ["hi", "a longer question", "ho"]
    batch = processor(images, texts, padding_side=side)
    for k, (image, text) in enumerate(zip(images, texts)):
        single = processor(image, text)
        length = single.input_ids.shape[1]
        real = batch.attention_mask[k].bool()
        assert int(real.sum()) == length and bool(real[-1 if side == "left" else 0])
        assert batch.input_ids[k][real].tolist() == single.input_ids[0].tolist()
        assert (batch.input_ids[k][~real] == EOS).all()
        crops = single.images.shape[1] if image is not None else 0
        assert (batch.images[k, crops:] == -1).all() and (batch.image_masks[k, crops:] == -1).all()
        assert (batch.image_input_idx[k, crops:] == -100).all()
        if image is None:
            continue
        assert torch.equal(batch.images[k, :crops], single.images[0])
        assert torch.equal(batch.image_masks[k, :crops], single.image_masks[0])
        places, alone = batch.image_input_idx[k, :crops], single.image_input_idx[0]
        shift = int((~real).sum()) if side == "left" else 0
        assert torch.equal(places, torch.where(alone >= 0, alone + shift, -100))
        patch = processor.image_ids["<im_patch>"]
        assert (batch.input_ids[k][places[places >= 0].long()] == patch).all()


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_model_reads_a_batch_like_single_sequences(tiny_folder: Path, side: str) -> None:
    model, processor = load_model(tiny_folder, torch.device("cpu")), MolmoProcessor.from_pretrained(tiny_folder)
    images, texts = [TALL, None, SMALL], ["hi", "what is it", "and a longer question"]
    with torch.inference_mode():
        batch = processor(images, texts, padding_side=side)
        logits = model(**batch).logits
        for k, (image, text) in enumerate(zip(images, texts)):
            alone = model(**processor(image, text)).logits[0]
            torch.testing.assert_close(logits[k][batch.attention_mask[k].bool()], alone, rtol=0, atol=3e-5)


def test_a_batch_is_answered_like_single_sequences(tiny_folder: Path) -> None:
    model, processor = load_model(tiny_folder, torch.device("cpu")), MolmoProcessor.from_pretrained(tiny_folder)
    images, texts = [TALL, None, SMALL], ["hi", "what is it", "and a longer question"]
    options: dict[str, Any] = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": EOS}

    def answers(inputs: Any) -> list[list[int]]:
        return model.generate(**inputs, **options)[:, inputs.input_ids.shape[1] :].tolist()

    together = answers(processor(images, texts))
    for k, (image, text) in enumerate(zip(images, texts)):
        (alone,) = answers(processor(image, text))
        assert together[k][: len(alone)] == alone


def test_one_image_of_many_questions_is_prepared_once(processor: MolmoProcessor, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared: list[Any] = []
    prepare = molmo_processor.prepare_image
    monkeypatch.setattr(molmo_processor, "prepare_image", lambda *a: prepared.append(a) or prepare(*a))
    assert processor([WIDE] * 4, ["a", "b", "c", "d"]).images.shape[0] == 4
    assert len(prepared) == 1


def test_padding_options(processor: MolmoProcessor) -> None:
    assert processor(text=["a", "abc"], padding="longest").input_ids.shape == processor(text=["a", "abc"]).input_ids.shape
    assert processor(text=["a", "b"], padding=False).attention_mask.all()
    padded = processor(WIDE, "a", padding="max_length", max_length=200)
    assert padded.input_ids.shape == (1, 200) and not padded.attention_mask[0, 0]
    places = padded.image_input_idx[padded.image_input_idx >= 0].long()
    assert (padded.input_ids[0, places] == processor.image_ids["<im_patch>"]).all()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param({"text": None}, "must not be empty", id="nothing"),
        pytest.param({"images": SMALL}, "must not be empty", id="image-alone"),
        pytest.param({"text": []}, "must not be empty", id="no-texts"),
        pytest.param({"text": 5}, "must be text", id="number"),
        pytest.param({"text": ["a", None]}, "must be text", id="no-text-in-a-batch"),
        pytest.param({"text": "\udc00"}, "valid Unicode", id="surrogate"),
        pytest.param({"images": [SMALL, WIDE], "text": "a"}, "at most one image", id="two-images"),
        pytest.param({"images": [[SMALL, WIDE]], "text": ["a"]}, "at most one image", id="two-images-nested"),
        pytest.param({"images": [SMALL, WIDE], "text": ["a", "b", "c"]}, "2 images for 3 texts", id="too-few"),
        pytest.param({"images": SMALL, "text": ["a", "b"]}, "[image] * len(text)", id="one-for-two"),
        pytest.param({"images": "no/such.png", "text": "a"}, "must be readable", id="no-file"),
        pytest.param({"images": np.zeros((20, 20000, 3), np.uint8), "text": "a"}, "aspect ratio", id="ribbon"),
        pytest.param({"text": "a", "padding": "left"}, "padding must be", id="padding"),
        pytest.param({"text": "a", "padding_side": "top"}, "left", id="side"),
        pytest.param({"text": ["a", "bc"], "padding": False}, "padding=True", id="unpadded"),
        pytest.param({"text": "a", "padding": "max_length"}, "max_length must be", id="no-length"),
        pytest.param({"text": "a" * 90, "max_length": 100}, "fewer words", id="long"),
        pytest.param({"text": "a", "return_tensors": "tf"}, "return_tensors must be", id="tensors"),
    ],
)
def test_what_cannot_be_a_sequence_is_refused(processor: MolmoProcessor, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        processor(**arguments)
    assert said in str(caught.value) and caught.value.fix


# --- Conversations ----------------------------------------------------------------------------------------------

TALK = [
    {"role": "user", "content": "What?"},
    {"role": "assistant", "content": "A mug."},
    {"role": "user", "content": "Where?"},
]


def test_a_conversation_is_its_turns_with_an_end_after_every_answer(processor: MolmoProcessor) -> None:
    head = processor(WIDE, "x").input_ids[0].tolist()[: -len(words(" User: x Assistant:"))]
    inputs = processor.chat(TALK, WIDE)
    turns = [*words(" User: What? Assistant:"), *words(" A mug."), EOS, *words(" User: Where? Assistant:")]
    assert inputs.input_ids.tolist() == [[*head, *turns]]
    assert torch.equal(inputs.images, processor(WIDE, "x").images)
    assert torch.equal(processor.chat(TALK[:1], WIDE).input_ids, processor(WIDE, "What?").input_ids)
    assert "images" not in processor.chat(TALK)


def test_the_image_may_stand_in_the_first_turn(processor: MolmoProcessor) -> None:
    content = [{"type": "image", "image": WIDE}, {"type": "text", "text": "What?"}]
    inline = processor.chat([{"role": "user", "content": content}, *TALK[1:]])
    beside = processor.chat(TALK, WIDE)
    assert all(torch.equal(inline[name], beside[name]) for name in NAMES)


def test_the_template_of_a_conversation(processor: MolmoProcessor) -> None:
    text = " User: What? Assistant: A mug.<|endoftext|> User: Where? Assistant:"
    assert processor.apply_chat_template(TALK) == text
    assert processor.apply_chat_template([TALK, TALK]) == [text, text]
    whole = processor.apply_chat_template([TALK, TALK[:1]], tokenize=True, return_dict=True)
    assert whole.input_ids.shape[0] == 2 and not whole.attention_mask[1, 0]
    ids = processor.apply_chat_template(TALK, tokenize=True, add_generation_prompt=True)
    assert torch.equal(ids, processor.chat(TALK).input_ids)


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([{"role": "user", "content": [{"type": "image", "image": SMALL}] * 2}], "at most one image"),
        ([*TALK[:2], {"role": "user", "content": [{"type": "image", "image": SMALL}]}], "first turn"),
        ([{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "a"}]}], "must have an image"),
        ([{"role": "user", "content": [{"type": "video", "video": "a"}]}], "text or an image"),
        (TALK[1:], "must alternate"),
    ],
)
def test_a_conversation_that_cannot_be_read_is_refused(processor: MolmoProcessor, messages: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        processor.chat(messages)


# --- Files ------------------------------------------------------------------------------------------------------


def test_saved_and_loaded_again(processor: MolmoProcessor, tmp_path: Path) -> None:
    processor.max_length = 300
    processor.save_pretrained(tmp_path / "saved")
    for again in (MolmoProcessor.from_pretrained(tmp_path / "saved"), AutoProcessor.from_pretrained(tmp_path / "saved")):
        assert type(again) is MolmoProcessor
        assert (again.layout, again.max_length, again.image_ids) == (processor.layout, 300, processor.image_ids)
        ours, theirs = processor(WIDE, "hi <im_col>"), again(WIDE, "hi <im_col>")
        assert all(torch.equal(ours[name], theirs[name]) for name in NAMES)


@pytest.mark.parametrize("load", [MolmoProcessor.from_pretrained, AutoProcessor.from_pretrained])
@pytest.mark.parametrize("trust", [False, True])
def test_code_in_a_checkpoint_is_never_run(load: Callable[..., Any], trust: bool, tiny_folder: Path) -> None:
    released = json.loads((GOLDEN / "molmo-7b-d" / "preprocessor_config.json").read_text())
    settings = json.loads((tiny_folder / "preprocessor_config.json").read_text())
    named = {"auto_map": released["auto_map"], "processor_class": "MolmoProcessor"}
    (tiny_folder / "preprocessor_config.json").write_text(json.dumps(settings | named))
    (tiny_folder / "processor_config.json").write_text(json.dumps(named))
    for name in ("preprocessing_molmo.py", "image_preprocessing_molmo.py"):
        (tiny_folder / name).write_text("raise SystemExit('code of the checkpoint was run')\n")
    loaded = load(tiny_folder, trust_remote_code=trust)
    assert type(loaded) is MolmoProcessor and loaded.max_length == 256
    loaded.save_pretrained(tiny_folder / "again")
    assert not any("auto_map" in path.read_text() for path in (tiny_folder / "again").glob("*.json"))


def test_settings_can_be_replaced(tiny_folder: Path) -> None:
    loaded = MolmoProcessor.from_pretrained(tiny_folder, max_crops=0, max_length=99)
    assert (loaded.layout.max_crops, loaded.max_length) == (0, 99)
    assert loaded(WIDE, "hi").images.shape[1] == 1
    with pytest.raises(InputError, match="integer"):
        MolmoProcessor.from_pretrained(tiny_folder, max_crops=-1)


def test_broken_folders_are_refused(tiny_folder: Path) -> None:
    (tiny_folder / "processor_config.json").write_text("{")
    with pytest.raises(CheckpointError, match="processor_config"):
        MolmoProcessor.from_pretrained(tiny_folder)
    (tiny_folder / "processor_config.json").unlink()
    (tiny_folder / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match="tokenizer"):
        MolmoProcessor.from_pretrained(tiny_folder)
    (tiny_folder / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        MolmoProcessor.from_pretrained(tiny_folder)


# --- The released tokenizer -------------------------------------------------------------------------------------


@pytest.mark.skipif(
    "MOLMO_POINT_RELEASED_TOKENIZER" not in os.environ,
    reason="set MOLMO_POINT_RELEASED_TOKENIZER to a folder with the tokenizer of Molmo-7B-D",
)
def test_the_released_tokenizer_gives_the_recorded_ids() -> None:
    loaded = MolmoProcessor.from_pretrained(os.environ["MOLMO_POINT_RELEASED_TOKENIZER"])
    assert loaded.eos_id == RELEASED["eos_id"] and loaded.image_ids == RELEASED["image_ids"]
    for text, ids in RELEASED["texts"].items():
        assert loaded.encode_text(text) == ids
    assert loaded.chat(RELEASED["messages"]).input_ids.tolist() == [RELEASED["conversation"]]


def test_the_recorded_ids_are_those_of_the_facts() -> None:
    """Published ids of one prompt; a space in front is another token than none."""
    assert RELEASED["texts"][" User: Point to the dog. Assistant:"] == [2657, 25, 5126, 311, 279, 5562, 13, 21388, 25]
    assert RELEASED["texts"]["User: hi"][0] == 1474
    assert all(i < 151643 for ids in RELEASED["texts"].values() for i in ids)
