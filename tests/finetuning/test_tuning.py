"""Stages in full and through adapters; an interrupted run ends where an uninterrupted one does; what is saved can be used."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from molmo_point.errors import InputError
from molmo_point.finetuning import trained_model
from molmo_point.finetuning import tuning as module
from molmo_point.finetuning.loop import TrainingLoop
from molmo_point.finetuning.run_settings import TuneSettings
from molmo_point.finetuning.tuning import TuningTask, tune
from molmo_point.frame import RgbdFrame
from molmo_point.model import Molmo
from molmo_point.model.checkpoint.quantization import quantized_modules
from molmo_point.pointer import Pointer
from tests.finetuning.conftest import settings

LORA = {"rank": 2, "alpha": 4, "dropout": 0.1}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A random model rambles: asking it takes longer than everything else."""
    monkeypatch.setattr(module, "answer_scores", lambda *_: {"points_f1": 0.25})


def loop_of(run: TuneSettings) -> TrainingLoop[TuningTask]:
    return TrainingLoop(run, lambda: TuningTask(run))


def interrupted(run: TuneSettings, after: int) -> None:
    """Ends a run in the step after so many."""
    loop = loop_of(run)
    step, steps = loop.step, []

    def failing() -> dict[str, float]:
        steps.append(1)
        if len(steps) > after:
            raise KeyboardInterrupt
        return step()

    loop.step = failing  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        loop.run()


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(next(folder.glob("*.safetensors")))


@pytest.fixture(scope="module")
def full(base: Path, labels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("full") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "answer_scores", lambda *_: {"points_f1": 0.25})
        tune(settings(base, labels, out, validation_share=0.2))
    return out


def test_both_stages_train_their_parts(full: Path, base: Path) -> None:
    before, after = weights(base), weights(full / "checkpoint")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    for part in ("image_vit.transformer.resblocks.0", "image_projector", "blocks.1.ff_proj", "wte.embedding"):
        assert any(part in name for name in changed), part
    # of nine blocks the last is never run
    assert not any("resblocks.8" in name for name in changed)
    state = json.loads((full / "progress.json").read_text())
    assert state == {"images_seen": 8, "state": "state-8"}
    with (full / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["images"], row["stage"], row["points_f1"]) for row in rows] == [
        ("2", "caption", ""), ("4", "caption", ""), ("6", "point", "0.25"), ("8", "point", "0.25"),
    ]  # fmt: skip
    assert all(float(row["valid_token"]) > 0 for row in rows)


def test_the_second_stage_leaves_alone_what_has_no_rate(base: Path, labels: Path, tmp_path: Path) -> None:
    run = settings(base, labels, tmp_path / "run")
    loop = loop_of(run.model_copy(update={"stages": run.stages[1:]}))
    model = loop.task.trained_model.model
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    loop.run()
    changed = {name for name, p in model.named_parameters() if not torch.equal(before[name], p)}
    assert changed and not any("image_vit" in name for name in changed)


@pytest.mark.parametrize(("after", "lora"), [(2, None), (3, LORA)])
def test_a_continued_run_ends_where_a_straight_one_does(after: int, lora: Any, base: Path, labels: Path, tmp_path: Path) -> None:
    name = "adapter" if lora else "checkpoint"
    rates = {"connector": 0, "vision": 0, "language": 1e-2}
    stages = [{"stage": stage, "images": 4, "rates": rates} for stage in ("caption", "point")]
    changes: dict[str, Any] = {"lora": lora, "stages": stages}
    tune(settings(base, labels, tmp_path / "straight", **changes))
    interrupted(settings(base, labels, tmp_path / "stopped", **changes), after)
    tune(settings(base, labels, tmp_path / "stopped", **changes))
    one, two = (weights(tmp_path / run / name) for run in ("straight", "stopped"))
    assert one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)
    # a forgotten optimiser would be noticed
    if after != 2:
        interrupted(settings(base, labels, tmp_path / "forgetful", **changes), after)
        path = next((tmp_path / "forgetful").glob("state-*")) / "optimizer.safetensors"
        state = load_file(path)
        module_save({k: v if k.endswith("step") else torch.zeros_like(v) for k, v in state.items()}, path)
        tune(settings(base, labels, tmp_path / "forgetful", **changes))
        three = weights(tmp_path / "forgetful" / name)
        assert any(not torch.equal(one[k], three[k]) for k in one)


def module_save(state: dict[str, torch.Tensor], path: Path) -> None:
    from safetensors.torch import save_file

    save_file(state, path)


def test_how_many_go_through_at_once_changes_nothing(base: Path, labels: Path, tmp_path: Path) -> None:
    stages = [{"stage": "point", "images": 4}]
    for micro in (1, 2):
        tune(settings(base, labels, tmp_path / str(micro), micro_batch=micro, stages=stages))
    one, two = (weights(tmp_path / str(micro) / "checkpoint") for micro in (1, 2))
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=0, atol=2e-5)
    again = settings(base, labels, tmp_path / "checked", gradient_checkpointing=True, stages=stages)
    tune(again)
    for name, tensor in weights(tmp_path / "checked" / "checkpoint").items():
        torch.testing.assert_close(tensor, one[name], rtol=0, atol=2e-5)


def test_it_learns_its_labels(base: Path, labels: Path, tmp_path: Path) -> None:
    rates = {"connector": 3e-3, "vision": 0, "language": 3e-3}
    stages = [{"stage": "point", "images": 30, "rates": rates}]
    loop = loop_of(settings(base, labels, tmp_path / "run", stages=stages, check_every=1000))
    losses: list[dict[str, float]] = []
    step = loop.step
    loop.step = lambda: losses.append(step()) or losses[-1]  # type: ignore[method-assign,func-returns-value]
    loop.run()
    assert np.mean([one["token"] for one in losses[-4:]]) < 0.7 * np.mean([one["token"] for one in losses[:2]])


def logits(model: Any, folder: Path) -> torch.Tensor:
    from molmo_point.model.inputs.molmo_processor import MolmoProcessor

    inputs = MolmoProcessor.from_pretrained(folder)(np.full((40, 60, 3), 99, np.uint8), "Point to the mug")
    with torch.inference_mode():
        return model(**inputs).logits


@pytest.mark.parametrize("quantization", ["", "nf4", "int8"])
def test_an_adapter_is_used_as_it_was_trained(
    quantization: str, base: Path, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("peft")
    if quantization:
        pytest.importorskip("bitsandbytes")
    rates = {"language": 2e-2}
    stages = [{"stage": "point", "images": 8, "rates": rates}]
    run = settings(base, labels, tmp_path / "run", lora=LORA, quantization=quantization, stages=stages)
    loop = loop_of(run)
    tuned = loop.task.trained_model
    assert len(quantized_modules(tuned.model)) == (8 if quantization else 0) if quantization else True
    assert tuned.trainable and all("lora_" in name and "vision" not in name for name in tuned.trainable)
    plain = logits(tuned.model.eval(), base)
    loop.run()
    adapter = tmp_path / "run" / "adapter"
    trained = logits(tuned.model.eval(), base)
    change = float((trained - plain).abs().max())
    assert change > 0.1
    options = {"device": "cpu", "quantization": quantization or None}
    for pointer in (Pointer.from_pretrained(base, adapter=adapter, **options), Pointer.from_pretrained(adapter, **options)):
        model = pointer.backend.model  # type: ignore[attr-defined]
        assert type(model) is Molmo
        # Products of rounded weights are not the same to the last bit on every path.
        off = float((logits(model, base) - trained).abs().max())
        assert off < (0.25 * change if quantization else 1e-4)
    assert pointer.backend.name == "adapter"
    frame = RgbdFrame(np.full((40, 60, 3), 99, np.uint8), None, None, stamp_ns=0)
    assert pointer.ask(frame, "What is it?", max_new_tokens=3).token_count <= 3
    # The state is small: adapters and their moments, not the base.
    assert sum(f.stat().st_size for f in (tmp_path / "run" / "state-8").iterdir()) < 100_000


def test_adapters_on_the_image_encoder_too(base: Path, labels: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    task = TuningTask(settings(base, labels, tmp_path / "run", lora=LORA | {"targets": "all"}))
    groups = task.trained(0)
    assert list(groups) == ["connector", "vision", "language"]
    # 9 blocks of 6 layers, 4 of pooling, 3 of the projector, 2 blocks of 4; two matrices each
    assert [len(groups[name]) for name in groups] == [2 * 7, 2 * 54, 2 * 8]
    with pytest.raises(InputError, match=r"lora\.targets"):
        TuningTask(settings(base, labels, tmp_path / "none", lora=LORA | {"targets": "nowhere"}))


def test_a_small_adapter_knows_its_embedded_base(labels: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    stages = [{"stage": "point", "images": 2}]
    run = settings(Path("tabletop"), labels, tmp_path / "run", lora=LORA, stages=stages)
    adapter = tune(run)
    assert json.loads((adapter / "adapter_config.json").read_text())["base_model_name_or_path"] == "tabletop"
    pointer = Pointer.from_pretrained(adapter, device="cpu")
    # What was measured of the base is not true of it any more.
    assert np.isnan(pointer.backend.sigma_px)  # type: ignore[attr-defined]


def test_bfloat16_on_a_gpu_only(full: Path, base: Path, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = TuningTask(settings(base, labels, tmp_path / "run")).trained_model
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(trained_model.torch, "autocast", lambda *arguments: asked.append(arguments))
    trained.precision()
    assert asked == []
    trained.device = torch.device("cuda", 0)
    trained.precision()
    assert asked == [("cuda", torch.bfloat16)]


def test_another_run_in_the_same_folder_is_refused(full: Path, base: Path, labels: Path) -> None:
    with pytest.raises(InputError, match="seed differ"):
        loop_of(settings(base, labels, full, validation_share=0.2, seed=4))
    done = loop_of(settings(base, labels, full, validation_share=0.2, micro_batch=2))
    assert done.images_seen == 8


def test_a_stage_without_images_and_rows_that_are_too_long_are_told(base: Path, labels: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"image": str(labels.parent / "0.png"), "label": "x", "points": []}) + "\n")
    with pytest.raises(InputError, match=r"nothing to train on.*caption"):
        TuningTask(settings(base, rows, tmp_path / "run"))
    with pytest.raises(InputError, match="max_tokens = 20"):
        tune(settings(base, labels, tmp_path / "run", max_tokens=20))


def test_bad_rows_and_broken_images_are_counted(base: Path, labels: Path, tmp_path: Path) -> None:
    folder = tmp_path / "labels"
    shutil.copytree(labels.parent, folder)
    with (folder / "rows.jsonl").open("a") as file:
        file.write("{\n")
    whole = (folder / "5.png").read_bytes()
    (folder / "5.png").write_bytes(whole[: len(whole) // 2])
    said: list[str] = []
    run = settings(base, folder / "rows.jsonl", tmp_path / "run", skip_bad=True)
    task = TuningTask(run, said.append)
    assert "1 bad rows left out" in said[0] and "rows.jsonl:25" in said[1]
    for step in range(12):
        task.draw("point", np.random.default_rng(step))
    assert task.mixture.sources[0].labels.bad.count == 2  # type: ignore[attr-defined]
    with pytest.raises(InputError, match=r"rows\.jsonl:25"):
        TuningTask(run.model_copy(update={"skip_bad": False}))
