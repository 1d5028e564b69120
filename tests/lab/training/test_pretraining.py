"""A run that is interrupted and continued ends where an uninterrupted one does, bit for bit."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerFast

from lab.export import export_checkpoint
from lab.training import pretraining as module
from lab.training.pretraining import PretrainingTask, prepare, pretrain
from lab.training.settings import PretrainSettings
from molmo_point.backend import resolve_checkpoint
from molmo_point.errors import InputError
from molmo_point.finetuning.loop import TrainingLoop
from molmo_point.finetuning.run_file import parse_settings, read_run_file
from molmo_point.finetuning.state import record_settings, refuse_another_run
from molmo_point.model import load_backend
from molmo_point.model.architecture.config import MolmoVisionConfig, load_config
from molmo_point.model.inputs.molmo_processor import MolmoProcessor

SETTINGS = {"see_images": 4, "point_images": 6, "batch": 2, "questions": 2, "workers": 1, "check_every": 2}
Loop = TrainingLoop[PretrainingTask]


class Start:
    """Makes the loop of a run in a folder; the tokenizer is not trained and nothing is measured."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, scenes: Path) -> None:
        self.tokenizer, self.scenes = tokenizer, scenes

    def settings(self, out: Path, **changes: Any) -> PretrainSettings:
        return PretrainSettings(**{"out": str(out), "scenes": str(self.scenes), **SETTINGS, **changes})

    def __call__(self, out: Path, **changes: Any) -> Loop:
        settings = self.settings(out, **changes)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "train_tokenizer", lambda *_: self.tokenizer)
            refuse_another_run(settings)
            prepare(settings)
            record_settings(settings)
        made = TrainingLoop(settings, lambda: PretrainingTask(settings))
        made.task.check = lambda step: {}  # type: ignore[method-assign]
        return made


@pytest.fixture(scope="module")
def start(tokenizer: PreTrainedTokenizerFast, scenes: Path) -> Start:
    return Start(tokenizer, scenes)


@pytest.fixture(scope="module")
def straight(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("straight")
    start(out).run()
    return out


@pytest.fixture(scope="module")
def interrupted(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that stopped in its fourth step, in the second phase."""
    out = tmp_path_factory.mktemp("interrupted")
    run = start(out)
    step, steps = run.step, []

    def failing() -> dict[str, float]:
        steps.append(1)
        if len(steps) == 4:
            raise KeyboardInterrupt
        return step()

    run.step = failing  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert json.loads((out / "progress.json").read_text()) == {"images_seen": 6, "state": "state-6"}
    assert [path.name for path in out.glob("state-*")] == ["state-6"]
    return out


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "checkpoint" / "model.safetensors")


def test_a_continued_run_ends_where_a_straight_one_does(start: Start, straight: Path, interrupted: Path, tmp_path: Path) -> None:
    out = tmp_path / "continued"
    shutil.copytree(interrupted, out)
    again = start(out)
    assert again.images_seen == 6
    again.run()
    for name, tensor in weights(straight).items():
        assert torch.equal(tensor, weights(out)[name]), name
    for file in ("heads.safetensors", "optimizer.safetensors"):
        one, two = (load_file(next(run.glob("state-*")) / file) for run in (straight, out))
        assert one.keys() == two.keys()
        assert all(torch.equal(one[k], two[k]) for k in one), file


def test_a_forgotten_optimiser_state_would_be_noticed(start: Start, straight: Path, interrupted: Path, tmp_path: Path) -> None:
    out = tmp_path / "forgetful"
    shutil.copytree(interrupted, out)
    path = out / "state-6" / "optimizer.safetensors"
    state = load_file(path)
    save_file({k: v if k.endswith("step") else torch.zeros_like(v) for k, v in state.items()}, path)
    start(out).run()
    assert any(not torch.equal(tensor, weights(out)[name]) for name, tensor in weights(straight).items())


def test_both_phases_train_what_they_should(start: Start, straight: Path, interrupted: Path, tmp_path: Path) -> None:
    first = {name: tensor.clone() for name, tensor in start(tmp_path / "fresh").task.model.state_dict().items()}
    trained = weights(straight)
    assert all(torch.isfinite(tensor).all() for tensor in trained.values())
    # The last vision block never contributes; rows of tokens that were not drawn keep their place.
    still = {name for name in trained if torch.equal(trained[name], first[name])}
    assert all("resblocks.8." in name for name in still)
    decoder = "model.transformer.blocks.2.ff_proj.weight"
    assert not torch.equal(weights(interrupted)[decoder], first[decoder])


def test_a_finished_run_does_nothing_more(start: Start, straight: Path) -> None:
    before = weights(straight)
    run = start(straight)
    assert run.images_seen == 10
    run.run()
    assert all(torch.equal(before[name], tensor) for name, tensor in weights(straight).items())


def test_captions_come_between_seeing_and_pointing(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lessons = []
    draw = module.draw_batch
    monkeypatch.setattr(module, "draw_batch", lambda *given: lessons.append(given[-1]) or draw(*given))
    changes = {"see_images": 2, "caption_images": 2, "point_images": 4, "short_share": 0.5, "few_until": 0.5}
    start(tmp_path, check_every=100, **changes).run()
    assert [(lesson.captions, lesson.short_share, lesson.most_objects) for lesson in lessons] == [
        (False, 0.0, None), (True, 0.0, None), (False, 0.5, 1), (False, 0.5, None),
    ]  # fmt: skip
    assert all(torch.isfinite(tensor).all() for tensor in weights(tmp_path).values())


def test_other_settings_in_the_same_folder_are_refused(start: Start, straight: Path) -> None:
    with pytest.raises(InputError, match=r"point_rate, seed differ"):
        start(straight, seed=3, point_rate=1e-2)


def test_another_plan_is_refused_until_it_is_asked_for_and_plans_are_kept(
    start: Start, straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PretrainingTask, "check", lambda *_: {})
    out = tmp_path / "replanned"
    shutil.copytree(straight, out)
    longer = start.settings(out, point_images=8)
    with pytest.raises(InputError, match=r"point_images differ.*--replan"):
        pretrain(longer)
    pretrain(longer, replan=True)
    plans = [json.loads(line) for line in (out / "plans.jsonl").read_text().splitlines()]
    assert [(plan["from_images"], plan["point_images"]) for plan in plans][1:] == [(10, 8)]
    assert json.loads((out / "progress.json").read_text())["images_seen"] == 12
    with pytest.raises(InputError, match="seed differ"):
        pretrain(start.settings(out, seed=5), replan=True)


def test_workers_must_share_a_batch() -> None:
    for workers in (0, 3):
        with pytest.raises(InputError, match="workers"):
            parse_settings(PretrainSettings, {"scenes": "s", "out": "o", **SETTINGS, "workers": workers}, "test")


def test_workers_average_their_gradients(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = start(tmp_path, workers=2).task
    parameters = [p for group in task.trained(0).values() for p in group]
    for k, parameter in enumerate(parameters[:-3]):
        parameter.grad = torch.full_like(parameter, float(k))
    monkeypatch.setattr(module.dist, "all_reduce", lambda flat: flat.add_(1.0))
    task.reduce_gradients(parameters)
    for k, parameter in enumerate(parameters[:-3]):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, torch.full_like(parameter, (k + 1) / 2))
    assert all(parameter.grad is None for parameter in parameters[-3:])


# --- What is shipped --------------------------------------------------------------------------------------------


def test_an_exported_run_loads_and_states_its_error(straight: Path, tmp_path: Path) -> None:
    target = tmp_path / "shipped"
    export_checkpoint(straight, target, {"sigma_px_at_640": 3.14159, "hit_rate": 0.5})
    backend = load_backend(target, device="cpu")
    assert backend.sigma_px == 3.14
    assert not list(target.glob("*.part"))
    assert (target / "model.safetensors").stat().st_mode & 0o777 == 0o644
    trained = weights(straight)
    for name, tensor in backend.model.state_dict().items():
        torch.testing.assert_close(tensor, trained[name], rtol=1e-3, atol=1e-6)
    assert all(t.dtype == torch.float16 for t in load_file(target / "model.safetensors").values())
    export_checkpoint(straight, target, None)
    assert load_backend(target, device="cpu").sigma_px == 3.14


def test_a_run_without_a_checkpoint_is_not_shipped(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must have a checkpoint"):
        export_checkpoint(tmp_path, tmp_path / "shipped", None)
    assert not (tmp_path / "shipped").exists()


def test_a_save_cut_short_leaves_the_one_before(start: Start, interrupted: Path, tmp_path: Path) -> None:
    out = tmp_path / "cut"
    shutil.copytree(interrupted, out)
    (out / "state-12").mkdir()
    (out / "state-12" / "model.safetensors").write_bytes(b"half")
    assert start(out).images_seen == 6


def test_a_broken_state_is_named(start: Start, interrupted: Path, tmp_path: Path) -> None:
    out = tmp_path / "broken"
    shutil.copytree(interrupted, out)
    (out / "state-6" / "heads.safetensors").write_bytes(b"half")
    with pytest.raises(InputError, match=r"progress\.json"):
        start(out)


def test_a_stem_before_the_decoder_of_a_checkpoint_keeps_its_tokenizer(start: Start, tmp_path: Path) -> None:
    household = Path(resolve_checkpoint("household"))
    prepare(start.settings(tmp_path, size="medium", start=str(household), stem="lite0"))
    made = tmp_path / "checkpoint"
    old, new = (MolmoProcessor.from_pretrained(folder) for folder in (household, made))
    assert new.tokenizer.get_vocab() == old.tokenizer.get_vocab() and new.layout == old.layout
    vision = load_config(made).vision_config
    assert isinstance(vision, MolmoVisionConfig) and vision.stem is not None and vision.num_hidden_layers == 3


def test_read_outs_learn_alone_at_first(start: Start, tmp_path: Path) -> None:
    run = start(tmp_path, see_images=0, head_images=2)
    before = {name: tensor.clone() for name, tensor in run.task.model.state_dict().items()}
    heads = run.task.heads.token.weight.detach().clone()
    run.step()
    assert all(torch.equal(tensor, before[name]) for name, tensor in run.task.model.state_dict().items())
    assert not torch.equal(heads, run.task.heads.token.weight)
    run.step_number = 1
    run.step()
    assert not torch.equal(
        run.task.model.state_dict()["model.transformer.ff_out.weight"], before["model.transformer.ff_out.weight"]
    )


def test_the_runs_of_the_gate_differ_in_the_stem_alone() -> None:
    folder = Path(module.__file__).parents[1] / "runs"
    one, two = (
        parse_settings(PretrainSettings, read_run_file(folder / f"gate_{name}.yaml"), name) for name in ("stem", "household")
    )
    assert one.total_steps * one.batch == 12_000 and one.stem == "lite0"
    assert one.model_copy(update={"stem": "", "out": two.out}) == two
