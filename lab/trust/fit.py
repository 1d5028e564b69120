"""Fit and store everything that a shipped checkpoint states about its answers.

python -m lab.trust.fit --model tabletop --views 400 --scenes 600

The vocabulary and the abilities in trust.json stay as they are; `lab.export` writes them.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.trust import household_questions as unseen
from lab.evaluation.fresh_scenes import fresh_questions
from lab.training.wordings import plural
from lab.trust.read_out_fit import fit_read_out, forms, patches_of
from lab.trust.views import VIEWS
from molmo_point.backend import resolve_checkpoint
from molmo_point.cautions import CautionKind
from molmo_point.cli.evaluate.confidence import store
from molmo_point.evaluation.calibration_fit import fit_calibration, measure_calibration, table
from molmo_point.evaluation.degradations import DEGRADATIONS, STRENGTHS, degraded
from molmo_point.evaluation.labeled_view import table_view, word_pairs
from molmo_point.evaluation.observations import AnswerObservation, Observations, note_answer, observe
from molmo_point.evaluation.tabletop import sigma_px
from molmo_point.evaluation.trust_questions import TrustQuestion, trust_questions
from molmo_point.evaluation.trust_words import Half
from molmo_point.frame import RgbdFrame
from molmo_point.model.checkpoint.trust_file import training_description, write_training_description
from molmo_point.pointer import Pointer
from molmo_point.request import Kind
from molmo_point.trust.answer_model import AnswerFeatures
from molmo_point.trust.image_familiarity import ImageFamiliarity
from molmo_point.trust.trained_colors import TrainedColors
from molmo_point.trust.training_description import TrainingDescription

FIT_SEED, MEASURE_SEED = 940_000, 950_000
_SPOILED, _COUNTS = 2, 3
_UNFAMILIAR_SHARE = 0.005
"""Share of the right points of the fit at which the object counts as unfamiliar."""
_HARMLESS = ("swapped channels", "inverted", "gray-scale", "color cast", "mirrored", "zoomed")
"""Degradations that the classifier is not shown: colors have a check of their own, and the others spoil nothing."""
_ACCEPTED = (CautionKind.UNCALIBRATED, CautionKind.UNFAMILIAR_OBJECT)
"""Cautions of answers that the fit takes in: both follow from it."""
_KINDS = (
    "in domain", "fixed camera of the arm", "wrist camera of the arm", "degradations", "other lights", "other cameras",
    "other tables",
)  # fmt: skip
Questions = Callable[[int, int], Iterator[TrustQuestion]]


def fit_description(pointer: Pointer, name: str, views: int, told: TrainingDescription) -> TrainingDescription:
    """Fit familiarity and read-outs on rendered views, and add them to a description."""
    rng, backend = np.random.default_rng(3), pointer.backend
    names = [each for each in Half.DEVELOP.of(DEGRADATIONS) if each not in _HARMLESS]
    clean, spoiled, patches = [], [], []
    for view in tqdm(VIEWS[name](FIT_SEED, views), desc="views"):
        worse = [degraded(view, str(rng.choice(names)), int(rng.choice(STRENGTHS)), rng) for _ in range(_SPOILED)]
        for each, summaries in ((view, clean), *((each, spoiled) for each in worse)):
            features = backend.image_features(each.color)
            assert features is not None, "the backend tells no features"
            summaries.append(features.summary)
            patches += patches_of(each, features, rng)
    values = np.stack([patch for patch, _, _ in patches])
    shapes = [shape or "" for _, _, shape in patches]
    colors = [color or (None if shape else "") for _, color, shape in patches]
    read_outs = (
        fit_read_out(values, colors, lambda word: (word,), False),
        fit_read_out(values, shapes, forms, True),
    )
    familiarity = ImageFamiliarity.fit(np.stack(clean), np.stack(spoiled))
    return replace(told, familiarity=familiarity, read_outs=read_outs, colors=fit_colors(name, views))


def fit_colors(name: str, views: int) -> TrainedColors:
    """Fit the colors of rendered views."""
    return TrainedColors.fit(view.color for view in tqdm(VIEWS[name](FIT_SEED, views), desc="colors"))


def tabletop_questions(first: int, scenes: int) -> Iterator[TrustQuestion]:
    """Ask about plain tables, half of the time for what is not there, also in spoiled pictures and on other tables."""
    for scene in tqdm(range(first, first + scenes), desc="scenes"):
        yield from trust_questions(scene, Half.DEVELOP, _KINDS)


def household_questions(first: int, scenes: int) -> Iterator[TrustQuestion]:
    """Ask about household tables: as the training does, and half of the time for what is not there."""
    for question in tqdm(fresh_questions(scenes, first, 4), desc="questions"):
        if question.kind != "count":
            mask = np.isin(question.mask, question.targets)
            yield TrustQuestion("in domain", question.frame, question.phrase, mask, question.scene, question.kind)
    yield from tqdm(unseen.household_questions(unseen.HOUSEHOLD, scenes // 2, Half.DEVELOP, first), desc="absent")
    for scene in tqdm(range(first, first + scenes // 6), desc="plain tables"):
        yield from trust_questions(scene, Half.DEVELOP, _KINDS[:4])


def mixed_questions(first: int, scenes: int) -> Iterator[TrustQuestion]:
    """Ask about household tables, and about a fifth as many of plain shapes."""
    yield from household_questions(first, scenes)
    yield from tabletop_questions(first, scenes // 5)


QUESTIONS: dict[str, Questions] = {
    "tabletop": tabletop_questions, "household": household_questions, "objects": mixed_questions,
}  # fmt: skip


def observed(pointer: Pointer, questions: Iterator[TrustQuestion]) -> Observations:
    """Ask questions, and note the answers that bear no caution about their picture or label."""
    found = Observations()
    for question in questions:
        pointing = pointer.point(question.frame, question.words)
        if all(caution.kind in _ACCEPTED for caution in pointing.cautions):
            note_answer(found, pointing, question.right_mask, question.scene)
    return found


def note_counts(found: Observations, pointer: Pointer, first: int, scenes: int) -> None:
    """Count shapes and colors on plain tables, and note which counts are right."""
    for scene in tqdm(range(first, first + scenes), desc="counts"):
        view, rng = table_view(scene), np.random.default_rng([scene, 41])
        pairs = [(color, shape, view.fitting(color, shape)) for color, shape in word_pairs()]
        known = [(color, shape, numbers) for color, shape, numbers in pairs if numbers]
        for k in rng.permutation(len(known))[:_COUNTS]:
            color, shape, numbers = known[int(k)]
            words = f"{color} {plural(shape or 'object')}".strip()
            count = pointer.count(RgbdFrame.of(view.color), words)
            if all(caution.kind in _ACCEPTED for caution in count.cautions):
                features = AnswerFeatures(**count.signals)
                found.counts.append(AnswerObservation(features, bool(count.points), count.count == len(numbers), False, scene))


def main() -> None:
    """Run ``python -m lab.trust.fit --model NAME``."""
    parser = argparse.ArgumentParser(description="Fit what a shipped checkpoint states about its answers.")
    parser.add_argument("--model", choices=sorted(VIEWS), required=True)
    parser.add_argument("--views", type=int, default=400, help="scenes for familiarity and read-outs")
    parser.add_argument("--scenes", type=int, default=600, help="scenes for the calibration; a third as many measure it")
    parser.add_argument("--keep-description", action="store_true", help="fit the calibration alone")
    args = parser.parse_args()
    folder = Path(resolve_checkpoint(args.model))
    if not args.keep_description:
        pointer = Pointer.from_pretrained(args.model)
        told = training_description(folder)
        write_training_description(folder, fit_description(pointer, args.model, args.views, told))
    pointer, sets = Pointer.from_pretrained(args.model), []
    for first, scenes in ((FIT_SEED, args.scenes), (MEASURE_SEED, args.scenes // 3)):
        seen = observed(pointer, QUESTIONS[args.model](first, scenes))
        if Kind.COUNT in (pointer.backend.training.abilities or ()):
            note_counts(seen, pointer, first, scenes)
        sets.append(seen)
    fitted, measured = sets
    evidence = [each.features.around for each in fitted.answers if each.right and each.has_points]
    least = float(np.nanquantile(evidence, _UNFAMILIAR_SHARE))
    write_training_description(folder, replace(training_description(folder), least_evidence=least))
    spread = observe(pointer, range(FIT_SEED, FIT_SEED + args.scenes // 5))
    fitted.distance2, fitted.offset_px = spread.distance2, spread.offset_px
    measured.distance2 = observe(pointer, range(MEASURE_SEED, MEASURE_SEED + args.scenes // 10)).distance2
    calibration = fit_calibration(fitted)
    figures = measure_calibration(measured, calibration)
    about = {"scenes_of": args.model, "program": "lab.trust.fit"}
    settings = {
        **calibration.to_settings(),
        "fitted_on": {**about, "first_seed": FIT_SEED, "answers": len(fitted.answers), "counts": len(fitted.counts)},
        "measured_on": {**about, "first_seed": MEASURE_SEED, "answers": len(measured.answers), "counts": len(measured.counts)},
        "measured": figures,
    }
    store(folder, settings, sigma_px(fitted.offset_px))
    print(table(figures))


if __name__ == "__main__":
    main()
