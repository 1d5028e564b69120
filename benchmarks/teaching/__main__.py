"""Taught objects on tables that nobody chose: objects of meshes, shown on some tables and asked for on others.

python -m benchmarks.teaching --scenes 4 --views 1 5
python -m benchmarks.teaching --meshes FOLDER --half judge --seed 700000

Objects are those of the household pack, or with --meshes those of other packages, unpacked in a folder. A hash divides both into
objects that choose and objects that judge.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.program import add_output, run_program
from benchmarks.teaching.foreign_objects import foreign_objects
from benchmarks.teaching.taught_scenes import MIN_PIXELS, Episode, half_of, make_episode, open_stage
from lab.household.scene_set import household_assets
from molmo_point.arrays import FloatArray
from molmo_point.evaluation.intervals import share
from molmo_point.model.taught.feature_network import FeatureNetwork, load_feature_network
from molmo_point.model.taught.heads import head_of
from molmo_point.model.taught.object_metric import load_object_metric
from molmo_point.model.taught.places import find_places
from molmo_point.model.taught.seen_image import see_image
from molmo_point.model.taught.shown_view import ShownView
from molmo_point.model.taught.view_examples import ViewExamples, view_examples


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this program."""
    parser.add_argument("--meshes", type=Path, metavar="FOLDER", help="meshes of other packages, unpacked (default: household)")
    parser.add_argument("--half", choices=("choose", "judge"), default="choose", help="objects to take (choose)")
    parser.add_argument("--objects", type=int, default=20, help="taught objects of an episode (20)")
    parser.add_argument("--views", type=int, nargs="+", default=(1, 5), help="numbers of views (1 5)")
    parser.add_argument("--scores", type=Path, metavar="FILE", help="write the scores for lab.read_out.metric (NPY)")
    add_output(parser, scenes=2, seed=0, unit="episodes")


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Teach and ask; return the figures, and a table of them."""
    network = load_feature_network()
    assets = half_of(foreign_objects(options.meshes) if options.meshes else household_assets(), options.half == "judge")
    rows: dict[int, list[tuple[float, float, float, float]]] = {views: [] for views in options.views}
    times: list[float] = []
    with open_stage(assets) as stage:
        for seed in range(options.seed, options.seed + options.scenes):
            episode = make_episode(stage, assets, seed, taught=options.objects, views=max(options.views))
            for views, answers in asked(episode, options.views, network, times).items():
                rows[views] += answers
            print(f"episode {seed}", file=sys.stderr)
    if options.scores is not None:
        np.save(options.scores, np.concatenate([np.array(each)[:, :3] for each in rows.values()]))
    figures = {"benchmark": "teaching", "half": options.half, "question_ms": 1e3 * float(np.median(times))}
    figures |= {f"views_{views}": summary(np.array(each)) for views, each in rows.items()}
    return figures, "\n".join(
        [
            "| views | right | found and right, as decided | false alarms | AUROC | at 5 % |",
            "|---|---|---|---|---|---|",
            *map(_row, rows, (np.array(each) for each in rows.values())),
        ]
    )


def asked(
    episode: Episode, views: Sequence[int], network: FeatureNetwork, times: list[float]
) -> dict[int, list[tuple[float, float, float, float]]]:
    """Ask for every taught object in every scene; return presence, score, right and found of each, by number of views."""
    metric = load_object_metric()
    examples: dict[str, list[ViewExamples]] = {
        key: [view_examples(ShownView(each.color, each.mask(key)), network) for each in shown]
        for key, shown in episode.views.items()
    }
    found: dict[int, list[tuple[float, float, float, float]]] = {count: [] for count in views}
    for scene in episode.queries:
        start = time.perf_counter()
        seen = see_image(scene.color, network)
        for count in views:
            heads = {key: head_of(each[:count]) for key, each in examples.items()}
            for key in episode.keys:
                mask = scene.mask(key)
                if 0 < mask.sum() < MIN_PIXELS:
                    continue
                places = find_places(seen, heads, key)
                best = places.places[0]
                right = bool(mask[min(max(round(best.v), 0), mask.shape[0] - 1), min(max(round(best.u), 0), mask.shape[1] - 1)])
                odds = np.log(max(best.probability, 1e-12) / max(1 - best.probability, 1e-12))
                score = float((odds - metric.offset) / metric.slope)
                found[count].append((float(mask.any()), score, float(right), float(places.count > 0)))
        times.append((time.perf_counter() - start) / len(views))
    return found


def summary(rows: FloatArray) -> dict[str, Any]:
    """Return the figures of answers (n, 4): presence, score, right, found."""
    present, absent = rows[rows[:, 0] > 0.5], rows[rows[:, 0] < 0.5]
    limit = float(np.quantile(absent[:, 1], 0.95))
    return {
        "right": share((present[:, 2] > 0.5).tolist()),
        "found_and_right": share((present[:, 2] * present[:, 3] > 0.5).tolist()),
        "false_alarms": share((absent[:, 3] > 0.5).tolist()),
        "auroc": float((present[:, 1, None] > absent[None, :, 1]).mean()),
        "at_5_percent": share(((present[:, 1] > limit) & (present[:, 2] > 0.5)).tolist()),
    }


def _row(views: int, rows: FloatArray) -> str:
    found = summary(rows)
    shares = (found["right"], found["found_and_right"], found["false_alarms"])
    words = [
        f"{100 * each['share']:.1f} % ({100 * each['low']:.1f} to {100 * each['high']:.1f}, n {each['trials']})"
        for each in shares
    ]
    return f"| {views} | {' | '.join(words)} | {found['auroc']:.3f} | {100 * found['at_5_percent']['share']:.1f} % |"


if __name__ == "__main__":
    sys.exit(run_program("benchmarks.teaching", __doc__, add_arguments, measure))
