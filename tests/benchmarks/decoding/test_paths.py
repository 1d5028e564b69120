"""All ways give the same tokens; scripts decide what is said and passes are counted right."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.decoding.material import pointing
from benchmarks.decoding.naive import NaiveMolmo
from benchmarks.decoding.oracle import NgramDrafter, OracleEngine, count_passes
from benchmarks.decoding.paths import (
    NO_MEMORY,
    PLAIN,
    engine_answers,
    engine_first_point,
    generate_answer,
    naive_answer,
    token_texts,
    tokens_to_first_point,
)
from benchmarks.decoding.peer import has_peer, qwen2_peer
from benchmarks.decoding.stages import model_stages
from benchmarks.decoding.subject import random_subject
from molmo_point.errors import InputError
from molmo_point.model.architecture.config import MolmoConfig
from molmo_point.model.decoding.drafts import Drafter
from molmo_point.model.decoding.engine import Options
from molmo_point.model.decoding.templates import ExpectedAnswer
from molmo_point.model.decoding.token_tree import ROOT

PROMPT = pointing("red mugs")
TEXT = ' <points x1="61.5" y1="40.4" x2="70.1" y2="9.8" x3="81.0" y3="33.2" alt="red mugs">red mugs</points>'
MOVED = TEXT.replace("40.4", "40.6").replace("81.0", "80.9")


@pytest.fixture(scope="module")
def script(subject: Any) -> tuple[int, ...]:
    return tuple(subject.processor.encode_text(TEXT))


def test_the_ways_agree_on_the_models_own_words(subject: Any, picture: np.ndarray) -> None:
    prompt = pointing("the red things")
    plain = generate_answer(subject, picture, prompt, 40)
    peer = generate_answer(subject, picture, prompt, 40, peer=qwen2_peer(subject.model))
    ours = [
        engine_answers(OracleEngine(subject.model, subject.processor, o), picture, [prompt], 40)[0] for o in (PLAIN, NO_MEMORY)
    ]
    assert peer.token_ids == plain.token_ids == ours[0].token_ids == ours[1].token_ids
    assert peer.passes == plain.passes == ours[0].passes > 2 * ours[1].passes
    first = engine_first_point(OracleEngine(subject.model, subject.processor, NO_MEMORY), picture, prompt, 40)
    known = tokens_to_first_point(subject.processor, plain.token_ids)
    assert first.token_ids[:known] == plain.token_ids[:known]
    assert first.first_point_ms > 0 and first.passes <= 3


def test_the_peer_shares_the_weights(subject: Any) -> None:
    peer = qwen2_peer(subject.model)
    block = subject.model.model.transformer["blocks"][0]
    assert peer.model.layers[0].self_attn.q_proj.weight.data_ptr() == block.att_proj.weight.data_ptr()
    assert has_peer(subject.model.config)
    assert not has_peer(MolmoConfig(qkv_bias=False, attention_layer_norm=True, norm_after=True))


def test_scripts_are_said_by_every_way(subject: Any, picture: np.ndarray, script: tuple[int, ...]) -> None:
    most = len(script) + 1
    plain = generate_answer(subject, picture, PROMPT, most, script)
    naive = naive_answer(subject, NaiveMolmo(subject.model, capacity=1024), picture, PROMPT, most, script)
    assert plain.token_ids == naive.token_ids == script
    assert plain.passes == naive.passes == len(script)
    engine = OracleEngine(subject.model, subject.processor)
    passes = []
    for said in (script, script, tuple(subject.processor.encode_text(MOVED))):
        engine._image = None
        out = engine_answers(engine, picture, [PROMPT], most, [said])[0]
        assert out.token_ids == said
        passes.append(out.passes)
    assert passes[0] == 2 + 3 + 3 + 1 and passes[1] == 0 and 0 < passes[2] < 6
    batch = engine_answers(engine, picture, [PROMPT, pointing("the cat")], most, [script, script[:9]])
    assert [out.token_ids for out in batch] == [script, script[:9]]
    assert engine_answers(engine, picture, [PROMPT], 6)[0].token_ids == generate_answer(subject, picture, PROMPT, 6).token_ids


@pytest.mark.parametrize("options", [Options(False, False, False, False), Options(fans=False), Options()])
def test_counted_passes_are_those_that_the_engine_makes(
    subject: Any, picture: np.ndarray, script: tuple[int, ...], options: Options
) -> None:
    processor, text_of = subject.processor, token_texts(subject.processor)
    drafter = Drafter(
        processor.encode_text,
        text_of,
        ExpectedAnswer.to(PROMPT),
        processor.digit_ids,
        fans=options.fans,
        template=options.template,
    )
    counted = count_passes(script, drafter, text_of, processor.eos_id)
    engine = OracleEngine(subject.model, processor, options)
    made = engine_answers(engine, picture, [PROMPT], len(script) + 1, [script])[0]
    assert counted[-1] == made.passes
    assert len(counted) == len(script) + 1 and counted == sorted(counted)


def test_ngrams_draft_what_followed_the_same_tokens_last() -> None:
    drafter = NgramDrafter([1, 2, 3, 4, 5, 9, 2, 3, 7, 8])
    assert drafter.draft([2, 3], "").tokens == [7, 8, 2, 3]
    assert drafter.draft([2, 3, 7], "").tokens == [8, 2, 3, 7]
    assert drafter.draft([2, 3, 7, 6], "").tokens == []
    tree = NgramDrafter([1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3]).draft([], "")
    assert tree.tokens == [4, 5, 6, 7, 8] and tree.child(ROOT, 4) == 0
    assert NgramDrafter([]).draft([], "").tokens == []


def test_passes_of_plain_decoding_are_one_a_token(subject: Any, script: tuple[int, ...]) -> None:
    assert count_passes(script, None, token_texts(subject.processor), subject.processor.eos_id) == list(range(len(script) + 1))


def test_stages_compute_what_they_say(subject: Any, picture: np.ndarray) -> None:
    stages = {stage.name.split(",")[0] + stage.name[-2:]: stage for stage in model_stages(subject, picture, PROMPT)}
    for stage in stages.values():
        ours = stage.ours()
        assert torch.equal(ours, stage.ours())
        assert stage.work is not None and min(stage.work) > 0
        if stage.naive is not None:
            torch.testing.assert_close(stage.naive().flatten(), ours.flatten(), rtol=0, atol=1e-4)
    widths = [stage.ours().shape[1] for name, stage in stages.items() if name.startswith("decode")]
    assert widths == [1, 4, 16, 64]


def test_random_weights_of_true_size_need_room(monkeypatch: pytest.MonkeyPatch, subject: Any) -> None:
    from benchmarks.decoding import subject as module

    folder = Path(module.__file__).parents[2] / "molmo_point" / "checkpoints" / "tabletop"
    monkeypatch.setattr(module, "_free_bytes", lambda device: 24_000_000_000)
    with pytest.raises(InputError, match=r"35 GB needed in float32, 24 GB free on cpu.*--layers 15 or less"):
        random_subject("molmo-7b-d", folder, "cpu")
    monkeypatch.setattr(module, "_free_bytes", lambda device: 2_000_000_000)
    with pytest.raises(InputError, match="more memory"):
        random_subject("molmo-7b-d", folder, "cpu")
    with pytest.raises(InputError, match="SHAPE must be a known one"):
        random_subject("molmo-8b", folder, "cpu")
    with pytest.raises(InputError, match="--layers must be within the model"):
        random_subject("molmo-7b-d", folder, "cpu", layers=0)


def test_random_weights_say_their_script(monkeypatch: pytest.MonkeyPatch, picture: np.ndarray, script: tuple[int, ...]) -> None:
    from benchmarks.decoding import subject as module

    vision: dict[str, Any] = {
        "image_size": 56,
        "hidden_size": 16,
        "num_attention_heads": 2,
        "num_hidden_layers": 9,
        "intermediate_size": 32,
    }
    sizes: dict[str, Any] = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "vocab_size": 1100,
    }
    monkeypatch.setattr(module, "MolmoConfig", lambda: MolmoConfig(**sizes, vision_config=vision))
    monkeypatch.setattr(module, "ImageLayout", lambda: module_layout())
    folder = Path(module.__file__).parents[2] / "molmo_point" / "checkpoints" / "tabletop"
    subject = random_subject("molmo-7b-d", folder, "cpu", layers=1)
    assert not subject.trained and "1 of 28 layers" in subject.name
    assert len(subject.model.model.transformer["blocks"]) == 1
    for name, values in subject.model.state_dict().items():
        assert bool(values.isfinite().all()) and (float(values.abs().sum()) > 0 or "norm" in name or "pre_ln" in name), name
    engine = OracleEngine(subject.model, subject.processor)
    assert engine_answers(engine, picture, [PROMPT], 200, [script])[0].token_ids == script


def module_layout() -> Any:
    from molmo_point.model.inputs.preprocess import ImageLayout

    return ImageLayout(crop_px=56, patch_px=14, margin_patches=0, max_crops=2)
