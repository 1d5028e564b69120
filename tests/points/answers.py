"""Random answers: valid ones of every dialect, and what breaks them."""

import random

import numpy as np

from molmo_point.points.dialects.written import format_points
from molmo_point.points.parse import PointTokenLayout

from .molmo2_answers import points_answer, tracks_answer

SIZES = ((640, 480), (300, 500), (64, 64))
LAYOUT = PointTokenLayout(
    np.concatenate([np.arange(16).reshape(4, 4), 16 + np.arange(16).reshape(4, 4), 32 + np.arange(4).reshape(1, 4)]),
    (np.arange(16).reshape(4, 4), np.arange(16, 32).reshape(2, 8), np.arange(32, 36).reshape(2, 2)),
    SIZES,
)
DIALECTS = ("molmo", "molmo2", "molmopoint", "auto")
LABELS = ("dog", "the red mug", 'the "big" dog', "it's", "a > b", "a < b", "x=1", "(10.5, 20.5)", "1=123, 456", "犬🐕", "")

FRAGMENTS = (
    *("<points ", "<point ", "<tracks ", "</points>", "</point>", "</tracks>", "<", ">", "/>", '"', "'", "=", ";", "\t", "\n"),
    *('coords="1 1 500 500"', 'coords="', "1 1 ", "500 ", "0.5 ", 'alt="', "alt='dog'"),
    *('x="50.5" y="20"', 'x1="', "y2=7 ", "x=5 ", 'x="10" ', 'x="90" ', 'y="20" ', 'x1="555" y1="169" ', 'x="55%"'),
    *("<POINT_0><POINT_10><POINT_14>1", "<POINT_9>", "<POINT_", "(10.5, 20.5)", "(", "Click(", "p=123, 456", "1=", "123, "),
    *("There are none.", "Counting the ", "a total of 3.", "There are two ", "No tracks available."),
    *("\0", "�", "\u202e", "٣", "ſ"),
    *("1" * 30, " " * 30, "-", ".", "\ud800", "NaN", "inf", "1e9"),
)  # fmt: skip


def valid(rng: random.Random) -> tuple[str, str]:
    """A dialect and a valid answer of it."""
    label, style = rng.choice(LABELS[:4] + LABELS[7:]), rng.choice(["pointing", "point_count"])
    pairs = [(rng.uniform(0, 100), rng.uniform(0, 100)) for _ in range(rng.randrange(5))]
    dialect = rng.choice(DIALECTS[:3])
    if dialect == "molmo":
        text = format_points(pairs, label, style)
    elif dialect == "molmopoint":
        chosen = [(rng.randrange(9), rng.randrange(4), rng.randrange(9)) for _ in pairs]
        tokens = "".join(f"<POINT_{t}><POINT_{10 + p}><POINT_{14 + c}>{i}" for i, (t, p, c) in enumerate(chosen, 1))
        text = f'<points coords="{tokens}<POINT_9>">{label}</points>'
    elif rng.random() < 0.4:
        text = tracks_answer({i / 2: {rng.randrange(4): pair} for i, pair in enumerate(pairs)}, label)
    else:
        text = points_answer({i % 3: [pair] for i, pair in enumerate(pairs)}, label, style)
    return dialect, text


def broken(rng: random.Random) -> str:
    """Valid answers cut, doubled, and mixed with fragments and noise."""
    text = "".join(valid(rng)[1] for _ in range(rng.randrange(3)))
    for _ in range(rng.randrange(1, 8)):
        at = rng.randrange(len(text) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            text = text[:at] + rng.choice(FRAGMENTS) + text[at:]
        elif kind == 1:
            text = text[:at] + text[at + rng.randrange(1, 12) :]
        elif kind == 2:
            text = text[:at]
        elif kind == 3:
            text = text[:at] + chr(rng.randrange(0x110000)) + text[at:]
        else:
            end = rng.randrange(at, min(len(text), at + 60) + 1)
            text = text[:end] + text[at:end] * rng.randrange(1, 6) + text[end:]
    return text


def shattered(rng: random.Random) -> str:
    """Fragments alone."""
    return "".join(rng.choice(FRAGMENTS) for _ in range(rng.randrange(1, 30)))


def pieces(text: str, rng: random.Random) -> list[str]:
    """The text in pieces as tokens come."""
    out, at = [], 0
    while at < len(text):
        step = rng.randrange(1, 6)
        out.append(text[at : at + step])
        at += step
    return out
