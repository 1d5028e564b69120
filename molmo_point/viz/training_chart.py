"""The curves of a training run: losses, what the vision tells, and how answers do."""

from collections.abc import Sequence

from PIL import Image

from benchmarks.chart import GROUND, Curve, card, curves

_WIDTH, _HEIGHT = 1500, 520
_KEPT_OUT = "images kept out of training"
_PANELS = (
    ("Losses", "means since the check before", ("token", "valid_token", "class_token", "position", "attention"), ""),
    (
        "What image vectors tell",
        f"share of tokens on things, {_KEPT_OUT}",
        ("see_color", "see_noun", "see_category", "see_shape"),
        " %",
    ),
    (
        "Answers by kind of question",
        f"share right of a few questions of each kind, {_KEPT_OUT}",
        ("colour_name", "points_f1", "name", "category", "relation", "superlative", "count", "absent", "short"),
        " %",
    ),
)
_FIRST = ("token", "see_color", "colour_name", "points_f1")
"""The lines that are drawn bold."""
_NAMES = {"token": "answers", "valid_token": "answers, kept out", "points_f1": "points (F1)"}


def training_chart(rows: Sequence[dict[str, float]]) -> Image.Image:
    """Draws the log of a run.

    Args:
        rows: One for every check, with ``images`` and whatever was logged; columns may be missing from some.

    Returns:
        RGB, one panel below the other; a panel without values stays out.
    """
    panels, end = [], max((row["images"] for row in rows), default=1.0)
    for title, subtitle, names, unit in _PANELS:
        scale = 100.0 if unit else 1.0
        # Not-a-number is the only value that differs from itself: no such question was asked.
        lines = [
            Curve(_NAMES.get(name, name.removeprefix("see_").replace("_", " ")), points, ours=name in _FIRST)
            for name in names
            if (points := [(r["images"], scale * r[name]) for r in rows if name in r and r[name] == r[name]])
        ]
        if lines:
            panels.append((title, subtitle, lines, unit))
    image = Image.new("RGB", (_WIDTH, 30 + (_HEIGHT + 30) * max(len(panels), 1)), GROUND)
    for index, (title, subtitle, lines, unit) in enumerate(panels):
        top = 30 + index * (_HEIGHT + 30)
        curves(image, card(image, (30, top, _WIDTH - 30, top + _HEIGHT), title, subtitle), lines, "images", unit, end)
    return image
