"""Names and coefficients of lens models in files of other programs, as those of `Intrinsics`."""

import re
from typing import Any

from molmo_point.camera.intrinsics_files.camera_node import CameraNode, array_of, norm, words_of
from molmo_point.errors import InputError
from molmo_point.geometry.lens_models import COEFFICIENTS

BROWN = "brown_conrady"
_PINHOLE = "pinhole"
"""A camera model that does not tell its lens model."""
_MODELS = {
    "none": ("none", "nodistortion", "0"),
    _PINHOLE: ("pinhole", "simplepinhole", "perspective"),
    BROWN: ("plumbbob", "brownconrady", "radtan", "radialtangential", "opencv", "brown", "radial", "simpleradial", "4"),
    "inverse_brown_conrady": ("inversebrownconrady", "modifiedbrownconrady", "1", "2"),
    "rational_polynomial": ("rationalpolynomial", "rational", "fullopencv"),
    "thin_prism": ("thinprism",),
    "equidistant": (
        "equidistant",
        "fisheye",
        "opencvfisheye",
        "kannalabrandt4",
        "kannalabrandt",
        "kannalabrandt8",
        "equi",
        "kb4",
        "5",
    ),
}
_KNOWN = {name: model for model, names in _MODELS.items() for name in names}
_OTHERS = re.compile("^(3|omni.*|unified.*|mei|ftheta|fov|ds|eucm|doublesphere|atan|equirect.*|spheric.*|ortho.*|.*fisheye.*)$")
"""Models of cameras that are refused."""
_MODEL_KEYS = ("distortionmodel", "distortiontype", "lensmodel", "distmodel", "distortion")
_CAMERA_KEYS = ("cameramodel", "model", "projectionmodel", "projectiontype", "colmapmodel")
_LIST_WORDS = {
    "d",
    "dist",
    "distortion",
    "distortions",
    "distort",
    "kc",
    "coeffs",
    "coeff",
    "coef",
    "coefs",
    "coefficients",
    "lens",
}
_FILLERS = {"parameters", "params", "param", "coefficient", "vector", "vec", "matrix", "cam", "camera", "opencv", "mat"}
_SCALARS = {"k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6", "s1", "s2", "s3", "s4", "tx", "ty"}
_SUSPECT = re.compile("dist|tang|radial|lens|skew|^k[1-9]$|^p[12]$|^kc$|^coef|^alphac$|kdu|kud")
"""Keys that may bend the rays of a camera."""
_HARMLESS = re.compile("distance|cornerdist|lensposition")


def lens_of(node: CameraNode, tail: str = "") -> tuple[str, tuple[float, ...]]:
    """Return lens model and coefficients of a camera.

    Args:
        node: The camera's mapping; those that hold it are asked, too.
        tail: Words of the key of this camera's matrix, where one mapping holds several cameras.

    Raises:
        InputError: The model is not supported, or the coefficients have two readings.
    """
    model = _model(node)
    values = _listed(node, tail)
    if values is None:
        values, model = _single(node, model)
    if not any(values) and model != "equidistant":
        return "none", ()
    if model == "none":
        raise InputError(
            "A camera without distortion must have no coefficients", f"{values}", "name the lens model, or remove them"
        )
    return _fitted(model, values)


def suspects(node: CameraNode) -> list[str]:
    """Return the keys of a mapping that may bend the rays of a camera, are not zero, and were not read."""

    def bends(value: Any) -> bool:
        found = array_of(value)
        return bool(value) and isinstance(value, (dict, list)) if found is None else bool(found.any())

    return [
        key
        for key, value in node.values.items()
        if key not in node.used and _SUSPECT.search(norm(key)) and not _HARMLESS.search(norm(key)) and bends(value)
    ]


def _model(node: CameraNode) -> str | None:
    """Return the lens model that the mapping names; None if it names none."""
    found = [_one_model(node.get(key, above=True), True) for key in _MODEL_KEYS]
    found += [_one_model(node.get(key), False) for key in _CAMERA_KEYS]
    # DepthAI's number: 0 is a perspective, 1 a fisheye.
    is_depthai = {"intrinsicmatrix", "distortioncoeff"} <= node.keys
    found += ["equidistant"] if is_depthai and node.number("cameratype") == 1.0 else []
    known = [model for model in found if model is not None]
    lenses = [model for model in known if model != _PINHOLE]
    return lenses[0] if lenses else None


def _one_model(value: Any, must_be_known: bool) -> str | None:
    if isinstance(value, dict):
        inner = CameraNode(value)
        return _one_model(inner.get("model", "type", "distortionmodel", "name"), must_be_known)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    array = array_of(value)
    if array is not None and array.size > 1:
        return None
    name = norm(re.sub(r"^(rs2?_|rs2?\.)?distortion[._]", "", str(value).strip().lower()))
    if name in _KNOWN:
        return _KNOWN[name]
    if name and (must_be_known or _OTHERS.match(name)):
        fix = f"undistort the image, or fit one of {', '.join(COEFFICIENTS)}"
        raise InputError("The lens model must be supported", repr(value), fix)
    return None


def _listed(node: CameraNode | None, tail: str) -> tuple[float, ...] | None:
    """Return the list of coefficients of a mapping, or of those that hold it; None without one."""
    while node is not None:
        for key, value in node.values.items():
            words = words_of(key)
            rest = [word for word in words if word not in _LIST_WORDS and word not in _FILLERS]
            if not set(words) & _LIST_WORDS or "_".join(rest) not in (tail, ""):
                continue
            if isinstance(value, dict) and array_of(value) is None:
                inner = CameraNode(value)
                node.used.add(key)
                found = _listed(inner, "")
                values = found if found is not None else _single(inner, None)[0]
                return values or None
            array = array_of(value)
            if array is not None and (array.ndim == 0 or array.size == max(array.shape)):
                node.used.add(key)
                return tuple(array.ravel().tolist())
        node = node.parent
    return None


def _single(node: CameraNode, model: str | None) -> tuple[tuple[float, ...], str | None]:
    """Return the coefficients that have a key each, in the order of their model."""
    place: CameraNode | None = node
    while place is not None and not place.keys & (_SCALARS | {"kud"}):
        place = place.parent
    if place is None:
        return (), model
    found = {name: place.number(name) for name in _SCALARS & place.keys}
    values = {name: value for name, value in found.items() if value is not None}
    kud = place.number("kud")
    if kud is not None:
        return (kud, 0.0, 0.0, 0.0, 0.0), BROWN
    if model == "equidistant" or (
        model is None and {"k3", "k4"} <= values.keys() and not values.keys() & {"p1", "p2", "k5", "k6"}
    ):
        if model is None and any(values.values()):
            fix = "name the model: plumb_bob, rational_polynomial or equidistant"
            raise InputError("Coefficients k1 to k4 without p1, p2 must have a model", f"{values}", fix)
        names = COEFFICIENTS["equidistant"]
    elif values.keys() & {"s1", "s2", "s3", "s4", "tx", "ty"}:
        names = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6", "s1", "s2", "s3", "s4", "tx", "ty")
    else:
        names = COEFFICIENTS["rational_polynomial"]
    return tuple(values.get(name, 0.0) for name in names), model if model is not None or not any(values.values()) else BROWN


def _fitted(model: str | None, values: tuple[float, ...]) -> tuple[str, tuple[float, ...]]:
    """Return the smallest model of OpenCV's family that has the coefficients; a fisheye has four."""
    if model is None and len(values) == 4:
        given = f"{values} without the name of a model"
        fix = "name the model in the file: plumb_bob (k1 k2 p1 p2) or equidistant (a fisheye's k1 k2 k3 k4)"
        raise InputError("Four coefficients must come with their lens model", given, fix)
    if model is None and len(values) == 3:
        raise InputError("Three coefficients must come with their lens model", f"{values}", "give k1, k2, p1, p2, k3")
    if model == "equidistant":
        padded = (*values, *(0.0,) * (4 - len(values)))
        if any(padded[4:]):
            raise InputError("A fisheye must have four coefficients", f"{values}", "give k1, k2, k3, k4")
        return model, padded[:4]
    if model == "inverse_brown_conrady":
        return model, (*values, *(0.0,) * (5 - len(values)))
    last = max(number for number, value in enumerate(values, start=1) if value)
    for name, count in ((BROWN, 5), ("rational_polynomial", 8), ("thin_prism", 12), ("thin_prism", 14)):
        if last <= count:
            return name, (*values, *(0.0,) * count)[:count]
    raise InputError("A lens must have at most 14 coefficients", f"{len(values)}", "give OpenCV's order")
