"""Intrinsics in the layouts of other programs: each is read as its program means it, or refused with the reason."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from molmo_point.camera.intrinsics_files.camera_choice import LoadedIntrinsics, load_intrinsics, read_intrinsics
from molmo_point.errors import InputError
from molmo_point.geometry.intrinsics import Intrinsics

FX, FY, CX, CY = 615.25, 617.5, 322.75, 238.5
SIZE = (640, 480)
K = [[FX, 0.0, CX], [0.0, FY, CY], [0.0, 0.0, 1.0]]
FLAT = [FX, 0.0, CX, 0.0, FY, CY, 0.0, 0.0, 1.0]
COLUMNS = [FX, 0.0, 0.0, 0.0, FY, 0.0, CX, CY, 1.0]
P = [FX, 0.0, CX, 0.0, 0.0, FY, CY, 0.0, 0.0, 0.0, 1.0, 0.0]
BROWN = (0.1, -0.05, 0.001, -0.002, 0.01)
RATIONAL = (0.5, -2.5, 0.0005, -0.0003, 1.4, 0.35, -2.3, 1.35)
FISHEYE = (0.05, 0.01, -0.002, 0.0005)
CENTERED = Intrinsics(*SIZE, FX, FY, CX, CY)


def lens(model: str, coefficients: tuple[float, ...]) -> Intrinsics:
    return Intrinsics(*SIZE, FX, FY, CX, CY, model, coefficients)


def read(folder: Path, text: str | bytes, name: str = "camera.dat", **more: Any) -> LoadedIntrinsics:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_intrinsics(path, size_wh=SIZE, **more)


OST = f"""# oST version 5.0 parameters


[image]

width
640

height
480

[narrow_stereo/left]

camera matrix
{FX} 0.000000 {CX}
0.000000 {FY} {CY}
0.000000 0.000000 1.000000

distortion
0.1 -0.05 0.001 -0.002 0.01

rectification
1.000000 0.000000 0.000000
0.000000 1.000000 0.000000
0.000000 0.000000 1.000000

projection
600.000000 0.000000 320.000000 0.000000
0.000000 600.000000 240.000000 0.000000
0.000000 0.000000 1.000000 0.000000

"""
DEPTHAI_SOCKET = {
    "cameraType": 0,
    "distortionCoeff": [*RATIONAL, 0, 0, 0, 0, 0, 0],
    "extrinsics": {"rotationMatrix": [[1, 0, 0], [0, 1, 0], [0, 0, 1]], "translation": {"x": -7.5, "y": 0, "z": 0}},
    "height": 480,
    "width": 640,
    "intrinsicMatrix": K,
    "lensPosition": 135,
    "specHfovDeg": 68.8,
}
SCANNET = f"""axisAlignment = 0.94 0.32 0 -5.3 -0.32 0.94 0 -2.8 0 0 1 -0.06 0 0 0 1
colorHeight = 968
colorWidth = 1296
depthHeight = 480
depthWidth = 640
fx_color = 1170.187988
fx_depth = {FX}
fy_color = 1170.187988
fy_depth = {FY}
mx_color = 647.75
mx_depth = {CX}
my_color = 483.75
my_depth = {CY}
numColorFrames = 5578
"""
OPENCV_YAML = f"""%YAML:1.0
---
# made by a sample
calibration_time: "Tue 03 Nov 2026 10:00:00 AM CET"
image_width: 640
image_height: 480
flags: 0
camera_matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ {FX}, 0., {CX}, 0., {FY}, {CY}, 0., 0., 1. ]
distortion_coefficients: !!opencv-matrix
   rows: 5
   cols: 1
   dt: d
   data: [ 1.0000000000000001e-01, -5.0e-02, 1e-03, -2.e-03, 1.e-02 ]
avg_reprojection_error: 2.1e-01
"""
OPENCV_XML = f"""<?xml version="1.0"?>
<opencv_storage>
<!-- a comment -->
<image_Width>640</image_Width>
<image_Height>480</image_Height>
<Camera_Matrix type_id="opencv-matrix"><rows>3</rows><cols>3</cols><dt>d</dt>
  <data>{FX} 0. {CX} 0. {FY} {CY} 0. 0. 1.</data></Camera_Matrix>
<Distortion_Coefficients type_id="opencv-matrix"><rows>5</rows><cols>1</cols><dt>d</dt>
  <data>0.1 -0.05 0.001 -0.002 0.01</data></Distortion_Coefficients>
</opencv_storage>
"""
INFO = f"""header:
  stamp: {{sec: 1, nanosec: 2}}
  frame_id: camera_color_optical_frame
height: 480
width: 640
distortion_model: plumb_bob
D: [0.1, -0.05, 0.001, -0.002, 0.01]
K: {FLAT}
R: [1, 0, 0, 0, 1, 0, 0, 0, 1]
P: {P}
binning_x: 0
binning_y: 0
roi: {{x_offset: 0, y_offset: 0, height: 0, width: 0, do_rectify: false}}
"""
CALIBRATION = f"""image_width: 640
image_height: 480
camera_name: narrow
camera_matrix:
  rows: 3
  cols: 3
  data: {FLAT}
distortion_model: rational_polynomial
distortion_coefficients:
  rows: 1
  cols: 8
  data: {list(RATIONAL)}
rectification_matrix: {{rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}}
projection_matrix: {{rows: 3, cols: 4, data: [600, 0, 320, 0, 0, 600, 240, 0, 0, 0, 1, 0]}}
"""
VISP = f"""<?xml version="1.0"?>
<root>
  <camera>
    <name>Camera</name>
    <image_width>640</image_width>
    <image_height>480</image_height>
    <model>
      <type>perspectiveProjWithoutDistortion</type>
      <px>600</px><py>600</py><u0>320</u0><v0>240</v0>
    </model>
    <model>
      <type>perspectiveProjWithDistortion</type>
      <px>{FX}</px><py>{FY}</py><u0>{CX}</u0><v0>{CY}</v0><kud>0.1</kud><kdu>-0.097</kdu>
    </model>
  </camera>
</root>
"""
LISTED = f"""Device info:
  Name : Intel RealSense D435

Intrinsic of "Depth" / 640x480 / {{Z16}}
  Width:      \t640
  Height:     \t480
  PPX:        \t316.5
  PPY:        \t239.5
  Fx:         \t384.5
  Fy:         \t384.5
  Distortion: \tBrown Conrady
  Coeffs:     \t0  \t0  \t0  \t0  \t0
  FOV (deg):  \t79.5 x 64

Intrinsic of "Color" / 640x480 / {{YUYV/RGB8}}
  Width:      \t640
  Height:     \t480
  PPX:        \t{CX}
  PPY:        \t{CY}
  Fx:         \t{FX}
  Fy:         \t{FY}
  Distortion: \tInverse Brown Conrady
  Coeffs:     \t0  \t0  \t0  \t0  \t0
  FOV (deg):  \t55 x 42
"""
ORB_SLAM = f"""%YAML:1.0
Camera.fx: {FX}
Camera.fy: {FY}
Camera.cx: {CX}
Camera.cy: {CY}
Camera.k1: 0.1
Camera.k2: -0.05
Camera.p1: 0.001
Camera.p2: -0.002
Camera.k3: 0.01
Camera.width: 640
Camera.height: 480
DepthMapFactor: 5000.0
ORBextractor.nFeatures: 1000
"""
PLAIN_LENS = {"width": "640", "height": 480, "fx": str(FX), "fy": FY, "cx": CX, "cy": CY, "serial": "0123", "model": "D435"}
NERF = {"fl_x": FX, "fl_y": FY, "cx": CX + 0.5, "cy": CY + 0.5, "w": 640, "h": 480, "k1": 0.1, "k2": -0.05, "p1": 0.001}
NERF |= {
    "p2": -0.002,
    "k3": 0.01,
    "camera_model": "OPENCV",
    "frames": [{"file_path": "a.png", "transform_matrix": np.eye(4).tolist()}],
}
KALIBR = {
    "cam0": {
        "camera_model": "pinhole",
        "distortion_model": "radtan",
        "distortion_coeffs": [0.1, -0.05, 0.001, -0.002],
        "intrinsics": [FX, FY, CX, CY],
        "resolution": [640, 480],
        "rostopic": "/cam0",
        "cam_overlaps": [1],
    },
    "cam1": {
        "camera_model": "pinhole",
        "distortion_model": "equidistant",
        "distortion_coeffs": list(FISHEYE),
        "intrinsics": [FX, FY, CX, CY],
        "resolution": [640, 480],
        "T_cn_cnm1": np.eye(4).tolist(),
    },
}
DEPTHAI = {
    "boardName": "OAK-D",
    "cameraData": [
        [0, {"cameraType": 0, "width": 640, "height": 480, "intrinsicMatrix": K, "distortionCoeff": [*RATIONAL, *[0.0] * 6]}]
    ],
}
RS = {"coeffs": [0.0] * 5, "fx": FX, "fy": FY, "height": 480, "model": "distortion.inverse_brown_conrady", "ppx": CX, "ppy": CY}
RS |= {"width": 640}
ROS_ECHO = INFO.replace("D:", "d:").replace("K:", "k:").replace("R:", "r:").replace("P:", "p:") + "---\n"
SHORT = lens("brown_conrady", (*BROWN[:4], 0.0))
OPEN3D = {"height": 480, "intrinsic_matrix": COLUMNS, "width": 640}

GOOD: dict[str, tuple[str, Intrinsics, str, dict[str, Any]]] = {
    "BOP scene_camera": (json.dumps({"0": {"cam_K": FLAT, "depth_scale": 0.1}, "1": {"cam_K": FLAT}}), CENTERED, "BOP", {}),
    "BOP camera": (
        json.dumps({"cx": CX, "cy": CY, "depth_scale": 0.1, "fx": FX, "fy": FY, "height": 480, "width": 640}),
        CENTERED,
        "",
        {},
    ),
    "Open3D": (json.dumps(OPEN3D), CENTERED, "Open3D", {}),
    "Open3D inside": (
        json.dumps({"class_name": "x", "intrinsic": OPEN3D, "extrinsic": np.eye(4).ravel().tolist()}),
        CENTERED,
        "Open3D",
        {},
    ),
    "by rows": (json.dumps({"intrinsic_matrix": K}), CENTERED, "intrinsic_matrix", {}),
    "CameraInfo": (INFO, lens("brown_conrady", BROWN), "ROS CameraInfo", {}),
    "CameraInfo of ros2 topic echo": (ROS_ECHO, lens("brown_conrady", BROWN), "ROS CameraInfo", {}),
    "two equal messages": (ROS_ECHO * 2, lens("brown_conrady", BROWN), "ROS CameraInfo", {}),
    "camera_calibration": (CALIBRATION, lens("rational_polynomial", RATIONAL), "ROS camera_calibration", {}),
    "OpenCV YAML": (OPENCV_YAML, lens("brown_conrady", BROWN), "OpenCV", {}),
    "OpenCV XML": (OPENCV_XML, lens("brown_conrady", BROWN), "OpenCV", {}),
    "xres yres": (json.dumps({"xres": 640, "yres": 480, "fx": FX, "fy": FY, "cx": CX, "cy": CY}), CENTERED, "xres/yres", {}),
    "autolab": (
        json.dumps(
            {"_cy": CY, "_cx": CX, "_fy": FY, "_height": 480, "_fx": FX, "_width": 640, "_skew": 0.0, "_K": 0, "_frame": "k"}
        ),
        CENTERED,
        "autolab .intr",
        {},
    ),
    "ViSP": (VISP, lens("brown_conrady", (0.1, 0, 0, 0, 0)), "ViSP", {}),
    "3x3 text": ("\n".join(" ".join(map(str, row)) for row in K), CENTERED, "3x3 numbers", {}),
    "3x3 with commas": ("# K\n" + "\n".join(",".join(map(str, row)) for row in K), CENTERED, "3x3 numbers", {}),
    "3x3 in brackets": (str(K), CENTERED, "3x3 numbers", {}),
    "3x3 of MATLAB": (f"[{FX} 0 {CX}; 0 {FY} {CY}; 0 0 1]", CENTERED, "3x3 numbers", {}),
    "3x3 of Python": (f"K = [[{FX}, 0, {CX}],\n  [0, {FY}, {CY}],\n  [0, 0, 1]]\n", CENTERED, "3x3 numbers", {}),
    "fx x0": (json.dumps({"fx": FX, "fy": FY, "x0": CX, "y0": CY, "w": 640, "h": 480}), CENTERED, "x0", {}),
    "KITTI raw": (
        f"calib_time: 09-Jan-2012 13:57:47\ncorner_dist: 9.95e-02\nS_02: 6.4e+02 4.8e+02\nK_02: {' '.join(map(str, FLAT))}\n"
        f"D_02: {' '.join(map(str, BROWN))}\nP_rect_02: 600 0 320 0 0 600 240 0 0 0 1 0\n",
        lens("brown_conrady", BROWN),
        "camera matrix",
        {"camera": "K_02"},
    ),
    "3x3 turned": (str(np.transpose(K).tolist()), CENTERED, "3x3 numbers", {}),
    "3x4 text": (f"{FX} 0 {CX} 0\n0 {FY} {CY} 0\n0 0 1 0\n", CENTERED, "3x3 numbers", {}),
    "4x4 text": (f"{FX} 0 {CX} 0\n0 {FY} {CY} 0\n0 0 1 0\n0 0 0 1\n", CENTERED, "3x3 numbers", {}),
    "row": (f"{FX} {FY} {CX} {CY}", CENTERED, "fx fy cx cy in a row", {}),
    "pyrealsense2": (json.dumps(RS), CENTERED, "pyrealsense2", {}),
    "pyrealsense2 printed": (
        f"[ 640x480  p[{CX} {CY}]  f[{FX} {FY}]  Brown Conrady [0.1 -0.05 0.001 -0.002 0.01] ]",
        lens("brown_conrady", BROWN),
        "pyrealsense2",
        {},
    ),
    "rs-enumerate-devices": (LISTED, CENTERED, "pyrealsense2", {"camera": "Color 640x480"}),
    "COLMAP": (f"# cameras\n1 PINHOLE 640 480 {FX} {FY} {CX + 0.5} {CY + 0.5}\n", CENTERED, "COLMAP", {}),
    "COLMAP fisheye": (
        f"1 OPENCV_FISHEYE 640 480 {FX} {FY} {CX + 0.5} {CY + 0.5} {' '.join(map(str, FISHEYE))}",
        lens("equidistant", FISHEYE),
        "COLMAP",
        {},
    ),
    "COLMAP full": (
        f"1 FULL_OPENCV 640 480 {FX} {FY} {CX + 0.5} {CY + 0.5} {' '.join(map(str, RATIONAL))}",
        lens("rational_polynomial", RATIONAL),
        "COLMAP",
        {},
    ),
    "nerfstudio": (json.dumps(NERF), lens("brown_conrady", BROWN), "nerfstudio", {}),
    "Kalibr radtan": (json.dumps(KALIBR), SHORT, "Kalibr", {"camera": "cam0"}),
    "Kalibr equidistant": (json.dumps(KALIBR), lens("equidistant", FISHEYE), "Kalibr", {"camera": "CAM1"}),
    "KITTI": (
        f"P0: {' '.join(map(str, P))}\nP2: {' '.join(map(str, [600, *P[1:3], 44.8, *P[4:]]))}",
        CENTERED,
        "camera matrix",
        {"camera": "P0"},
    ),
    "ORB-SLAM": (ORB_SLAM, lens("brown_conrady", BROWN), "ORB-SLAM", {}),
    "DepthAI": (json.dumps(DEPTHAI), lens("rational_polynomial", RATIONAL), "intrinsic_matrix", {}),
    "keys and equals": (f"fx = {FX}\nfy = {FY}\ncx={CX}\ncy = {CY}\nwidth=640\nheight=480\n", CENTERED, "fx fy cx cy", {}),
    "extra keys, texts": (json.dumps(PLAIN_LENS), CENTERED, "fx fy cx cy", {}),
    "upper case": (
        json.dumps({"Camera": {key.upper(): value for key, value in CENTERED.to_dict().items() if key[0] != "d"}}),
        CENTERED,
        "",
        {},
    ),
    "JSON with comments": ('{\n// a camera\n"K": ' + json.dumps(K) + ", // rows\n}", CENTERED, "camera matrix", {}),
    "focal and principal point": (
        json.dumps({"focal_length": [FX, FY], "principal_point": [CX, CY], "size": [480, 640]}),
        CENTERED,
        "",
        {},
    ),
    "Bouguet": (
        json.dumps({"fc": [FX, FY], "cc": [CX, CY], "kc": list(BROWN), "nx": 640, "ny": 480}),
        lens("brown_conrady", BROWN),
        "",
        {},
    ),
    "MATLAB": (
        json.dumps(
            {"IntrinsicMatrix": [[FX, 0, 0], [0, FY, 0], [CX + 1, CY + 1, 1]], "RadialDistortion": [0.1, -0.05, 0.01]}
            | {"TangentialDistortion": [0.001, -0.002], "ImageSize": [480, 640]}
        ),
        lens("brown_conrady", BROWN),
        "MATLAB",
        {},
    ),
    "camera_calibration's ost.txt": (OST, lens("brown_conrady", BROWN), "ROS camera_calibration", {}),
    "DepthAI's lens position": (
        json.dumps({"boardName": "OAK-D", "cameraData": [[0, DEPTHAI_SOCKET]]}),
        lens("rational_polynomial", RATIONAL),
        "",
        {},
    ),
    "Record3D, whose cameraType is no fisheye": (
        json.dumps({"w": 640, "h": 480, "K": np.array(K).T.ravel().tolist(), "cameraType": 1}),
        CENTERED,
        "camera matrix",
        {},
    ),
    "ScanNet's scene": (SCANNET, CENTERED, "fx fy cx cy", {}),
    "NYU": (
        f"fx_rgb = {FX};\nfy_rgb = {FY};\ncx_rgb = {CX};\ncy_rgb = {CY};\nk1_rgb = {BROWN[0]};\nk2_rgb = {BROWN[1]};\n"
        f"p1_rgb = {BROWN[2]};\np2_rgb = {BROWN[3]};\nk3_rgb = {BROWN[4]};\n"
        "fx_d = 582.6;\nfy_d = 582.7;\ncx_d = 313.0;\ncy_d = 238.4;\nk1_d = -0.1;\n",
        lens("brown_conrady", BROWN),
        "",
        {"camera": "rgb"},
    ),
    "a nested list": (json.dumps(K, indent=2), CENTERED, "3x3", {}),
    "NumPy's repr": (repr(np.array(K)), CENTERED, "3x3", {}),
    "librealsense before 2.40": (
        f"width: 640, height: 480, ppx: {CX}, ppy: {CY}, fx: {FX}, fy: {FY}, model: Brown Conrady, coeffs: [0, 0, 0, 0, 0]",
        CENTERED,
        "pyrealsense2",
        {},
    ),
    "tutorial of OpenCV": (json.dumps({"mtx": K, "dist": [list(BROWN)]}), lens("brown_conrady", BROWN), "camera matrix", {}),
    "stereo": (
        json.dumps({"M1": K, "D1": list(BROWN), "M2": [[600, 0, 320], *K[1:]], "D2": [0] * 5}),
        lens("brown_conrady", BROWN),
        "",
        {"camera": "M1"},
    ),
}


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("style", ["as written", "CRLF and BOM"])
def test_a_layout_is_read_as_its_program_means_it(tmp_path: Path, name: str, style: str) -> None:
    text, expected, layout, more = GOOD[name]
    found = read(tmp_path, text if style == "as written" else "\ufeff" + text.replace("\n", "\r\n"), **more)
    assert found.intrinsics.size_wh == expected.size_wh and found.intrinsics.distortion_model == expected.distortion_model
    np.testing.assert_allclose(found.intrinsics.matrix, expected.matrix, atol=1e-9)
    np.testing.assert_allclose(found.intrinsics.distortion, expected.distortion, atol=1e-12)
    assert layout in found.layout
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize("name", ["BOP camera", "CameraInfo", "OpenCV YAML", "OpenCV XML", "ViSP", "Open3D", "pyrealsense2"])
def test_the_name_of_the_file_tells_nothing(tmp_path: Path, name: str) -> None:
    for suffix in (".json", ".yaml", ".xml", ".txt", ".intr", ""):
        if suffix == ".json" and GOOD[name][0].lstrip()[0] not in "{<":
            continue
        assert read(tmp_path, GOOD[name][0], f"k{suffix}").intrinsics.fx == FX


BAD = {
    "several cameras": (json.dumps(KALIBR), ["intrinsics-camera", "'cam0', 'cam1'"]),
    "several streams": (LISTED, ["Color 640x480", "Depth 640x480"]),
    "an unknown camera": (json.dumps(KALIBR), ["'cam7'", "cam0"]),
    "four coefficients": (json.dumps({"K": K, "D": list(FISHEYE)}), ["plumb_bob", "equidistant"]),
    "two focal lengths": (json.dumps({"fx": FX, "Fx": 600, "fy": FY, "cx": CX, "cy": CY}), ["fx=615.25, Fx=600"]),
    "K and fx that differ": (json.dumps({"fx": 600, "fy": 600, "cx": CX, "cy": CY, "K": K}), ["one reading"]),
    "a lens key that nobody knows": (json.dumps({"K": K, "distorsion_xy": [0.1, 0.2]}), ["distorsion_xy"]),
    "an omnidirectional camera": (json.dumps({"cam0": {**KALIBR["cam0"], "camera_model": "omni"}}), ["omni"]),
    "a field-of-view lens": (json.dumps({"cam0": {**KALIBR["cam0"], "distortion_model": "fov"}}), ["fov"]),
    "COLMAP's FOV": (f"1 FOV 640 480 {FX} {FY} {CX} {CY} 0.1", ["FOV"]),
    "ViSP's fisheye": (VISP.replace("WithDistortion", "WithKannalaBrandtDistortion"), ["Kannala"]),
    "an uncalibrated camera": (INFO.replace(f"K: {FLAT}", "K: [0, 0, 0, 0, 0, 0, 0, 0, 0]"), ["K must"]),
    "the identity": (json.dumps({"K": np.eye(3).tolist()}), ["focal length"]),
    "a skew": (json.dumps({"K": [[FX, 9, CX], *K[1:]]}), ["skew"]),
    "normalized": (json.dumps({"fx": 0.8, "fy": 1.0, "cx": 0.5, "cy": 0.5}), ["focal length"]),
    "another size": (INFO.replace("640", "1280").replace("480", "960"), ["center"]),
    "nothing": (json.dumps({"pose": np.eye(4).tolist()}), ["known layout", "pose"]),
    "a DOCTYPE": ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', ["entities"]),
    "MATLAB 7.3": (b"MATLAB 7.3 MAT-file", ["7.3"]),
    "a half .mat": (b"MATLAB 5.0 MAT-file" + bytes(200), ["mat"]),
    "a list": ("[1, 2]", ["mapping"]),
    "empty": ("", ["known layout"]),
}


@pytest.mark.parametrize("name", BAD)
def test_two_readings_and_other_lenses_are_refused_by_name(tmp_path: Path, name: str) -> None:
    text, clues = BAD[name]
    with pytest.raises(InputError) as caught:
        read(tmp_path, text, camera="cam7" if "unknown" in name else None)
    for clue in clues:
        assert clue in str(caught.value)


@pytest.mark.parametrize(
    ("values", "meters"),
    [
        ({"cam_K": FLAT, "depth_scale": 0.1}, (1e-4,)),
        ({"cam_K": FLAT, "depth_scale": 1.0}, (1e-3,)),
        ({"intrinsic_matrix": K, "factor_depth": [[5000]]}, (2e-4,)),
        ({"fx": FX, "fy": FY, "cx": CX, "cy": CY, "width": 640, "height": 480, "depth_scale": 0.001}, (1e-3,)),
        ({"fx": FX, "fy": FY, "cx": CX, "cy": CY, "width": 640, "height": 480, "depth_scale": 1000.0}, (1e-3,)),
        ({"fx": FX, "fy": FY, "cx": CX, "cy": CY, "width": 640, "height": 480, "depth_scale": 0.1}, (1e-4,)),
        ({"K": FLAT, "depth_scale": 0.00025}, (2.5e-4,)),
        ({"K": FLAT, "depth_scale": 1000}, (1e-3,)),
        ({"K": FLAT, "depth_scale": 0.1}, (1e-4, 0.1)),
        ({"K": FLAT}, ()),
    ],
)
def test_the_unit_of_depth_is_read_as_its_layout_means_it(
    tmp_path: Path, values: dict[str, Any], meters: tuple[float, ...]
) -> None:
    found = read(tmp_path, json.dumps(values))
    assert (found.depth_scale_m, found.depth_scales_m) == ((meters[0], ()) if len(meters) == 1 else (None, meters))


def test_the_unit_of_orb_slam3_is_read(tmp_path: Path) -> None:
    camera = f"Camera1.fx: {FX}\nCamera1.fy: {FY}\nCamera1.cx: {CX}\nCamera1.cy: {CY}\n"
    assert read(tmp_path, f"%YAML:1.0\n{camera}RGBD.DepthMapFactor: 5000.0\n").depth_scale_m == 2e-4


def test_a_size_that_only_the_image_has_is_taken_from_it_and_said(tmp_path: Path) -> None:
    assert any("640 x 480" in note for note in read(tmp_path, json.dumps({"K": K})).notes)
    with pytest.raises(InputError, match="width and height"):
        load_intrinsics(tmp_path / "camera.dat")
    (tmp_path / "w.json").write_text(json.dumps({"K": K, "width": 1280}))
    with pytest.raises(InputError, match="image's size"):
        read_intrinsics(tmp_path / "w.json", size_wh=SIZE)


def test_the_region_and_binning_of_a_camera_info_are_applied(tmp_path: Path) -> None:
    whole = INFO.replace("height: 480\nwidth: 640", "height: 960\nwidth: 1280").replace("plumb_bob", "none")
    whole = whole.replace("D: [0.1, -0.05, 0.001, -0.002, 0.01]", "D: []")
    center = [FX, 0, CX + 320, 0, FY, CY + 240, 0, 0, 1]
    region = "roi: {x_offset: 320, y_offset: 240, height: 480, width: 640, do_rectify: false}"
    cropped = whole.replace(f"K: {FLAT}", f"K: {center}").replace(INFO.splitlines()[-1], region)
    found = read(tmp_path, cropped).intrinsics
    assert (found.size_wh, found.cx, found.cy, found.whole) == (SIZE, CX, CY, (320, 240, 1280, 960))
    doubled = [2 * FX, 0, 2 * CX + 0.5, 0, 2 * FY, 2 * CY + 0.5, 0, 0, 1]
    binned = whole.replace(f"K: {FLAT}", f"K: {doubled}").replace("binning_x: 0\nbinning_y: 0", "binning_x: 2\nbinning_y: 2")
    assert read(tmp_path, binned).intrinsics == CENTERED


def test_files_of_the_libraries_themselves_are_read(tmp_path: Path) -> None:
    scipy_io = pytest.importorskip("scipy.io")
    scipy_io.savemat(
        tmp_path / "meta.mat", {"intrinsic_matrix": np.array(K), "factor_depth": np.array([[1000]])}, do_compression=True
    )
    scipy_io.savemat(tmp_path / "struct.mat", {"meta": {"camera": {"K": np.array(K)}, "poses": np.ones((3, 4, 2)), "name": "x"}})
    np.savez(tmp_path / "k.npz", mtx=np.array(K), dist=np.array([BROWN]), rvecs=np.zeros((3, 3)))
    np.savetxt(tmp_path / "k.txt", np.array(K))
    np.save(tmp_path / "k.npy", np.array(K))
    for name, layout in {
        "meta.mat": "GraspNet",
        "struct.mat": "camera matrix",
        "k.npz": "camera matrix",
        "k.txt": "3x3",
        "k.npy": "3x3",
    }.items():
        found = read_intrinsics(tmp_path / name, size_wh=SIZE)
        assert layout in found.layout and found.intrinsics == (lens("brown_conrady", BROWN) if name == "k.npz" else CENTERED)
    assert read_intrinsics(tmp_path / "meta.mat", size_wh=SIZE).depth_scale_m == 0.001


@pytest.mark.parametrize("suffix", ["yml", "xml", "json"])
def test_files_of_opencv_itself_are_read(tmp_path: Path, suffix: str) -> None:
    cv2 = pytest.importorskip("cv2")
    storage = cv2.FileStorage(str(tmp_path / f"k.{suffix}"), cv2.FILE_STORAGE_WRITE)
    storage.write("image_width", 640)
    storage.write("image_height", 480)
    storage.write("cameraMatrix", np.array(K))
    storage.write("distCoeffs", np.array([RATIONAL]).T)
    storage.write("rvecs", np.zeros((4, 3)))
    storage.release()
    assert load_intrinsics(tmp_path / f"k.{suffix}") == lens("rational_polynomial", RATIONAL)


def test_intrinsics_that_librealsense_prints_are_read(tmp_path: Path) -> None:
    rs = pytest.importorskip("pyrealsense2")
    given = rs.intrinsics()
    given.width, given.height, given.fx, given.fy, given.ppx, given.ppy = 640, 480, FX, FY, CX, CY
    given.model, given.coeffs = rs.distortion.brown_conrady, [*BROWN]
    found = read(tmp_path, str(given)).intrinsics
    np.testing.assert_allclose(found.distortion, BROWN, rtol=1e-5)
    assert (
        read(
            tmp_path,
            json.dumps(
                {"model": int(given.model), "coeffs": list(BROWN), **{k: RS[k] for k in RS if k not in ("model", "coeffs")}}
            ),
        ).intrinsics.distortion
        == BROWN
    )


@pytest.mark.slow
def test_files_of_open3d_itself_are_read(tmp_path: Path) -> None:
    o3d = pytest.importorskip("open3d")
    o3d.io.write_pinhole_camera_intrinsic(str(tmp_path / "o.json"), o3d.camera.PinholeCameraIntrinsic(640, 480, FX, FY, CX, CY))
    assert load_intrinsics(tmp_path / "o.json") == CENTERED


def test_the_camera_infos_of_a_bag_are_read(tmp_path: Path) -> None:
    rosbag1, typesys = pytest.importorskip("rosbags.rosbag1"), pytest.importorskip("rosbags.typesys")
    store = typesys.get_typestore(typesys.Stores.ROS1_NOETIC)
    types = store.types
    header = types["std_msgs/msg/Header"](seq=0, stamp=types["builtin_interfaces/msg/Time"](sec=1, nanosec=2), frame_id="c")
    roi = types["sensor_msgs/msg/RegionOfInterest"](x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    info = types["sensor_msgs/msg/CameraInfo"](
        header=header, height=480, width=640, distortion_model="plumb_bob", D=np.array(BROWN), K=np.array(FLAT),
        R=np.eye(3).ravel(), P=np.array(P), binning_x=0, binning_y=0, roi=roi,
    )  # fmt: skip
    with rosbag1.Writer(tmp_path / "a.bag") as bag:
        topic = bag.add_connection("/color/camera_info", "sensor_msgs/msg/CameraInfo", typestore=store)
        bag.write(topic, 5, store.serialize_ros1(info, "sensor_msgs/msg/CameraInfo"))
    found = read_intrinsics(tmp_path / "a.bag")
    assert found.intrinsics == lens("brown_conrady", BROWN) and (found.form, found.camera) == ("ROS bag", "/color/camera_info")


@pytest.mark.slow
def test_nothing_that_is_cut_or_changed_ends_in_another_error(tmp_path: Path) -> None:
    """Every file ends in intrinsics that are those of the whole file, or in a refusal."""
    generator = np.random.default_rng(5)
    for name, (text, *_, more) in GOOD.items():
        data = bytearray(text.encode())
        for _ in range(12):
            changed = bytearray(data)
            for place in generator.integers(0, len(data), 3):
                changed[place] = generator.integers(0, 128)
            for broken in (bytes(data[: generator.integers(0, len(data))]), bytes(changed)):
                try:
                    found = read(tmp_path, broken, **more).intrinsics
                except InputError:
                    continue
                assert math.isfinite(found.fx), name


def test_a_large_variable_of_a_mat_file_is_not_unfolded(tmp_path: Path) -> None:
    scipy_io = pytest.importorskip("scipy.io")
    scipy_io.savemat(tmp_path / "big.mat", {"K": np.array(K), "cloud": np.zeros((3000, 400))}, do_compression=True)
    assert load_intrinsics(tmp_path / "big.mat", size_wh=SIZE) == CENTERED
