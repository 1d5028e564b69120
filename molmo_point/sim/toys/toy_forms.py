"""Forms of toys and tools: each draws its proportions and returns its parts, standing or lying on a table."""

from collections.abc import Callable, Sequence

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.sim.toys.toy_parts import ROUND, ToyPart, about, block, extruded, ridge, rod, rounded, tube, turned

Parts = Sequence[ToyPart]
MAIN, SECOND, ACCENT = 0, 1, 2
"""Numbers of the textures of a toy."""


def _regular(corners: int, radius: float) -> FloatArray:
    angle = np.arange(corners) * 2 * np.pi / corners + np.pi / corners
    return radius * np.stack([np.cos(angle), np.sin(angle)], 1)


def _smooth(profile: FloatArray) -> FloatArray:
    """Round off a profile (n, 2) by cutting its corners twice."""
    for _ in range(2):
        first, last = 0.75 * profile[:-1] + 0.25 * profile[1:], 0.25 * profile[:-1] + 0.75 * profile[1:]
        profile = np.concatenate([profile[:1], np.stack([first, last], 1).reshape(-1, 2), profile[-1:]])
    return profile


def _vessel(rng: np.random.Generator) -> Parts:
    """A turned body of random radii, round or with few sides, often with a knob."""
    count = int(rng.integers(3, 7))
    heights = np.r_[0.0, np.sort(rng.uniform(0.1, 0.9, count - 2)), 1.0] * rng.uniform(1.3, 2.6)
    radii = rng.uniform(0.25, 0.75, count)
    radii[0] = rng.uniform(0.45, 0.75)
    profile = np.stack([radii, heights], 1)
    segments = ROUND if rng.random() < 0.7 else int(rng.integers(3, 9))
    body = turned(_smooth(profile) if rng.random() < 0.6 else profile, segments)
    if rng.random() < 0.5:
        return [body]
    knob, top = rng.uniform(0.14, 0.28), float(heights[-1])
    return [body, rounded((knob, knob, knob), (rng.uniform(0.4, 1.2), 1.0), ACCENT).at(z=top + 0.7 * knob)]


def _jar(rng: np.random.Generator) -> Parts:
    radius, height, lid = rng.uniform(0.4, 0.6), rng.uniform(0.8, 1.4), rng.uniform(0.12, 0.3)
    segments = ROUND if rng.random() < 0.7 else 6
    wide = radius * rng.uniform(0.8, 1.15)
    parts = [turned([(radius, 0), (radius, height)], segments), turned([(wide, 0), (wide, lid)], segments, SECOND).at(z=height)]
    if rng.random() < 0.6:
        parts.append(turned([(0.12, 0), (0.2, 0.12), (0.16, 0.25)], ROUND, ACCENT).at(z=height + lid))
    return parts


def _handled(rng: np.random.Generator) -> Parts:
    """A closed can with a handle at its side, and sometimes a spout."""
    radius, height = rng.uniform(0.4, 0.55), rng.uniform(0.8, 1.3)
    top = radius * rng.uniform(0.7, 1.1)
    angle = np.linspace(-0.5 * np.pi, 0.5 * np.pi, 9)
    reach, tall = rng.uniform(0.3, 0.5), rng.uniform(0.25, 0.38) * height
    path = np.stack([radius * 0.9 + reach * np.cos(angle), 0 * angle, height / 2 + tall * np.sin(angle)], 1)
    parts = [turned([(radius, 0), (top, height)]), tube(path, rng.uniform(0.06, 0.1), look=SECOND)]
    if rng.random() < 0.5:
        spout = [(-0.7 * radius, 0, 0.35 * height), (-radius - 0.25, 0, 0.6 * height), (-radius - 0.35, 0, 0.95 * height)]
        parts.append(tube(np.array(spout), np.array([0.12, 0.08, 0.07]), look=ACCENT))
    if rng.random() < 0.6:
        parts.append(turned([(top * 0.9, 0), (top * 0.3, 0.18), (0.1, 0.3)], ROUND, ACCENT).at(z=height))
    return parts


def _dumbbell(rng: np.random.Generator) -> Parts:
    bar, radius, wide, length = rng.uniform(1.0, 1.5), rng.uniform(0.12, 0.2), rng.uniform(0.3, 0.5), rng.uniform(0.25, 0.5)
    segments = int(rng.choice([6, 8, ROUND]))
    ends = [rod(length, wide, segments, MAIN).at(x=sign * (bar + length) / 2) for sign in (-1, 1)]
    turn = about(0, np.pi / segments)
    return [rod(bar, radius, ROUND, SECOND).at(z=wide), *(end.rotated(turn).at(z=wide) for end in ends)]


def _stacker(rng: np.random.Generator) -> Parts:
    """Rings of shrinking size on a post."""
    parts, z, radius = [], 0.0, rng.uniform(0.5, 0.65)
    for number in range(int(rng.integers(3, 6))):
        tall = rng.uniform(0.22, 0.34)
        ring = _smooth(np.array([(radius * 0.8, 0), (radius, 0.25 * tall), (radius, 0.75 * tall), (radius * 0.8, tall)]))
        parts.append(turned(ring, ROUND, number % 3).at(z=z))
        z, radius = z + tall, radius * rng.uniform(0.72, 0.9)
    return [*parts, rounded((0.17, 0.17, 0.2), look=ACCENT).at(z=z + 0.1)]


def _house(rng: np.random.Generator) -> Parts:
    width, depth, height, roof = rng.uniform(0.9, 1.5), rng.uniform(0.6, 0.9), rng.uniform(0.5, 1.0), rng.uniform(0.3, 0.7)
    parts = [block(width, depth, height), ridge(width, depth, roof, 0.06, SECOND).at(z=height)]
    if rng.random() < 0.6:
        parts.append(block(0.16, 0.16, roof, ACCENT).at(0.3 * width, 0.2 * depth, height + 0.3 * roof))
    return parts


def _vehicle(rng: np.random.Generator) -> Parts:
    length, width, body, wheel = rng.uniform(1.3, 2.0), rng.uniform(0.6, 0.8), rng.uniform(0.25, 0.5), rng.uniform(0.16, 0.26)
    parts = [block(length, width, body).at(z=0.7 * wheel)]
    cab, x = rng.uniform(0.3, 0.6) * length, rng.uniform(-0.2, 0.2) * length
    shape = rng.random()
    if shape < 0.4:
        parts.append(block(cab, 0.9 * width, rng.uniform(0.3, 0.5), SECOND).at(x, 0, 0.7 * wheel + body))
    elif shape < 0.7:
        parts.append(rounded((0.55 * cab, 0.42 * width, 0.35), (0.6, 0.7), SECOND).at(x, 0, 0.7 * wheel + body))
    else:
        tank = rod(0.6 * length, 0.36 * width, ROUND, SECOND)
        parts.append(tank.at(-0.15 * length, 0, 0.7 * wheel + body + 0.3 * width))
        parts.append(block(0.25 * length, 0.9 * width, 0.45, ACCENT).at(0.36 * length, 0, 0.7 * wheel + body))
    hub = rod(0.14, wheel, 20, ACCENT).rotated(about(2, np.pi / 2))
    places = [(sx * 0.32 * length, sy * width / 2) for sx in (-1, 1) for sy in (-1, 1)]
    return [*parts, *(hub.at(px, py, wheel) for px, py in places)]


def _studded(rng: np.random.Generator) -> Parts:
    rows, columns = int(rng.integers(1, 4)), int(rng.integers(2, 5))
    step, height = 0.4, rng.uniform(0.3, 0.6)
    studs = ROUND if rng.random() < 0.6 else 4
    parts = [block(columns * step, rows * step, height)]
    for row in range(rows):
        for column in range(columns):
            x, y = (column - (columns - 1) / 2) * step, (row - (rows - 1) / 2) * step
            parts.append(turned([(0.12, 0), (0.12, 0.12)], studs, SECOND).at(x, y, height))
    return parts


def _cells(rng: np.random.Generator) -> Parts:
    """A block of four or five cubes."""
    cells = [(0, 0, 0)]
    while len(cells) < rng.integers(4, 6):
        x, y, z = cells[int(rng.integers(len(cells)))]
        step = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1)][int(rng.integers(5))]
        new = (x + step[0], y + step[1], z + step[2])
        if new not in cells and new[2] < 2:
            cells.append(new)
    paint = rng.random() < 0.5
    return [block(0.5, 0.5, 0.5, (sum(cell) % 3 if paint else 0)).at(*(0.5 * np.array(cell)).tolist()) for cell in cells]


def _bridge(rng: np.random.Generator) -> Parts:
    width, depth, height, foot = rng.uniform(1.2, 1.8), rng.uniform(0.4, 0.7), rng.uniform(0.4, 0.8), rng.uniform(0.25, 0.4)
    parts = [block(foot, depth, height, SECOND).at(x=sign * (width - foot) / 2) for sign in (-1, 1)]
    parts.append(block(width, depth, rng.uniform(0.2, 0.35)).at(z=height))
    if rng.random() < 0.5:
        parts.append(turned([(0.2, 0), (0.2, 0.3), (0.0, 0.6)], int(rng.choice([4, ROUND])), ACCENT).at(z=height + 0.2))
    return parts


def _stool(rng: np.random.Generator) -> Parts:
    radius, height = rng.uniform(0.5, 0.7), rng.uniform(0.5, 0.9)
    seat, thick = (ROUND if rng.random() < 0.5 else int(rng.integers(4, 7))), rng.uniform(0.15, 0.25)
    legs = int(rng.integers(3, 5))
    reach = 0.7 * radius
    angles = np.arange(legs) * 2 * np.pi / legs
    feet = [turned([(0.1, 0), (0.08, height)], 12, SECOND).at(reach * np.cos(a), reach * np.sin(a)) for a in angles.tolist()]
    return [turned([(radius, 0), (radius, thick)], seat).at(z=height), *feet]


def _robot(rng: np.random.Generator) -> Parts:
    width, depth, height = rng.uniform(0.5, 0.75), rng.uniform(0.4, 0.55), rng.uniform(0.5, 0.8)
    leg, head = rng.uniform(0.2, 0.4), rng.uniform(0.3, 0.45)
    parts = [block(0.35 * width, 0.9 * depth, leg, SECOND).at(x=sign * 0.28 * width) for sign in (-1, 1)]
    parts.append(block(width, depth, height).at(z=leg))
    round_head = rng.random() < 0.4
    top = leg + height
    parts.append(
        rounded((head / 2,) * 3, look=SECOND).at(z=top + head / 2) if round_head else block(head, head, head, SECOND).at(z=top)
    )
    arm = rng.uniform(0.3, 0.6)
    parts += [block(0.16, 0.2, arm, ACCENT).at(x=sign * (width / 2 + 0.08), z=top - arm - 0.05) for sign in (-1, 1)]
    if rng.random() < 0.5:
        parts.append(turned([(0.04, 0), (0.04, 0.25)], 10, ACCENT).at(z=top + head))
    return parts


def _hammer(rng: np.random.Generator) -> Parts:
    length, radius, head = rng.uniform(1.5, 2.1), rng.uniform(0.09, 0.14), rng.uniform(0.5, 0.8)
    thick = rng.uniform(0.15, 0.24)
    lathe = rod(head, thick, int(rng.choice([4, 8, ROUND])), SECOND).rotated(about(2, np.pi / 2))
    handle = rod(length, radius, ROUND, MAIN).at(x=-length / 2, z=thick)
    grip = rod(0.4 * length, 1.3 * radius, ROUND, ACCENT).at(x=-0.78 * length, z=thick)
    parts = [handle, lathe.rotated(about(1, np.pi / 4 if thick == 0 else 0.0)).at(z=thick)]
    return [*parts, grip] if rng.random() < 0.6 else parts


def _screwdriver(rng: np.random.Generator) -> Parts:
    grip, radius, shaft = rng.uniform(0.7, 1.0), rng.uniform(0.16, 0.24), rng.uniform(0.6, 1.2)
    outline = np.array(
        [(radius * 0.8, 0), (radius, 0.15), (radius * rng.uniform(0.75, 1.0), 0.5), (radius, 0.8), (radius * 0.6, 1.0)]
    )
    outline[:, 1] *= grip
    handle = turned(_smooth(outline), int(rng.choice([6, 8, ROUND])), MAIN).rotated(about(1, np.pi / 2))
    rod_part = rod(shaft, 0.07, 16, SECOND).at(x=grip + shaft / 2)
    tip = block(0.12, 0.2, 0.05, ACCENT).at(x=grip + shaft, z=-0.025)
    return [part.at(z=radius) for part in (handle, rod_part, tip)]


def _brush(rng: np.random.Generator) -> Parts:
    grip, width, pad = rng.uniform(0.8, 1.3), rng.uniform(0.3, 0.5), rng.uniform(0.5, 0.9)
    hair, back = rng.uniform(0.2, 0.35), rng.uniform(0.12, 0.2)
    bristles = block(pad, 0.9 * width, hair, SECOND)
    plate = block(1.05 * pad, width, back, MAIN).at(z=hair)
    handle = rod(grip, rng.uniform(0.09, 0.13), ROUND, ACCENT).at(x=pad / 2 + grip / 2, z=hair + back / 2)
    return [bristles, plate, handle]


def _spoon(rng: np.random.Generator) -> Parts:
    length, bowl, wide = rng.uniform(1.2, 1.7), rng.uniform(0.3, 0.45), rng.uniform(0.22, 0.35)
    thick = rng.uniform(0.08, 0.13)
    square = rng.uniform(0.3, 1.0)
    head = rounded((bowl, wide, 0.12), (rng.uniform(0.3, 0.9), square), SECOND).at(z=0.12)
    handle = rod(length, thick, ROUND, MAIN).at(x=-bowl - length / 2 + 0.1, z=0.12)
    return [head, handle, rounded((0.14, 0.14, 0.13), look=ACCENT).at(x=-bowl - length + 0.1, z=0.13)]


def _torch(rng: np.random.Generator) -> Parts:
    length, radius, wide = rng.uniform(0.9, 1.4), rng.uniform(0.16, 0.22), rng.uniform(0.28, 0.4)
    turn = about(1, np.pi / 2)
    body = turned([(radius, 0), (radius, length)], ROUND, MAIN)
    head = turned([(radius, 0), (wide, 0.3), (wide, 0.55)], ROUND, SECOND).at(z=length)
    glass = turned([(0.85 * wide, 0), (0.85 * wide, 0.03)], ROUND, ACCENT).at(z=length + 0.55)
    button = block(0.12, 0.12, 0.08, ACCENT).at(x=0.6 * length, z=wide + radius - 0.02)
    return [*(part.rotated(turn).at(z=wide) for part in (body, head, glass)), button]


def _key(rng: np.random.Generator) -> Parts:
    length, thick, bow = rng.uniform(0.9, 1.4), rng.uniform(0.14, 0.22), rng.uniform(0.3, 0.42)
    corners = int(rng.choice([5, 6, 8, 24]))
    parts = [extruded(_regular(corners, bow), thick, MAIN), block(length, thick, thick, SECOND).at(x=bow + length / 2 - 0.05)]
    for k in range(int(rng.integers(2, 4))):
        tall = rng.uniform(0.15, 0.35)
        parts.append(block(0.13, tall, thick, ACCENT).at(x=bow + length * (0.9 - 0.22 * k), y=tall / 2 + thick / 2))
    return parts


def _animal(rng: np.random.Generator) -> Parts:
    long, wide, tall = rng.uniform(0.5, 0.8), rng.uniform(0.28, 0.4), rng.uniform(0.26, 0.4)
    leg, head = rng.uniform(0.25, 0.6), rng.uniform(0.2, 0.32)
    square = (rng.uniform(0.5, 1.0), rng.uniform(0.5, 1.0))
    parts = [rounded((long, wide, tall), square).at(z=leg + 0.7 * tall)]
    height = leg + tall * rng.uniform(1.0, 1.9)
    parts.append(rounded((head * rng.uniform(1.0, 1.5), head, head), look=SECOND).at(x=long, z=height))
    ear = rng.uniform(0.08, 0.25)
    parts += [rounded((0.06, 0.09, ear), look=ACCENT).at(long, sign * 0.6 * head, height + head) for sign in (-1, 1)]
    parts += [
        turned([(0.11, 0), (0.11, leg + 0.5 * tall)], 12, ACCENT).at(sx * 0.55 * long, sy * 0.5 * wide)
        for sx in (-1, 1)
        for sy in (-1, 1)
    ]
    if rng.random() < 0.6:
        parts.append(rounded((0.2, 0.07, 0.07), look=SECOND).at(-long - 0.1, 0, leg + tall))
    return parts


def _knobbed(rng: np.random.Generator) -> Parts:
    """A superquadric with knobs on top and at its sides."""
    half = rng.uniform(0.35, 0.65, 3)
    square = (rng.uniform(0.2, 1.3), rng.uniform(0.2, 1.5))
    parts = [rounded(half.tolist(), square).at(z=float(half[2]))]
    size, reach = rng.uniform(0.1, 0.2), int(rng.integers(1, 5))
    places = [(0, 0, 1), (1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0)]
    for number, k in enumerate(rng.choice(5, reach, replace=False).tolist()):
        x, y, z = half * places[k]
        square_knob = rng.uniform(0.3, 1.5)
        knob = rounded((size, size, size), (square_knob, square_knob), SECOND + number % 2)
        parts.append(knob.at(x, y, float(half[2]) + z))
    return parts


def _rocket(rng: np.random.Generator) -> Parts:
    radius, height, nose = rng.uniform(0.25, 0.38), rng.uniform(0.9, 1.4), rng.uniform(0.3, 0.6)
    fins, reach = int(rng.integers(3, 5)), rng.uniform(0.2, 0.35)
    cone = _smooth(np.array([(radius, 0), (0.8 * radius, 0.5 * nose), (0.05, nose)]))
    parts = [turned([(radius, 0.12), (radius, height)]), turned(cone, ROUND, SECOND).at(z=height)]
    blade = extruded([(-0.02, -0.2), (reach, -0.3), (reach, 0.0), (-0.02, 0.35)], 0.1, ACCENT).at(z=-0.05)
    upright = blade.rotated(about(0, np.pi / 2)).at(x=radius, z=0.3)
    return [*parts, *(upright.rotated(about(2, k * 2 * np.pi / fins)) for k in range(fins))]


def _star(rng: np.random.Generator) -> Parts:
    """A star or a gear lying flat, with a hub."""
    spikes, inner, thick = int(rng.integers(4, 9)), rng.uniform(0.45, 0.8), rng.uniform(0.2, 0.4)
    angle = np.arange(2 * spikes) * np.pi / spikes
    radius = np.where(np.arange(2 * spikes) % 2, inner, 1.0) * 0.6
    parts = [extruded(np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1), thick)]
    if rng.random() < 0.7:
        hub = rng.uniform(0.12, 0.3)
        parts.append(turned([(hub, 0), (hub * rng.uniform(0.4, 1), rng.uniform(0.1, 0.5))], ROUND, SECOND).at(z=thick))
    return parts


def _fish(rng: np.random.Generator) -> Parts:
    long, tall, wide = rng.uniform(0.5, 0.8), rng.uniform(0.28, 0.45), rng.uniform(0.16, 0.26)
    body = rounded((long, tall, wide), (rng.uniform(0.7, 1.0), rng.uniform(0.8, 1.6))).at(z=wide)
    tail = extruded([(0.3, 0.0), (-0.25, 0.35), (-0.12, 0.0), (-0.25, -0.35)], 0.14, SECOND).at(x=-long - 0.05, z=wide - 0.07)
    eye = rounded((0.07, 0.07, 0.06), look=ACCENT).at(0.55 * long, 0.1 * tall, 1.75 * wide)
    fin = extruded([(0.15, -0.1), (0.05, 0.25), (-0.2, -0.1)], 0.12, ACCENT).at(0, tall, wide - 0.06)
    return [body, tail, eye, fin]


def _boat(rng: np.random.Generator) -> Parts:
    long, wide, height = rng.uniform(0.7, 0.9), rng.uniform(0.28, 0.38), rng.uniform(0.25, 0.4)
    hull = extruded([(-long, -0.8 * wide), (0.3 * long, -wide), (long, 0), (0.3 * long, wide), (-long, 0.8 * wide)], height)
    parts = [hull, block(0.6 * long, wide, rng.uniform(0.2, 0.4), SECOND).at(-0.3 * long, 0, height)]
    pipe = rng.uniform(0.07, 0.13)
    parts.append(turned([(pipe, 0), (pipe, rng.uniform(0.5, 0.9))], ROUND, ACCENT).at(-0.3 * long, 0, height))
    return parts


def _prism(rng: np.random.Generator) -> Parts:
    """A cut or whole prism with a band or a tip."""
    corners, radius, height = int(rng.integers(3, 7)), rng.uniform(0.4, 0.6), rng.uniform(0.5, 1.4)
    parts = [turned([(radius, 0), (radius * rng.uniform(0.6, 1.0), height)], corners)]
    if rng.random() < 0.7:
        top = radius * rng.uniform(0.5, 1.0)
        parts.append(turned([(top, 0), (0.02, rng.uniform(0.3, 0.7))], int(rng.choice([corners, ROUND])), SECOND).at(z=height))
    return parts


def _wedge(rng: np.random.Generator) -> Parts:
    """A ramp with a block or a roller on it."""
    long, wide, height = rng.uniform(0.9, 1.4), rng.uniform(0.4, 0.7), rng.uniform(0.4, 0.7)
    side = extruded(np.array([(-0.4, -0.4), (0.6, -0.4), (-0.4, 0.6)]) * (long, height), wide).rotated(about(0, np.pi / 2))
    ramp = side.at(y=wide / 2, z=0.4 * height)
    post = rng.uniform(0.2, 0.35)
    return [ramp, block(post, wide, height * rng.uniform(1.0, 1.4), SECOND).at(x=-0.4 * long - post / 2)]


def _lamp(rng: np.random.Generator) -> Parts:
    foot, height, shade = rng.uniform(0.35, 0.5), rng.uniform(0.5, 0.9), rng.uniform(0.35, 0.6)
    tall = rng.uniform(0.3, 0.6)
    parts = [
        turned([(foot, 0), (foot, 0.1), (0.12, 0.2)], ROUND, SECOND),
        turned([(0.1, 0), (0.1, height)], 16, ACCENT).at(z=0.15),
    ]
    segments = ROUND if rng.random() < 0.6 else int(rng.integers(4, 8))
    return [*parts, turned([(shade, 0), (shade * rng.uniform(0.3, 0.9), tall)], segments).at(z=height)]


FORMS: dict[str, Callable[[np.random.Generator], Parts]] = {
    "vessel": _vessel, "jar": _jar, "can with a handle": _handled, "dumbbell": _dumbbell, "stacker": _stacker,
    "house": _house, "vehicle": _vehicle, "studded brick": _studded, "cells": _cells, "bridge": _bridge, "stool": _stool,
    "robot": _robot, "hammer": _hammer, "screwdriver": _screwdriver, "brush": _brush, "spoon": _spoon, "torch": _torch,
    "key": _key, "animal": _animal, "knobbed": _knobbed, "rocket": _rocket, "star": _star, "fish": _fish, "boat": _boat,
    "prism": _prism, "wedge": _wedge, "lamp": _lamp,
}  # fmt: skip
"""Every form by name; parts in a unit of about 5 cm."""
