"""`python -m lab.read_out.metric`: the object metric, from features of rendered scenes.

The descriptors of all objects in folders of `lab.read_out.feature_set` give the spread within and between objects. Objects of one
set of names and colors count as one. `--scores` fits the calibration. Its file (n, 3): presence, score, right.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from lab.read_out.train import FeatureFolder
from molmo_point.arrays import FloatArray
from molmo_point.model.taught.object_metric import ObjectMetric, load_object_metric, load_object_reader
from molmo_point.patch_features import PatchFeatures

_LEAST_CELLS, _LEAST_SEEN, _MOST_COUNTED = 6, 3, 20
_SHRINKAGE, _LEAST_BETWEEN, _NOISE_BETWEEN = 0.05, 1e-3, 0.1
_UNKNOWN = 8.0
_WIDEST = 60.0
_RATES = (0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01)


def descriptors_of(folders: list[FeatureFolder], every: int) -> tuple[FloatArray, list[str]]:
    """Return descriptors (n, d) of all objects that are large enough, and the words of each."""
    reader, found, names = load_object_reader(), [], []
    for folder in folders:
        for k in range(0, len(folder.objects), every):
            cells = reader.describe(PatchFeatures(folder.features[k].astype(np.float32), 16.0, (-0.5, -0.5)))
            for number, row in enumerate(folder.objects[k]):
                on = folder.cells[k] == number
                if on.sum() >= _LEAST_CELLS:
                    found.append(cells[on].mean(0))
                    names.append("|".join((*row["nouns"], "#", *row["colors"], "#", *row["maybe_colors"])))
    return np.stack(found), names


def fit_metric(descriptors: FloatArray, names: list[str], dimensions: int) -> ObjectMetric:
    """Fit the projection and the spreads; the calibration is that of a score of 0 for every share."""
    middle, scale = descriptors.mean(0), descriptors.std(0) + 1e-6
    values = (descriptors - middle) / scale
    _, label, counts = np.unique(names, return_inverse=True, return_counts=True)
    often = counts[label] >= _LEAST_SEEN
    values, label = values[often], np.unique(label[often], return_inverse=True)[1]
    counts = np.bincount(label)
    means = np.zeros((len(counts), values.shape[1]))
    np.add.at(means, label, values)
    means /= counts[:, None]
    weight = np.minimum(counts, _MOST_COUNTED)
    center = np.average(means, 0, weight)
    rest = values - means[label]
    within = rest.T @ rest / (len(values) - len(counts))
    within += _SHRINKAGE * np.trace(within) / len(within) * np.eye(len(within))
    spread = means - center
    between = (spread * weight[:, None]).T @ spread / weight.sum()
    root = np.linalg.cholesky(np.linalg.inv(within))
    variances, directions = np.linalg.eigh(root.T @ between @ root)
    order = variances.argsort()[::-1][:dimensions]
    # A mean of few objects of a name is off by their noise, which would count as a difference.
    kept = np.maximum(variances[order] - _NOISE_BETWEEN, _LEAST_BETWEEN)
    arrays = (middle, scale, center, root @ directions[:, order], kept, _UNKNOWN, 1.0, 0.0, _RATES, np.zeros(len(_RATES)))
    return ObjectMetric(*(np.asarray(each, np.float32) for each in arrays))


def calibrated(metric: ObjectMetric, scores: FloatArray) -> ObjectMetric:
    """Fit the probability that the best place is right, and the limits of false alarms.

    Args:
        metric: The metric.
        scores: (n, 3): 1 if the object was in the image, score of the best place, 1 if the place was right.
    """
    present, score, right = scores.T
    score = np.clip(score, -_WIDEST, _WIDEST)
    slope, offset = 0.1, 0.0
    for _ in range(100):
        p = 1 / (1 + np.exp(-(slope * score + offset)))
        design = np.column_stack([score, np.ones(len(score))])
        curve = (design * np.maximum(p * (1 - p), 1e-3)[:, None]).T @ design + 1e-3 * np.eye(2)
        slope, offset = np.array((slope, offset)) - np.linalg.solve(curve, design.T @ (p - right))
    limits = np.quantile(score[present < 0.5], 1 - np.array(_RATES))
    fitted = (np.asarray(each, np.float32) for each in (slope, offset, _RATES, limits))
    return replace(metric, **dict(zip(("slope", "offset", "rates", "limits"), fitted, strict=True)))


def main() -> None:
    """Run `python -m lab.read_out.metric --features DIR [DIR ...] --to FILE`, then again with `--scores FILE`."""
    parser = argparse.ArgumentParser(description="Fit the object metric of taught objects.")
    parser.add_argument("--features", type=Path, nargs="+", help="folders of lab.read_out.feature_set")
    parser.add_argument("--every", type=int, default=2, help="use every so-manieth image (2)")
    parser.add_argument("--dimensions", type=int, default=64, help="dimensions of the metric (64)")
    parser.add_argument("--scores", type=Path, help="scores of benchmarks.teaching; fits the calibration of the shipped metric")
    parser.add_argument("--to", type=Path, required=True, help="file to write, metric.safetensors")
    args = parser.parse_args()
    if args.scores is None:
        found, names = descriptors_of([FeatureFolder(folder) for folder in args.features], args.every)
        metric = fit_metric(found, names, args.dimensions)
    else:
        metric = calibrated(load_object_metric(), np.load(args.scores, allow_pickle=False))
    save_file({name: np.array(value, order="C") for name, value in vars(metric).items()}, args.to)
    args.to.chmod(0o644)


if __name__ == "__main__":
    main()
