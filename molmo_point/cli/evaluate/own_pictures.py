"""The `molmo-point eval calibration --data` command: calibration of a checkpoint on a user's labeled pictures."""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from molmo_point.backend import resolve_checkpoint
from molmo_point.cli.evaluate.confidence import calibrate, check_output
from molmo_point.cli.output import progress
from molmo_point.cli.progress import counted
from molmo_point.errors import InputError
from molmo_point.evaluation.intervals import figure_row, markdown
from molmo_point.evaluation.labeled_pictures import AbsentNames, QuestionedPicture, content_digest, parted, questioned
from molmo_point.evaluation.observations import Observations
from molmo_point.evaluation.picture_answers import PictureAnswers, answers_about, familiarity_of, known_words
from molmo_point.files import check_writable
from molmo_point.finetuning.labels.label_set import LabelSet
from molmo_point.finetuning.taught import with_words
from molmo_point.finetuning.trained_images import trained_images
from molmo_point.model.checkpoint.trust_file import TRUST_FILE, training_description, write_training_description
from molmo_point.pointer import Pointer
from molmo_point.trust.image_familiarity import LEAST_IMAGES, ImageFamiliarity

RADIUS_PERCENT = 5.0


def check(options: argparse.Namespace) -> None:
    """Refuse before the long measurement what cannot be done after it."""
    if options.scenes is not None:
        raise InputError("--scenes must be given without --data", f"--scenes {options.scenes}", "leave one of them out")
    if options.radius is not None and not 0 < options.radius <= 50:
        raise InputError("--radius must be a percentage from 0 to 50", f"{options.radius:g}", f"use {RADIUS_PERCENT:g}")
    if options.vocabulary and not options.write:
        raise InputError("--vocabulary must be given with --write", "no --write", "add --write, or leave --vocabulary out")
    check_output(options)
    if options.write:
        check_writable(Path(resolve_checkpoint(options.model)) / TRUST_FILE)


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Fit on one half of the pictures and measure on the other; return the figures and their tables."""
    halves = parted(_pictures(options), options.seed)
    pointer = Pointer.from_pretrained(options.model, device=options.device)
    radius = RADIUS_PERCENT if options.radius is None else options.radius
    answers: list[PictureAnswers] = []

    def observed() -> Iterator[tuple[dict[str, Any], Observations]]:
        for half in halves:
            answers.append(answers_about(pointer, counted(half, len(half), "picture"), radius / 100))
            about = {"pictures_of": str(options.data), "pictures": len(half), "answers": len(answers[-1].words)}
            yield about | {"radius_percent": radius}, answers[-1].seen

    figures, lines = calibrate(options, observed())
    shares = answers[1].shares()
    if options.write:
        _describe(options, known_words(answers), familiarity_of(answers))
    rows = [figure_row(name.replace("_", " "), value, "") for name, value in shares.items()]
    table = markdown(("answers", "share", "95 % interval", "trials"), rows)
    return {"model": options.model, "answers": shares, **figures}, f"{table}\n\n{lines}"


def _pictures(options: argparse.Namespace) -> list[QuestionedPicture]:
    """Read the labels, without the pictures that the model was trained on."""
    labels = LabelSet(options.data, None, options.images, options.unit, options.skip_bad, validation_share=0)
    if labels.bad.count:
        progress(f"{labels.bad.count} bad rows left out, the first: {labels.bad.told[0]}")
    trained = _trained_digests(options.model)
    images = [image for image in labels.train if not trained or content_digest(image) not in trained]
    if len(images) < len(labels.train):
        progress(f"{len(labels.train) - len(images)} pictures left out: the model was trained on them")
    return questioned(images, AbsentNames(options.absent or AbsentNames.OTHERS), options.seed)


def _trained_digests(model: str) -> frozenset[str]:
    folder = resolve_checkpoint(model)
    try:
        return frozenset(map(content_digest, trained_images(folder))) if isinstance(folder, Path) else frozenset()
    except InputError as error:
        progress(f"the pictures of the training are not known, so make sure that none is among these ({error.given})")
        return frozenset()


def _describe(options: argparse.Namespace, known: list[str], familiarity: ImageFamiliarity | None) -> None:
    """Store the words that the model was measured to know, where it has a vocabulary or is to have one, and the images."""
    folder = Path(resolve_checkpoint(options.model))
    description = training_description(folder)
    if options.vocabulary and not known:
        fix = "leave --vocabulary out, or train the model on these labels"
        raise InputError("--vocabulary must have labels that the model knows", "none was answered right often enough", fix)
    described = with_words(
        replace(description, vocabulary=None) if options.vocabulary else description, known, options.vocabulary
    )
    if familiarity is None:
        progress(f"too few pictures to tell unfamiliar ones ({LEAST_IMAGES} are needed), or no vision features")
    description = replace(described, familiarity=familiarity or description.familiarity)
    if description.to_settings():
        write_training_description(folder, description)
    progress(f"labels that it knows: {', '.join(known) or 'none'}")
