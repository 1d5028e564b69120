"""A loaded checkpoint as the rest of the SDK uses it: text in pieces, cancelling, limits, the prompt's frame."""

from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from molmo_point.backend import Limits, Prompt
from molmo_point.errors import CheckpointError, InputError
from molmo_point.model import MolmoBackend, load_backend
from molmo_point.model.inputs.molmo_processor import IMAGE_TOKENS, MolmoProcessor
from molmo_point.model.inputs.preprocess import ImageLayout
from molmo_point.model.load import checkpoint_family
from molmo_point.pointer import Pointer
from molmo_point.points.dialects import dialect_of
from molmo_point.points.dialects.prompts import counting_prompt, pointing_prompt, user_turn
from molmo_point.request import Kind, PointRequest
from molmo_point.sim import TabletopScene

IMAGE = np.random.default_rng(3).integers(0, 256, (40, 70, 3), dtype=np.uint8)


@pytest.fixture
def backend(tiny_folder: Path) -> MolmoBackend:
    return load_backend(tiny_folder, device="cpu")


def test_a_completion_says_what_it_is(backend: MolmoBackend) -> None:
    growths = list(backend.answers(IMAGE, (Prompt("hi"),), Limits(12)))
    told, done = [growth.text for growth in growths], growths[-1].completion
    assert [growth.finished for growth in growths] == [False] * 11 + [True]
    assert done.token_count == len(done.tokens) == len(done.token_probabilities) == len(told) == 12
    assert [len(d) for d in done.digit_probabilities] == [10 if t.isdigit() else 0 for t in done.tokens]
    assert done.finish_reason == "length"
    assert told[-1] == done.text
    assert all(0 < p <= 1 for p in done.token_probabilities)
    assert set(done.timing_ms) == {"preprocess", "prefill", "decode"}
    assert all(ms > 0 for ms in done.timing_ms.values())
    assert backend.complete(IMAGE, Prompt("hi"), Limits(12)).text == done.text


def test_text_and_image_both_matter(backend: MolmoBackend) -> None:
    def confidence(image: np.ndarray, text: str) -> tuple[float, ...]:
        return backend.complete(image, Prompt(text), Limits(4)).token_probabilities

    assert confidence(IMAGE, "hi") != confidence(IMAGE, "ho")
    assert confidence(IMAGE, "hi") != confidence(IMAGE[:, ::-1], "hi")


def test_closing_keeps_the_text_so_far(backend: MolmoBackend) -> None:
    growing = backend.answers(IMAGE, (Prompt("hi"),), Limits(50))
    first, second, third = (next(growing) for _ in range(3))
    growing.close()
    done = third.completion
    assert (done.finish_reason, done.token_count, done.text) == ("unfinished", 3, third.text)
    assert len(done.tokens) == len(done.token_probabilities) == 3
    assert (first.completion.token_count, first.completion.text) == (1, first.text), "a growth stays what it was"
    assert second.text.startswith(first.text) and third.text.startswith(second.text)


def test_the_context_is_never_outgrown(backend: MolmoBackend) -> None:
    used = backend.processor(IMAGE, "hi").input_ids.shape[1]
    assert backend.complete(IMAGE, Prompt("hi"), Limits(10_000)).token_count == 256 - used
    with pytest.raises(InputError, match="fewer words"):
        backend.complete(IMAGE, Prompt("word " * 60), Limits(1))
    with pytest.raises(InputError, match="RGB"):
        backend.complete(IMAGE[..., :2], Prompt("hi"), Limits(1))


def test_the_model_is_left_ready_for_inference(backend: MolmoBackend) -> None:
    assert not backend.model.training
    assert all(p.dtype == torch.float32 for p in backend.model.parameters())
    assert backend.model.device == torch.device("cpu")


def test_tokens_are_those_of_transformers_generate() -> None:
    """The embedded model on ten scenes: drafted decoding against transformers' own, from the same tensors."""
    backend = Pointer.from_pretrained("tabletop", device="cpu").backend
    assert isinstance(backend, MolmoBackend)
    answers = set()
    for seed in range(10):
        scene = TabletopScene.random(900 + seed)
        words = scene.objects[0].name if seed % 3 else "bricks"
        prompt = dialect_of("molmo").prompt(PointRequest(words, Kind.POINT if seed % 2 else Kind.COUNT))
        image = scene.render()[0]
        done = backend.complete(image, prompt, Limits(160))
        eos_id, inputs = backend.processor.eos_id, backend.processor(image, prompt.text)
        out: Any = backend.model.generate(**inputs, do_sample=False, max_new_tokens=160, eos_token_id=eos_id, pad_token_id=eos_id)
        expected = out[0, inputs["input_ids"].shape[1] :].tolist()
        assert done.finish_reason == "stop"
        assert expected.pop() == eos_id
        assert done.tokens == tuple(backend.processor.decode([token]) for token in expected)
        assert done.passes < max(2, len(expected) / 2)
        answers.add(done.text)
    assert len(answers) > 5, "answers that are all alike would prove little"


# --- Which model it is ---------------------------------------------------------------------------------------------


def test_the_family_is_that_of_the_configuration(tiny_folder: Path) -> None:
    assert load_backend(tiny_folder, device="cpu").dialect == "molmo"
    assert checkpoint_family(tiny_folder) == "molmo"
    (tiny_folder / "config.json").write_text('{"model_type": "molmo2"}')
    assert checkpoint_family(tiny_folder) == "molmo2"


@pytest.mark.parametrize(
    ("config", "part"),
    [('{"model_type": "molmo_point"}', "remote code"), ('{"model_type": "llava"}', "Molmo-7B-D"), ("{}", "None"),
     ('"molmo"', "str"), ("[]", "list"), ("", "config.json"), ("{", "config.json"), ("[" * 100_000, "config.json")],
)  # fmt: skip
def test_models_that_cannot_be_run_are_refused(tiny_folder: Path, config: str, part: str) -> None:
    (tiny_folder / "config.json").write_text(config)
    with pytest.raises(CheckpointError) as caught:
        load_backend(tiny_folder, device="cpu")
    assert part in str(caught.value)
    assert caught.value.fix


@pytest.mark.parametrize(
    ("options", "part"),
    [({"dtype": "int7"}, "dtype must"), ({"quantization": "int3"}, "quantization"), ({"device": "abacus"}, "device")],
)
def test_options_that_do_not_exist_are_refused(tiny_folder: Path, options: dict[str, str], part: str) -> None:
    with pytest.raises(InputError, match=part) as caught:
        load_backend(tiny_folder, **options)
    assert caught.value.fix


def test_dtype_is_that_asked_for(tiny_folder: Path) -> None:
    model = load_backend(tiny_folder, device="cpu", dtype="bfloat16").model
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


def test_of_a_repository_everything_is_fetched_but_code(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, list[str]]] = []

    def fetch(source: str, *, allow_patterns: list[str]) -> str:
        asked.append((source, allow_patterns))
        return str(tiny_folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    assert load_backend("allenai/Molmo-7B-D-0924", device="cpu").name == "allenai/Molmo-7B-D-0924"
    ((source, patterns),) = asked
    assert source == "allenai/Molmo-7B-D-0924"
    for name in ("model-00001-of-00007.safetensors", "pytorch_model.bin", "merges.txt", "config.json", "chat_template.jinja"):
        assert any(fnmatch(name, pattern) for pattern in patterns), name
    assert not any(fnmatch("modeling_molmo.py", pattern) for pattern in patterns)


def test_a_repository_that_cannot_be_fetched_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*_: object, **__: object) -> str:
        raise ConnectionError("no route")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    with pytest.raises(CheckpointError, match="no/where") as caught:
        load_backend("no/where", device="cpu")
    assert "tabletop" in caught.value.fix


# --- Prompt and processor ---------------------------------------------------------------------------------------


def test_the_turn_has_the_released_frame() -> None:
    assert user_turn("Point to the dog.") == " User: Point to the dog. Assistant:"
    assert pointing_prompt(" the red mug. ") == "Point to the red mug"
    assert counting_prompt("mugs?") == "How many mugs are there?"


def test_the_sequence_is_end_token_image_and_turn(byte_tokenizer: PreTrainedTokenizerFast) -> None:
    processor = MolmoProcessor(byte_tokenizer, ImageLayout(56, 14, 0, 0))
    ids = processor(IMAGE, "ab").input_ids[0].tolist()
    start, end, patch, column = (byte_tokenizer.convert_tokens_to_ids(t) for t in IMAGE_TOKENS)
    assert ids[:9] == [256, start, patch, patch, column, patch, patch, column, end]
    assert processor.decode(ids) == " User: ab Assistant:"
    assert len(ids) == 9 + len(" User: ab Assistant:")
    assert processor.encode_text("") == []
    assert processor.decode(processor.encode_text(' <point x="1.5" , .')) == ' <point x="1.5" , .'


def test_words_that_look_like_image_tokens_take_no_image(byte_tokenizer: PreTrainedTokenizerFast) -> None:
    processor = MolmoProcessor(byte_tokenizer, ImageLayout(56, 14, 0, 0))
    for text in ("ab", "<im_patch> <|endoftext|> <im_start>"):
        assert processor(IMAGE, text).image_input_idx.flatten().tolist() == [2, 3, 5, 6]


@pytest.mark.parametrize("lost", [*IMAGE_TOKENS, "eos"])
def test_a_tokenizer_without_molmos_tokens_is_refused(byte_tokenizer: PreTrainedTokenizerFast, lost: str) -> None:
    class Poorer:
        eos_token_id = None if lost == "eos" else 256

        def get_vocab(self) -> dict[str, int]:
            return {t: i for t, i in byte_tokenizer.get_vocab().items() if t != lost}

    with pytest.raises(CheckpointError, match="tokenizer") as caught:
        MolmoProcessor(Poorer(), ImageLayout())  # type: ignore[arg-type]
    assert ("end-of-sequence" if lost == "eos" else lost) in str(caught.value)


def test_pieces_make_up_the_text_whatever_the_tokens_split(backend: MolmoBackend) -> None:
    for text in (' x="61.5" alt="tassé äöü 杯">', "plain"):
        ids = backend.processor.encode_text(text)
        pieces = backend.token_texts(ids)
        assert "".join(pieces) == text and len(pieces) == len(ids)
        assert list(pieces[:5]) == list(text[:5])
