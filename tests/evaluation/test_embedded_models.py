"""The shipped checkpoints do what their cards say, on a few fresh scenes; what they are worth is measured by `eval`."""

import json
from pathlib import Path

import pytest

import molmo_point
from lab.evaluation.answer_kinds import evaluate_household
from molmo_point.backend import available_checkpoints
from molmo_point.pointer import Pointer
from molmo_point.trust.confidence_calibration import Calibration

pytest.importorskip("mujoco")
CHECKPOINTS = Path(molmo_point.__file__).parent / "checkpoints"


def test_household_points_at_things_by_name() -> None:
    from lab.evaluation.fresh_scenes import fresh_questions

    sheet = evaluate_household(Pointer.from_pretrained("household"), fresh_questions(8, 500))
    named = [verdict for verdict in sheet.verdicts if verdict.question.kind in ("name", "colour_name")]
    # By chance it would be one in five; the card says six in ten.
    assert len(named) == 9 and sum(verdict.right for verdict in named) >= 5


@pytest.mark.parametrize("name", available_checkpoints())
def test_a_card_and_the_figures_come_with_every_checkpoint(name: str) -> None:
    folder = CHECKPOINTS / name
    stated = json.loads((folder / "pointing.json").read_text(encoding="utf-8"))
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert 0 < stated["sigma_px_at_640"] < 40 and Calibration.from_settings(stated["calibration"]).is_fitted
    assert f"{100 * stated['measured']['point_in_mask']['share']:.1f} %" in card
    assert f"{100 * stated['measured']['absent_recognised']['share']:.1f} %" in card
    assert sum(path.stat().st_size for path in folder.iterdir()) < 60e6
