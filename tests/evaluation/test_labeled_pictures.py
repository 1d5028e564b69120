"""Half of the questions are about what is not there; pictures are parted, never questions."""

from pathlib import Path

import numpy as np
import pytest

from molmo_point.errors import InputError
from molmo_point.evaluation.calibration_fit import RAW, brier_score, expected_calibration_error, fit_calibration, stated_claims
from molmo_point.evaluation.labeled_pictures import AbsentNames, LabeledQuestion, parted, questioned
from molmo_point.evaluation.picture_answers import answers_about, known_words
from molmo_point.finetuning.labels.formats import Annotation, Caption, PointLabels
from molmo_point.finetuning.labels.label_set import LabeledImage, LabelSet
from molmo_point.pointer import Pointer
from tests.evaluation.own_pictures import NAMES, SureModel, write_pictures

AT = np.array([[50.0, 50.0]])


def image(*annotations: Annotation) -> LabeledImage:
    return LabeledImage(Path("none.png"), "rows:1", list(annotations))


def here(label: str) -> PointLabels:
    return PointLabels(label, AT, 1)


def gone(label: str) -> PointLabels:
    return PointLabels(label, np.zeros((0, 2)), 0)


def names(images: list[LabeledImage], absent: AbsentNames = AbsentNames.OTHERS) -> list[tuple[list[str], list[str]]]:
    """Names that are there and names that are not, for every picture."""
    found = questioned(images, absent, seed=0)
    return [tuple(sorted(q.words for q in each.questions if q.absent is kind) for kind in (False, True)) for each in found]  # type: ignore[misc]


def test_absent_names_are_labels_of_other_pictures() -> None:
    images = [image(here("mug"), here("fork")), image(here("spoon")), image(here("knife"))]
    assert [len(absent) for _, absent in names(images)] == [2, 1, 1]
    (first, absent), *_ = names(images)
    assert first == ["fork", "mug"] and absent == ["knife", "spoon"]


def test_a_name_that_may_mean_a_labeled_object_is_not_asked_as_absent() -> None:
    images = [image(here("the red mugs")), image(here("mug"), here("handle of the red mug")), image(here("blue mug"))]
    assert names(images)[0] == (["the red mugs"], ["blue mug"])
    assert names(images)[2] == (["blue mug"], ["handle of the red mug"]) or names(images)[2][1] == ["the red mugs"]


def test_rows_without_points_go_first_and_may_be_the_only_ones() -> None:
    images = [image(here("mug"), gone("cat")), image(here("fork"))]
    assert names(images) == [(["mug"], ["cat"]), (["fork"], ["mug"])]
    assert names(images, AbsentNames.ROWS) == [(["mug"], ["cat"]), (["fork"], [])]
    assert names([image(gone("cat"))], AbsentNames.ROWS) == [([], ["cat"])]


def test_objects_without_a_place_are_neither_asked_for_nor_absent() -> None:
    images = [image(PointLabels("mugs", None, 3), here("fork")), image(here("mugs")), image(Caption("A table."))]
    assert names(images) == [(["fork"], []), (["mugs"], ["fork"])]


def test_rows_of_one_label_are_one_question() -> None:
    (picture,) = questioned([image(here("mug"), gone("mug"), here("mug"))], AbsentNames.OTHERS, 0)
    (question,) = picture.questions
    assert len(question.percent) == 2


def test_a_point_is_right_near_a_label_or_in_a_box() -> None:
    near = LabeledQuestion("mug", AT)
    # The middle of 300 × 400 pixels is at (149.5, 199.5); the diagonal is 500.
    assert near.is_right(np.array([149.5, 224.0]), (300, 400), 0.05)
    assert not near.is_right(np.array([149.5, 226.0]), (300, 400), 0.05)
    boxed = LabeledQuestion("mug", AT, np.array([[40.0, 45.0, 60.0, 90.0]]))
    assert boxed.is_right(np.array([149.5, 350.0]), (300, 400), 0.05)
    assert not boxed.is_right(np.array([149.5, 175.0]), (300, 400), 0.5)
    assert not LabeledQuestion("mug").is_right(np.array([1.0, 1.0]), (300, 400), 0.5)


def test_pictures_are_parted_and_copies_stay_together(tmp_path: Path) -> None:
    path = write_pictures(tmp_path, 40)
    text = path.read_text()
    for k in range(40):
        (tmp_path / f"copy{k}.png").write_bytes((tmp_path / f"{k}.png").read_bytes())
    path.write_text(text + "".join(line.replace('"image": "', '"image": "copy') + "\n" for line in text.splitlines()))
    pictures = questioned(LabelSet(path, validation_share=0).train, AbsentNames.OTHERS, 0)
    assert len(pictures) == 80
    one, two = ({picture.image.path.stem.removeprefix("copy") for picture in part} for part in parted(pictures, 3))
    assert not one & two and len(one) == len(two) == 20
    again, _ = parted(pictures, 3)
    assert {picture.image.path.stem.removeprefix("copy") for picture in again} == one


@pytest.mark.parametrize(("count", "told"), [(16, "8 pictures, 8 objects"), (22, "11 pictures, 11 objects")])
def test_too_few_pictures_are_refused_with_the_number_needed(count: int, told: str, tmp_path: Path) -> None:
    pictures = questioned(LabelSet(write_pictures(tmp_path, count), validation_share=0).train, AbsentNames.OTHERS, 0)
    with pytest.raises(InputError, match="label about 29 pictures") as caught:
        parted(pictures, 0)
    assert told in str(caught.value) and "Each half" in str(caught.value)


def test_one_name_alone_leaves_nothing_absent_to_ask_for(tmp_path: Path) -> None:
    path = write_pictures(tmp_path, 40)
    path.write_text(path.read_text().replace("disc", "square").replace("star", "square").replace("ring", "square"))
    pictures = questioned(LabelSet(path, validation_share=0).train, AbsentNames.OTHERS, 0)
    with pytest.raises(InputError, match=r"0 names of absent objects.*rows without points"):
        parted(pictures, 0)


def test_a_sure_model_becomes_honest_on_other_pictures(tmp_path: Path) -> None:
    pictures = questioned(LabelSet(write_pictures(tmp_path, 80), validation_share=0).train, AbsentNames.OTHERS, 0)
    pointer = Pointer(SureModel())
    fitted, measured = (answers_about(pointer, part, 0.05) for part in parted(pictures, 0))
    raw, stated = (stated_claims(measured.seen, calibration)[0] for calibration in (RAW, fit_calibration(fitted.seen)))
    assert expected_calibration_error(raw) > 0.2 > 2 * expected_calibration_error(stated)
    assert brier_score(stated) < brier_score(raw)
    shares = measured.shares()
    assert shares["present_right"]["share"] == 1.0 and 0.3 < shares["absent_denied"]["share"] < 0.7
    assert known_words([measured]) == sorted(NAMES)


def test_a_model_without_probabilities_is_refused_at_the_first_answer(tmp_path: Path) -> None:
    pictures = questioned(LabelSet(write_pictures(tmp_path, 24), validation_share=0).train, AbsentNames.OTHERS, 0)
    model = SureModel(tells=False)
    with pytest.raises(InputError, match="must tell the probabilities"):
        answers_about(Pointer(model), pictures, 0.05)
    assert len(model.asked) == 1
