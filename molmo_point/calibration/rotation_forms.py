"""Forms of a rotation in a sample file: quaternion, rotation vector, angles about axes in any order; and their confusions.

An Euler form is named as SciPy names it: `euler_ZYX_deg` turns about z, then the new y, then the new x (moving axes, as a
KUKA's A, B, C); `euler_xyz_deg` turns about the fixed axes x, y, z in this order, which is also `rpy_deg`.
"""

import re
from collections.abc import Iterator
from itertools import permutations, product

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.geometry.rigid import quaternions_of, rotation_exp
from molmo_point.geometry.transforms import Transform
from molmo_point.hand_eye.readings import Reading

FORMS = ("quaternion_xyzw", "rotation_vector_rad", "rotation_vector_deg", "rpy_rad", "rpy_deg")
_EULER = re.compile(r"euler_([xyz]{3}|[XYZ]{3})_(rad|deg)")
_DISTINCT = tuple("".join(axes) for axes in permutations("xyz"))
_REPEATED = tuple(first + second + first for first, second in permutations("xyz", 2))
_ROBOTS = {"ZYX": "A, B, C of a KUKA", "ZYZ": "O, A, T of a Kawasaki", "XYZ": "turns about moving axes x, y, z"}
_ORDINALS = ("first", "second", "third")
_UNITS = {"rad": "radians", "deg": "degrees"}


def is_form(name: str) -> bool:
    """Test whether a key of a pose names a form of rotation."""
    return name in FORMS or _axes_of(name) is not None


def _axes_of(name: str) -> str | None:
    """Return the axes of an Euler form, in lower case for fixed and in upper case for moving axes; None for other forms."""
    if name.startswith("rpy_"):
        return "xyz"
    found = _EULER.fullmatch(name)
    return found[1] if found and all(a != b for a, b in zip(found[1], found[1][1:])) else None


def rotations_of(form: str, numbers: FloatArray) -> FloatArray:
    """Convert numbers (..., 3 or 4) of a form to rotations (..., 3, 3).

    Raises:
        InputError: If a quaternion does not have length 1.
    """
    if form.startswith("quaternion"):
        flat = np.reshape(np.roll(numbers, -1, axis=-1) if form == "quaternion_wxyz" else numbers, (-1, 4))
        found = [Transform.from_quaternion("a", "b", each, np.zeros(3)).rotation for each in flat]
        return np.reshape(found, (*numbers.shape[:-1], 3, 3))
    angles = np.deg2rad(numbers) if form.endswith("_deg") else numbers
    axes = _axes_of(form)
    return rotation_exp(angles) if axes is None else _turned(axes, angles)


def _turned(axes: str, angles: FloatArray) -> FloatArray:
    """Multiply three turns (..., 3): about fixed axes the later turn stands on the left, about moving axes on the right."""
    turns = [rotation_exp(angles[..., i, None] * np.eye(3)["xyz".index(axis.lower())]) for i, axis in enumerate(axes)]
    return turns[2] @ turns[1] @ turns[0] if axes.islower() else turns[0] @ turns[1] @ turns[2]


def other_readings(what: str, form: str, numbers: FloatArray) -> Iterator[tuple[Reading, FloatArray]]:
    """List the confusions of a form, likeliest first, with the rotations (n, 3, 3) that each of them gives.

    Args:
        what: "robot" or "board", for the words.
        form: Form that the file names.
        numbers: Numbers (n, k) in the file.
    """
    if form.startswith("quaternion"):
        words = f"The {what}'s quaternions are in the order w, x, y, z"
        yield Reading("quaternion_order", words, "write them as x, y, z, w"), rotations_of("quaternion_wxyz", numbers)
    else:
        yield from _angle_readings(what, form, numbers)
    yield _inverted(what, rotations_of(form, numbers))


def matrix_readings(what: str, rotations: FloatArray) -> Iterator[tuple[Reading, FloatArray]]:
    """List the confusions of poses that are given as matrices; as `other_readings`."""
    yield _inverted(what, rotations)


def _inverted(what: str, rotations: FloatArray) -> tuple[Reading, FloatArray]:
    words = f"The {what}'s rotations are inverted (transposed), its positions are not"
    return Reading("rotation_inverted", words, "transpose each rotation"), np.swapaxes(rotations, -1, -2)


def _angle_readings(what: str, form: str, numbers: FloatArray) -> Iterator[tuple[Reading, FloatArray]]:
    stem, given = form.rsplit("_", 1)
    other = "deg" if given == "rad" else "rad"
    code = "degrees" if other == "deg" else "radians"
    words = f"The {what}'s angles are in {_UNITS[other]} where {_UNITS[given]} were stated"
    yield Reading(code, words, f"state the unit: {stem}_{other}"), rotations_of(f"{stem}_{other}", numbers)
    for unit in (given, other):
        name = f"rotation_vector_{unit}"
        words = f"The {what}'s numbers are rotation vectors in {_UNITS[unit]}, as a UR shows them, not {stem}"
        if stem != "rotation_vector":
            yield _form(words, f"name them {name}"), rotations_of(name, numbers)
        for axes in ("xyz", "ZYX", "XYZ", "ZYZ", *_DISTINCT, *_REPEATED, *(axes.upper() for axes in _DISTINCT + _REPEATED)):
            yield from _euler(what, stem, axes, unit, numbers)
    for unit, signs in product((given, other), product((1.0, -1.0), repeat=3)):
        if signs == (1.0, 1.0, 1.0):
            continue
        stems = [stem] if stem == "rotation_vector" else [stem, *(f"euler_{axes}" for axes in _DISTINCT)]
        stems += [f"euler_{axes.upper()}" for axes in (*_DISTINCT, *_REPEATED)]
        for signed in stems:
            turned = [word for word, sign in zip(_ORDINALS, signs) if sign < 0]
            flipped = "all angles" if len(turned) == 3 else f"the {' and the '.join(turned)} angle"
            words = f"The {what}'s angles are {signed}_{unit} with the sign of {flipped} reversed"
            fix = f"reverse the sign of {flipped}, and name them {signed}_{unit}"
            yield _form(words, fix), rotations_of(f"{signed}_{unit}", numbers * signs)


def _euler(what: str, stem: str, axes: str, unit: str, numbers: FloatArray) -> Iterator[tuple[Reading, FloatArray]]:
    """Read the numbers as turns about axes, in the order of the file; those of three axes also in any other order."""
    name = f"euler_{axes}_{unit}"
    kind = "moving" if axes.isupper() else "fixed"
    about = f"turns about the {kind} axes {', '.join(axes.lower())}, in {_UNITS[unit]}"
    known = f" ({_ROBOTS[axes]})" if axes in _ROBOTS else ""
    yield _form(f"The {what}'s angles are {about}{known}, not {stem}", f"name them {name}"), rotations_of(name, numbers)
    if axes == "xyz":
        for order in list(permutations(range(3)))[1:]:
            words = f"The {what}'s angles are roll, pitch, yaw in another order, in {_UNITS[unit]}"
            fix = f"write {', '.join(_ORDINALS[i] for i in order)} number as rpy_{unit}"
            yield _form(words, fix), rotations_of(name, numbers[..., list(order)])


def _form(words: str, fix: str) -> Reading:
    return Reading("rotation_form", words, fix)


def same_rotations(first: FloatArray, second: FloatArray) -> bool:
    """Test whether two readings give the same rotations (n, 3, 3)."""
    return bool(np.abs(quaternions_of(first) - quaternions_of(second)).max() < 1e-9)
