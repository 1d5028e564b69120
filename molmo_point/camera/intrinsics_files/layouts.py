"""The layouts of intrinsics: each reads the cameras of one mapping."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from molmo_point.camera.intrinsics_files.camera_node import CameraNode, array_of, norm, words_of
from molmo_point.camera.intrinsics_files.depth_factor import depth_scales
from molmo_point.camera.intrinsics_files.lens_names import BROWN, lens_of, suspects
from molmo_point.camera.intrinsics_files.reading import CameraReading, camera_matrix, matrix_rows, size_of
from molmo_point.errors import InputError

_CORNER_NOTE = "the principal point was counted from the corner of the first pixel: 0.5 px were subtracted"
_ONE_NOTE = "MATLAB counts pixels from 1: 1 px was subtracted from the principal point"
_COLMAP_LENSES: dict[str, tuple[int, str, tuple[str, ...]]] = {
    "SIMPLE_PINHOLE": (1, "none", ()),
    "PINHOLE": (2, "none", ()),
    "SIMPLE_RADIAL": (1, BROWN, ("k1",)),
    "RADIAL": (1, BROWN, ("k1", "k2")),
    "OPENCV": (2, BROWN, ("k1", "k2", "p1", "p2")),
    "FULL_OPENCV": (2, "rational_polynomial", ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")),
    "OPENCV_FISHEYE": (2, "equidistant", ("k1", "k2", "k3", "k4")),
    "SIMPLE_RADIAL_FISHEYE": (1, "equidistant", ("k1",)),
    "RADIAL_FISHEYE": (1, "equidistant", ("k1", "k2")),
}
"""Model -> number of focal lengths, lens model, and its coefficients in order."""
_SCALARS = {
    "nerfstudio": ("flx", "fly", "cx", "cy"),
    "pyrealsense2": ("fx", "fy", "ppx", "ppy"),
    "ViSP": ("px", "py", "u0", "v0"),
    "fx fy cx cy": ("fx", "fy", "cx", "cy"),
    "fu fv cu cv": ("fu", "fv", "cu", "cv"),
    "fx fy u0 v0": ("fx", "fy", "u0", "v0"),
    "fx fy x0 y0": ("fx", "fy", "x0", "y0"),
    "fx fy px py": ("fx", "fy", "px", "py"),
    "focal length and principal point": ("focallengthx", "focallengthy", "principalpointx", "principalpointy"),
    "f cx cy": ("f", "f", "cx", "cy"),
    "focal_length cx cy": ("focallength", "focallength", "cx", "cy"),
}
"""Layout -> keys of fx, fy, cx, cy."""
_NAME_WORDS = {"camera", "cam", "matrix", "k", "m", "mtx", "intrinsic", "intrinsics", "mat", "calibration", "params"}
_PROJECTION = {"p", "projection"}
_PLACES = {"color", "rgb", "depth", "ir", "infra", "left", "right", "l", "r", "rect"}
_ZED = {
    "2k": (2208, 1242),
    "fhd": (1920, 1080),
    "hd": (1280, 720),
    "vga": (672, 376),
    "fhd1200": (1920, 1200),
    "svga": (960, 600),
}


def _completed(
    node: CameraNode, reading: CameraReading, lens: tuple[str, tuple[float, ...]] | None, tail: str = ""
) -> CameraReading:
    """Add lens, size and depth factor to a camera of which K is known."""
    model, coefficients = lens_of(node, tail) if lens is None else lens
    scales = depth_scales(node)
    center_px = (reading.matrix[0][2], reading.matrix[1][2])
    return replace(
        reading,
        size_wh=size_of(node, center_px, tail) if reading.size_wh == (None, None) else reading.size_wh,
        distortion_model=model,
        distortion=coefficients,
        depth_scale_m=scales[0] if len(scales) == 1 else None,
        depth_scales_m=scales if len(scales) > 1 else (),
    )


def colmap(node: CameraNode) -> Iterator[CameraReading]:
    """Read a line of COLMAP's cameras.txt."""
    name, params = node.get("colmapmodel"), array_of(node.get("params"))
    if name is None or params is None:
        return
    known = _COLMAP_LENSES.get(name)
    if known is None:
        fix = f"undistort the images (colmap image_undistorter), or use one of {', '.join(_COLMAP_LENSES)}"
        raise InputError("The camera model of COLMAP must be supported", str(name), fix)
    focal_count, model, coefficients = known
    values = params.ravel().tolist()
    if len(values) != focal_count + 2 + len(coefficients):
        raise InputError(f"A camera {name} of COLMAP must have all parameters", f"{values}", "export it again")
    rest = tuple(values[focal_count + 2 :])
    lens = (model, (*rest, *(0.0,) * ({BROWN: 5, "equidistant": 4}.get(model, 0) - len(rest))))
    center_px = (values[focal_count] - 0.5, values[focal_count + 1] - 0.5)
    matrix = matrix_rows((values[0], values[focal_count - 1]), center_px)
    yield _completed(node, CameraReading("COLMAP", "", matrix, notes=(_CORNER_NOTE,)), lens if any(rest) else ("none", ()))


def scalars(node: CameraNode) -> Iterator[CameraReading]:
    """Read a mapping with one key for each of fx, fy, cx, cy."""
    for layout, keys in _SCALARS.items():
        if not set(keys) <= node.keys:
            continue
        values = [node.number(key) for key in keys]
        if None in values:
            node.used -= set(node.values)
            continue
        fx, fy, cx, cy = (value or 0.0 for value in values)
        skew = node.number("skew", "s", "gamma")
        matrix = ((fx, skew or 0.0, cx), (0.0, fy, cy), (0.0, 0.0, 1.0))
        notes, lens, size_wh = (), None, (None, None)
        if layout == "nerfstudio":
            matrix, notes = matrix_rows((fx, fy), (cx - 0.5, cy - 0.5)), (_CORNER_NOTE,)
        elif layout == "ViSP":
            lens = _visp_lens(node)
            notes = () if lens[0] == "none" else ("the model with distortion is the one of the image as stored",)
        elif layout == "fx fy cx cy":
            layout = _flavor(node, layout)
            size_wh = _zed_size(node) or size_wh
        yield _completed(node, CameraReading(layout, "", matrix, size_wh, notes=notes), lens)
        return


def placed_scalars(node: CameraNode) -> Iterator[CameraReading]:
    """Read several cameras whose keys end in their place: `fx_color mx_color` of ScanNet, `fx_rgb cx_rgb k1_rgb` of NYU."""
    for place in sorted(_PLACES | {"d"}):
        keys = {key: norm(key) for key in node.values}
        ends = {name.removesuffix(place): key for key, name in keys.items() if name.endswith(place)}
        if not {"fx", "fy"} <= ends.keys():
            continue
        # The size comes first: `colorWidth`.
        ends |= {name.removeprefix(place): key for key, name in keys.items() if name in (f"{place}width", f"{place}height")}
        centers = {"mx": "cx", "my": "cy"}
        inner = CameraNode({centers.get(name, name): node.values[key] for name, key in ends.items()}, node.path, node)
        for reading in scalars(inner):
            node.used |= {ends.get(key) or ends[{"cx": "mx", "cy": "my"}[key]] for key in inner.used}
            unread = suspects(inner)
            if unread:
                fix = "give the camera in a file of its own"
                raise InputError("Every key about the lens must be understood", f"{place}: {', '.join(unread)}", fix)
            yield replace(reading, camera=place)


def _visp_lens(node: CameraNode) -> tuple[str, tuple[float, ...]]:
    kind, kud = str(node.get("type") or ""), node.number("kud")
    if "kannala" in kind.lower():
        raise InputError("The lens model must be supported", kind, "use perspectiveProjWithDistortion of ViSP")
    node.get("kdu")
    return (BROWN, (kud, 0.0, 0.0, 0.0, 0.0)) if kud else ("none", ())


def _flavor(node: CameraNode, layout: str) -> str:
    """Return the program that writes these keys, for people to recognize."""
    if "_fx" in node.values:
        return "autolab .intr"
    if node.path and node.path[-1].lower().startswith("camera") and node.parent is not None and len(node.path) == 1:
        return "ORB-SLAM" if any(key.startswith(("ORBextractor", "Viewer")) for key in node.parent.values) else layout
    return "xres/yres" if {"xres", "yres"} <= node.keys else layout


def _zed_size(node: CameraNode) -> tuple[float, float] | None:
    """Return the size of a section of a ZED's .conf, which only its name tells."""
    parts = norm(node.path[-1]).partition("cam") if node.path else ("", "", "")
    return _ZED.get(parts[2]) if parts[0] in ("left", "right") and parts[1] else None


def lists(node: CameraNode) -> Iterator[CameraReading]:
    """Read a list fx, fy, cx, cy: Kalibr's `intrinsics`."""
    key = next((key for key in node.values if norm(key) in ("intrinsics", "intrinsic", "cameraintrinsics")), None)
    values = None if key is None else array_of(node.values[key])
    if key is None or values is None or values.size not in (4, 5):
        return
    node.used.add(key)
    model = node.get("cameramodel")
    if values.size == 5 or (model is not None and norm(str(model)) not in ("pinhole", "opencv", "fisheye", "pinholefisheye")):
        fix = "calibrate with the model pinhole-radtan or pinhole-equi"
        raise InputError("The camera model of the list must be pinhole", f"{model}, {values.size} numbers", fix)
    fx, fy, cx, cy = values.ravel().tolist()
    layout = "Kalibr" if model is not None else "list fx fy cx cy"
    yield _completed(node, CameraReading(layout, "", matrix_rows((fx, fy), (cx, cy))), None)


def pairs(node: CameraNode) -> Iterator[CameraReading]:
    """Read a focal length and a principal point as pairs: MATLAB's structures, and Bouguet's fc and cc."""
    focal, center = array_of(node.get("focallength", "fc")), array_of(node.get("principalpoint", "cc"))
    if focal is None or center is None or center.size != 2 or focal.size not in (1, 2):
        return
    is_matlab = {"radialdistortion", "tangentialdistortion"} & node.keys
    shift = 1.0 if is_matlab else 0.0
    values = [focal.ravel()[0], focal.ravel()[-1], *(center.ravel() - shift)]
    fx, fy, cx, cy = (float(value) for value in values)
    notes = (_ONE_NOTE,) if is_matlab else ()
    layout = "MATLAB" if is_matlab else "focal length and principal point"
    lens = _matlab_lens(node) if is_matlab else None
    yield _completed(node, CameraReading(layout, "", matrix_rows((fx, fy), (cx, cy)), notes=notes), lens)


def _matlab_lens(node: CameraNode) -> tuple[str, tuple[float, ...]]:
    radial, tangential = array_of(node.get("radialdistortion")), array_of(node.get("tangentialdistortion"))
    k1, k2, k3 = (*([] if radial is None else radial.ravel().tolist()), 0.0, 0.0, 0.0)[:3]
    p1, p2 = (*([] if tangential is None else tangential.ravel().tolist()), 0.0, 0.0)[:2]
    return (BROWN, (k1, k2, p1, p2, k3)) if any((k1, k2, k3, p1, p2)) else ("none", ())


def matrices(node: CameraNode) -> Iterator[CameraReading]:
    """Read camera matrices: by their names, and those that no other matrix can be."""
    found: dict[str, tuple[CameraReading, str, bool]] = {}
    for key, value in node.values.items():
        words = words_of(key)
        tail = "_".join(word for word in words if word not in _NAME_WORDS | _PROJECTION)
        named = bool(set(words) & _NAME_WORDS) and all(word in _NAME_WORDS | _PLACES or word.isdigit() for word in words)
        matrix = camera_matrix(array_of(value), named=named and set(words) != {"matrix"})
        if matrix is None:
            continue
        node.used.add(key)
        rows, by_columns = matrix
        is_projection = bool(set(words) & _PROJECTION) or rows.shape[1] == 4
        reading = CameraReading(
            _matrix_layout(node, norm(key), by_columns), key, _rows(rows), notes=_matrix_notes(rows, by_columns)
        )
        found[key] = (reading, tail, is_projection)
    raw = {tail for _, tail, is_projection in found.values() if not is_projection}
    kept = {key: each for key, each in found.items() if not (each[2] and each[1] in raw)}
    for key, (reading, tail, is_projection) in kept.items():
        if is_projection and norm(key) in ("p", "projectionmatrix") and {"k", "cameramatrix"} & node.keys:
            given = f"{node.get('k', 'cameramatrix')}"
            raise InputError("K must be a camera matrix", given, "calibrate the camera; only P is there")
        lens = ("none", ()) if is_projection else None
        each = _matlab(node, reading) or _completed(node, reading, lens, tail)
        yield replace(_windowed(node, each), camera=key if len(kept) > 1 else "")


def _matlab(node: CameraNode, reading: CameraReading) -> CameraReading | None:
    """Return the reading of MATLAB's camera parameters, which count pixels from 1; None for another program's."""
    if not {"radialdistortion", "tangentialdistortion"} & node.keys:
        return None
    (fx, skew, cx), (_, fy, cy), last = reading.matrix
    moved = replace(reading, layout="MATLAB", matrix=((fx, skew, cx - 1.0), (0.0, fy, cy - 1.0), last), notes=(_ONE_NOTE,))
    return _completed(node, moved, _matlab_lens(node))


def _rows(matrix: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(value) for value in row[:3]) for row in matrix)


def _matrix_notes(rows: np.ndarray, by_columns: bool) -> tuple[str, ...]:
    notes = ("the matrix is stored by columns",) if by_columns else ()
    if rows.shape[1] == 4:
        notes += ("a projection matrix: the image is rectified, without distortion",)
        if np.abs(rows[:2, 3]).max() > 1e-9:
            notes += ("its fourth column, the offset to another camera, is not used",)
    return notes


def _matrix_layout(node: CameraNode, key: str, by_columns: bool) -> str:
    """Return the program that writes this matrix, for people to recognize."""
    if key == "camk":
        return "BOP"
    if key == "intrinsicmatrix":
        return "GraspNet" if "factordepth" in node.keys else "Open3D" if by_columns else "intrinsic_matrix"
    if key == "k" and node.keys & {"distortionmodel", "p", "d"}:
        return "ROS CameraInfo"
    if key == "cameramatrix":
        return "ROS camera_calibration" if node.keys & {"projectionmatrix", "rectificationmatrix"} else "OpenCV"
    return "3x3 numbers" if key == "numbers" else "camera matrix"


def _windowed(node: CameraNode, reading: CameraReading) -> CameraReading:
    """Apply the region of interest and the binning of a ROS CameraInfo, which belong to K."""
    roi = node.get("roi", "regionofinterest")
    region = CameraNode(roi) if isinstance(roi, dict) else None
    window = None
    if region is not None and region.number("width") and region.number("height"):
        left, top = region.number("xoffset") or 0.0, region.number("yoffset") or 0.0
        window = (left, top, region.number("width") or 0.0, region.number("height") or 0.0)
    binning = tuple(max(int(node.number(name) or 1), 1) for name in ("binningx", "binningy"))
    return replace(reading, window=window, binning=(binning[0], binning[1]))


def rows_of_numbers(node: CameraNode) -> Iterator[CameraReading]:
    """Read a row `fx fy cx cy` with or without the coefficients of OpenCV, as TUM's."""
    values = array_of(node.get("numbers"))
    if values is None or values.size not in (4, 8, 9) or camera_matrix(values, named=False) is not None:
        return
    if values.size == 9 and values.ndim == 2 and min(values.shape) > 1:
        return
    fx, fy, cx, cy, *rest = values.ravel().tolist()
    lens = (BROWN, (*rest, *(0.0,) * (5 - len(rest)))) if any(rest) else ("none", ())
    notes = ("read as fx fy cx cy" + (" k1 k2 p1 p2 k3"[: 12 if len(rest) == 4 else None] if rest else ""),)
    yield _completed(node, CameraReading("fx fy cx cy in a row", "", matrix_rows((fx, fy), (cx, cy)), notes=notes), lens)


LAYOUTS: tuple[Callable[[CameraNode], Iterator[CameraReading]], ...] = (
    colmap,
    scalars,
    placed_scalars,
    lists,
    pairs,
    matrices,
    rows_of_numbers,
)
"""Every reader of one mapping. A new layout is one line here, or one in `_SCALARS`."""
