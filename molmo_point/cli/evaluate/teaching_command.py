"""The `molmo-point eval teach` command: accuracy of taught objects."""

import argparse
import math
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from molmo_point.cli.output import progress
from molmo_point.cli.progress import counted
from molmo_point.errors import InputError
from molmo_point.evaluation.teach.own_photographs import evaluate_photographs, own_photographs
from molmo_point.evaluation.teach.taught_answers import TaughtAnswer
from molmo_point.evaluation.teach.teach_table import summarize_teaching, teaching_tables
from molmo_point.evaluation.teach.toy_evaluation import TeachRun, TeachSettings, evaluate_toys
from molmo_point.sim.unkind_faults import simulator_faults
from molmo_point.viz.overlay import save_png

_SHEET, _COLUMNS, _TILE_WH = 24, 4, (400, 300)
_RIGHT, _WRONG, _CAUTIONED = (40, 200, 60), (230, 40, 40), (250, 180, 0)


def check(options: argparse.Namespace) -> None:
    """Refuse before the measurement what cannot be done after it."""
    if options.simulator is not None:
        simulator_faults(options.simulator)
    if options.photographs is not None:
        if not options.photographs.is_dir():
            given = str(options.photographs)
            raise InputError("--folder must be a folder", given, "give a folder with one folder for each object")
        toys = ("objects", "views", "simulator", "true_masks")
        lone = [option for option in toys if getattr(options, option)]
        if lone:
            given = f"--{lone[0].replace('_', '-')} with --folder"
            raise InputError("options of toys must be given without --folder", given, "leave one of them out")
    elif options.objects == 1:
        raise InputError("--objects must be 2 or more", "1", "the others are the absent ones")


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Teach and ask; return the figures and their tables."""
    pictures = 0 if options.sheet is None else _SHEET
    about: dict[str, Any]
    if options.photographs is not None:
        photographs, left_out = own_photographs(options.photographs)
        for line in left_out:
            progress(f"left out: {line}")
        run = evaluate_photographs(photographs, counted, pictures)
        about = {"photographs_of": str(options.photographs), "photographs": len(photographs), "left_out": left_out}
    else:
        settings = TeachSettings(
            objects=options.objects or 20,
            views=options.views or 5,
            tables=options.scenes,
            seed=options.seed,
            simulator=options.simulator or "kind",
            true_masks=options.true_masks,
        )
        run = evaluate_toys(settings, counted, pictures)
        about = dict(vars(settings))
    if options.sheet is not None:
        save_png(options.sheet, answer_sheet(run))
    figures = summarize_teaching(run)
    return {**about, **figures, "answers": [answer.to_dict() for answer in run.answers]}, teaching_tables(figures)


def answer_sheet(run: TeachRun) -> np.ndarray:
    """Draw answers into pictures (h, w, 3): right green, wrong red, doubtful amber; below each, what was denied wrongly."""
    tiles = [_tile(color, [a for a in run.answers if a.table == number]) for number, color in run.pictures]
    rows = -(-len(tiles) // _COLUMNS) or 1
    width, height = _TILE_WH
    page = np.full((rows * height, _COLUMNS * width, 3), 255, np.uint8)
    for k, tile in enumerate(tiles):
        row, column = divmod(k, _COLUMNS)
        page[row * height : (row + 1) * height, column * width : (column + 1) * width] = tile
    return page


def _tile(color: np.ndarray, answers: list[TaughtAnswer]) -> np.ndarray:
    width, height = _TILE_WH
    page = Image.fromarray(color).resize(_TILE_WH)
    pen, scale = ImageDraw.Draw(page), (width / color.shape[1], height / color.shape[0])
    missed = []
    for answer in answers:
        if answer.uv is None:
            missed += [answer.name] if answer.asked.value == "present" else []
            continue
        u, v = answer.uv[0] * scale[0], answer.uv[1] * scale[1]
        ink = _RIGHT if answer.right else _CAUTIONED if answer.cautions else _WRONG
        pen.ellipse((u - 5, v - 5, u + 5, v + 5), outline=ink, width=3)
        sure = f" {100 * answer.confidence:.0f} %" if math.isfinite(answer.confidence) else ""
        pen.text((u + 8, v - 6), f"{answer.name}{sure}", fill=ink, stroke_width=2, stroke_fill=(0, 0, 0))
    if missed:
        pen.text((6, height - 16), f"missed: {', '.join(missed)}", fill=_WRONG, stroke_width=2, stroke_fill=(0, 0, 0))
    return np.asarray(page)
