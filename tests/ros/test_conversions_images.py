"""Image messages to frames and back, bit for bit and pixel for pixel."""

import io
import struct

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.msg", reason="needs the built interfaces: make setup", exc_type=ImportError)

from molmo_point_ros import conversions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, RegionOfInterest

from molmo_point.errors import DepthInputError, InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.intrinsics import Intrinsics

pytestmark = pytest.mark.ros

H, W = 5, 7
RGB = np.random.default_rng(0).integers(0, 256, (H, W, 3)).astype(np.uint8)
STAMP_NS = 1_700_000_000_123_456_789


def image(array, encoding, *, padding=0, big=False, frame="optical", stamp_ns=STAMP_NS):
    rows = np.ascontiguousarray(array).view(np.uint8).reshape(array.shape[0], -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=99)
    message = Image(height=array.shape[0], width=array.shape[1], encoding=encoding, is_bigendian=int(big))
    message.step = rows.shape[1]
    message.data.frombytes(rows.tobytes())
    message.header.frame_id = frame
    message.header.stamp = conversions.stamp_from_ns(stamp_ns)
    return message


def camera_info(**changes):
    message = CameraInfo(width=640, height=480, distortion_model="plumb_bob", d=[0.0] * 5)
    message.k = [600.0, 0.0, 319.5, 0.0, 610.0, 239.5, 0.0, 0.0, 1.0]
    message.p = [600.0, 0.0, 319.5, 0.0, 0.0, 610.0, 239.5, 0.0, 0.0, 0.0, 1.0, 0.0]
    message.header.frame_id = "optical"
    for name, value in changes.items():
        setattr(message, name, value)
    return message


@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize(
    ("encoding", "array"),
    [
        ("rgb8", RGB),
        ("bgr8", RGB[:, :, ::-1]),
        ("rgba8", np.dstack([RGB, np.full((H, W), 7, np.uint8)])),
        ("bgra8", np.dstack([RGB[:, :, ::-1], np.full((H, W), 7, np.uint8)])),
    ],
)
def test_every_colour_encoding_gives_the_same_rgb(encoding, array, padding):
    color = conversions.color_from_message(image(array, encoding, padding=padding))
    assert color.dtype == np.uint8 and color.flags.c_contiguous
    np.testing.assert_array_equal(color, RGB)


def test_grey_becomes_three_equal_channels():
    color = conversions.color_from_message(image(RGB[:, :, 0], "mono8", padding=1))
    np.testing.assert_array_equal(color, RGB[:, :, [0, 0, 0]])


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("padding", [0, 6])
def test_millimetres_and_metres_of_either_byte_order(big, padding):
    truth = np.array([[0.0, 0.5, 65.535], [1.234, 0.001, 2.0]], np.float32)
    order = ">" if big else "<"
    millimetres = np.round(truth * 1000).astype(f"{order}u2")
    expected = np.where(truth > 0, truth, np.nan)
    depth = conversions.depth_from_message(image(millimetres, "16UC1", padding=padding, big=big))
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, expected, rtol=1e-6)
    metres = truth.astype(f"{order}f4")
    np.testing.assert_array_equal(conversions.depth_from_message(image(metres, "32FC1", padding=padding, big=big)), expected)


def test_nan_and_infinity_are_no_depth_and_the_unit_of_a_d405_is_applied():
    metres = np.array([[np.nan, np.inf, -np.inf, -1.0, 0.3]], np.float32)
    depth = conversions.depth_from_message(image(metres, "32FC1"))
    np.testing.assert_array_equal(depth, np.array([[np.nan] * 4 + [0.3]], np.float32))
    tenths = np.array([[3000]], np.uint16)
    assert conversions.depth_from_message(image(tenths, "16UC1"), unit_m=1e-4)[0, 0] == pytest.approx(0.3)


def test_the_unit_of_integers_is_refused_for_meters():
    with pytest.raises(InputError, match="depth_unit_m must be that of 16UC1"):
        conversions.depth_from_message(image(np.ones((2, 2), np.float32), "32FC1"), unit_m=1e-4)


def test_the_last_row_may_come_without_padding():
    message = image(RGB, "rgb8", padding=4)
    del message.data[-4:]
    np.testing.assert_array_equal(conversions.color_from_message(message), RGB)
    del message.data[-1:]
    with pytest.raises(InputError, match="does not fit its data"):
        conversions.color_from_message(message)


@pytest.mark.parametrize("changes", [{"step": 5}, {"height": 0}, {"width": 8}, {"height": 6}, {"width": 2**31, "height": 2**31}])
def test_sizes_that_do_not_fit_are_refused(changes):
    message = image(RGB, "rgb8")
    for name, value in changes.items():
        setattr(message, name, value)
    with pytest.raises(InputError, match="does not fit its data"):
        conversions.color_from_message(message)


def test_unknown_encodings_are_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"bayer_rggb8.*rgb8, bgr8"):
        conversions.color_from_message(image(RGB, "bayer_rggb8"))
    with pytest.raises(InputError, match=r"mono8.*16UC1, mono16, 32FC1"):
        conversions.depth_from_message(image(RGB[:, :, 0], "mono8"))


def compressed(array, form, kind="PNG", header=b""):
    from PIL import Image as PillowImage

    buffer = io.BytesIO()
    PillowImage.fromarray(array).save(buffer, kind)
    return CompressedImage(format=form, data=header + buffer.getvalue())


def test_compressed_colour_and_depth():
    np.testing.assert_array_equal(conversions.color_from_message(compressed(RGB, "rgb8; png compressed")), RGB)
    depth = np.array([[0, 1000], [2500, 65535]], np.uint16)
    message = compressed(depth, "16UC1; compressedDepth png", header=struct.pack("<iff", 0, 0.0, 0.0))
    np.testing.assert_allclose(conversions.depth_from_message(message), [[np.nan, 1.0], [2.5, 65.535]], rtol=1e-6)


@pytest.mark.parametrize("data", [b"", b"\x00" * 100, b"\x89PNG\r\n\x1a\n" + b"x" * 50])
def test_broken_compressed_images_are_refused(data):
    with pytest.raises(InputError, match="cannot be decoded"):
        conversions.color_from_message(CompressedImage(format="png", data=data))


def test_intrinsics_of_a_full_image():
    found = conversions.intrinsics_from_message(camera_info())
    assert found == Intrinsics(640, 480, 600.0, 610.0, 319.5, 239.5)


def test_binning_and_region_of_interest_scale_k_so_that_a_surface_keeps_its_ray():
    """A feature at full-resolution pixel edges (e) lands on the received image at (e - offset) / binning."""
    message = camera_info(binning_x=2, binning_y=4)
    message.roi.x_offset, message.roi.y_offset, message.roi.width, message.roi.height = 40, 80, 400, 320
    found = conversions.intrinsics_from_message(message)
    assert found.size_wh == (200, 80)
    full = conversions.intrinsics_from_message(camera_info())
    point = np.array([0.05, -0.02, 0.9])
    edges = full.project(point) + 0.5
    expected = (edges - [40, 80]) / [2, 4] - 0.5
    np.testing.assert_allclose(found.project(point), expected, atol=1e-9)


def test_a_crop_is_the_region_of_its_whole_image():
    whole = Intrinsics(640, 480, 600.0, 610.0, 320.0, 240.0, "brown_conrady", (0.1, -0.2, 0.0, 0.0, 0.0))
    for crop in (whole.cropped(400, 300, 200, 120), whole.scaled(321, 241).cropped(201, 7, 100, 99).scaled(150, 149)):
        message = conversions.intrinsics_to_message(crop, "optical", STAMP_NS)
        assert (message.roi.width, message.roi.height) == crop.size_wh == conversions.image_size(message)
        back = conversions.intrinsics_from_message(message)
        np.testing.assert_allclose(back.matrix, crop.matrix, atol=1e-9)
        assert (back.size_wh, back.distortion) == (crop.size_wh, crop.distortion)
    assert message.width > crop.width and conversions.intrinsics_to_message(whole, "optical", 0).roi.width == 0


def test_distortion_models():
    coefficients = [0.1, -0.2, 0.001, 0.002, 0.05]
    found = conversions.intrinsics_from_message(camera_info(d=coefficients))
    assert (found.distortion_model, found.distortion) == ("brown_conrady", tuple(coefficients))
    short = conversions.intrinsics_from_message(camera_info(d=coefficients[:4]))
    assert short.distortion == (*coefficients[:4], 0.0)
    reduced = conversions.intrinsics_from_message(
        camera_info(distortion_model="rational_polynomial", d=[*coefficients, 0.0, 0.0, 0.0])
    )
    assert reduced.distortion == tuple(coefficients)
    with pytest.raises(InputError, match=r"(?s)supported model.*'ftheta'"):
        conversions.intrinsics_from_message(camera_info(distortion_model="ftheta", d=[0.9]))
    with pytest.raises(InputError, match="supported model"):
        conversions.intrinsics_from_message(camera_info(distortion_model="equidistant", d=[0.01] * 5))


EIGHT = (0.3, -0.1, 0.001, -0.002, 0.02, 0.25, -0.05, 0.01)


@pytest.mark.parametrize(
    ("name", "values", "model"),
    [
        ("rational_polynomial", EIGHT, "rational_polynomial"),
        ("plumb_bob", EIGHT, "rational_polynomial"),
        ("rational_polynomial", (*EIGHT, *(0.0,) * 6), "rational_polynomial"),
        ("rational_polynomial", (*EIGHT, 0.001, 0.0, 0.0, 0.0), "thin_prism"),
        ("rational_polynomial", (*EIGHT, 0.001, 0.0, 0.0, 0.0, 0.01, 0.0), "thin_prism"),
        ("equidistant", (0.01, 0.02, -0.01, 0.0), "equidistant"),
        ("fisheye", (0.0,) * 4, "equidistant"),
        ("equidistant", (0.01, 0.02, -0.01, 0.0, 0.0), "equidistant"),
    ],
)
def test_wide_lenses_there_and_back(name, values, model):
    found = conversions.intrinsics_from_message(camera_info(distortion_model=name, d=list(values)))
    assert found.distortion_model == model and found.distortion == values[: len(found.distortion)]
    message = conversions.intrinsics_to_message(found, "optical", STAMP_NS)
    assert message.distortion_model == ("equidistant" if model == "equidistant" else "rational_polynomial")
    assert conversions.intrinsics_from_message(message) == found


def test_rectified_images_use_p_and_no_distortion():
    projection = [500.0, 0.0, 300.0, 0.0, 0.0, 510.0, 200.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    found = conversions.intrinsics_from_message(camera_info(d=[0.1] * 5, p=projection), rectified=True)
    assert found == Intrinsics(640, 480, 500.0, 510.0, 300.0, 200.0)


@pytest.mark.parametrize("index", [0, 4])
@pytest.mark.parametrize(("value", "words"), [(0.0, "focal length"), (float("nan"), "focal length"), (-600.0, "focal length")])
def test_an_uncalibrated_camera_is_refused(index, value, words):
    message = camera_info()
    message.k[index] = value
    with pytest.raises(InputError, match=words):
        conversions.intrinsics_from_message(message)


@pytest.mark.parametrize("index", [2, 5, 8])
def test_a_camera_matrix_that_is_not_finite_is_refused(index):
    message = camera_info()
    message.k[index] = float("nan")
    with pytest.raises(InputError, match="K of the camera info must be finite"):
        conversions.intrinsics_from_message(message)


def rotation(degrees):
    angle = np.radians(degrees)
    return [1.0, 0.0, 0.0, 0.0, np.cos(angle), -np.sin(angle), 0.0, np.sin(angle), np.cos(angle)]


def matrix(fx, fy, cx, cy, *, skew=0.0, tx=None, last=1.0):
    """K as in a message, or P with its offset."""
    rows = [[fx, skew, cx], [0.0, fy, cy], [0.0, 0.0, last]]
    if tx is not None:
        rows = [[*row, offset] for row, offset in zip(rows, (tx, 0.0, 0.0), strict=True)]
    return [float(value) for row in rows for value in row]


SAME = (600, 610, 319.5, 239.5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"k": matrix(*SAME, skew=30.0)}, "skew 30.*K of the camera info"),
        ({"k": matrix(*SAME, last=0.0)}, "K must be fx 0 cx"),
        ({"k": matrix(1, 1, 0, 0)}, "K and P.*fx=1.*P with 600"),
        ({"k": matrix(1200, 1220, 639.5, 479.5)}, "K and P.*rectified"),
        ({"k": matrix(600, 610, 319.5, 339.5)}, "K and P"),
        ({"d": [0.1] * 5, "k": matrix(6000, 6000, 319.5, 239.5)}, "K and P"),
        ({"r": rotation(0.2)}, "R turns by 0.20 degrees"),
        ({"r": [2.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]}, "R of the camera info must be a rotation"),
        ({"r": [float("inf")] * 9}, "R of the camera info must be finite"),
        ({"p": [float("nan")] * 12}, "P of the camera info must be finite"),
        ({"k": [1e-300, 0.0, 319.5, 0.0, 1e-300, 239.5, 0.0, 0.0, 1.0], "p": [0.0] * 12}, "focal length.*fx=1e-300"),
        ({"k": [600.0, 0.0, 1e308, 0.0, 600.0, 239.5, 0.0, 0.0, 1.0], "p": [0.0] * 12}, "principal point.*cx=1e[+]308"),
    ],
)
def test_a_camera_info_that_contradicts_itself_is_refused(changes, words):
    with pytest.raises(InputError, match=words):
        conversions.intrinsics_from_message(camera_info(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"p": [0.0] * 12},
        {"r": [0.0] * 9},
        {"r": rotation(0.05)},
        {"d": [-0.3, 0.1, 0.0, 0.0, 0.0], "p": matrix(500, 490, 330, 230, tx=0.0)},
        {"p": matrix(604, 612, 320, 240, tx=0.0)},
    ],
)
def test_camera_infos_as_drivers_publish_them_are_taken(changes):
    found = conversions.intrinsics_from_message(camera_info(**changes))
    assert (found.fx, found.fy, found.cx, found.cy) == SAME


def test_the_second_camera_of_a_stereo_pair_has_an_offset():
    projection = matrix(600, 610, 319.5, 239.5, tx=-60.0)
    with pytest.raises(InputError, match=r"no offset.*Tx=-60"):
        conversions.intrinsics_from_message(camera_info(p=projection), rectified=True)
    assert conversions.intrinsics_from_message(camera_info(p=projection)).fx == 600


@pytest.mark.parametrize(
    ("region", "words"),
    [
        ((600, 0, 100, 100), "100x100 at 600, 0 of 640x480"),
        ((0, 0, 641, 480), "region of interest"),
        ((10, 10, 0, 0), "region of interest"),
        ((10, 10, 20, 0), "region of interest"),
    ],
)
def test_a_region_beyond_its_image_is_refused(region, words):
    message = camera_info()
    message.roi.x_offset, message.roi.y_offset, message.roi.width, message.roi.height = region
    with pytest.raises(InputError, match=words):
        conversions.intrinsics_from_message(message)


def test_a_small_region_far_from_the_principal_point_keeps_its_rays():
    message = camera_info()
    message.roi.x_offset, message.roi.y_offset, message.roi.width, message.roi.height = 576, 416, 64, 64
    found = conversions.intrinsics_from_message(message)
    assert (found.fx, found.cx, found.cy) == (600.0, 319.5 - 576, 239.5 - 416)


def test_a_region_with_its_own_optical_center_is_taken():
    message = camera_info(k=matrix(150, 150, 179.5, 109.5))
    message.roi.x_offset, message.roi.y_offset, message.roi.width, message.roi.height = 100, 50, 160, 120
    assert conversions.intrinsics_from_message(message) == Intrinsics(160, 120, 150.0, 150.0, 79.5, 59.5)
    message.k[2] = message.k[5] = 9.5
    with pytest.raises(InputError, match="principal point"):
        conversions.intrinsics_from_message(message)


def test_binning_coarser_than_the_image_is_refused():
    with pytest.raises(InputError, match="binning"):
        conversions.intrinsics_from_message(camera_info(binning_x=1000))


def test_a_camera_info_without_frame_and_stamp_belongs_to_its_image():
    info = camera_info(width=W, height=H, k=matrix(6, 6, 3, 2), p=[0.0] * 12)
    info.header.frame_id = ""
    frame = conversions.frame_from_messages(image(RGB, "rgb8"), image(np.ones((H, W), np.float32), "32FC1"), info)
    assert frame.intrinsics is not None and frame.intrinsics.fx == 6.0


@pytest.mark.parametrize("frame", ["\x1b[31mred", "a\nb", "x" * 300, "/"])
def test_frame_names_that_nobody_can_read_are_refused(frame):
    with pytest.raises(InputError, match="printable name"):
        conversions.frame_from_messages(image(RGB, "rgb8", frame=frame))


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_a_frame_survives_the_way_through_messages(encoding):
    depth = np.array([[0.5, np.nan, 1.234]] * 2, np.float32)
    color = RGB[:2, :3].copy()
    lens = Intrinsics(3, 2, 4.0, 4.5, 1.0, 0.5, "brown_conrady", (0.1, 0.2, 0.0, 0.0, 0.0))
    frame = RgbdFrame(color, depth, lens, STAMP_NS, "optical", STAMP_NS + 5)
    back = conversions.frame_from_messages(*conversions.frame_to_messages(frame, depth_encoding=encoding))
    np.testing.assert_array_equal(back.color, color)
    np.testing.assert_allclose(back.depth_m, depth, rtol=1e-6)
    assert (back.intrinsics, back.stamp_ns, back.frame, back.depth_stamp_ns) == (lens, STAMP_NS, "optical", STAMP_NS + 5)


def test_depth_that_does_not_fit_into_millimetres_becomes_missing():
    frame = RgbdFrame(RGB[:1, :2].copy(), np.array([[65.0, 70.0]], np.float32), None, STAMP_NS, "optical")
    _, depth, info = conversions.frame_to_messages(frame)
    assert info is None
    np.testing.assert_allclose(conversions.depth_from_message(depth), [[65.0, np.nan]])


def test_messages_that_do_not_belong_together_are_refused():
    color, depth = image(RGB, "rgb8"), image(np.ones((H, W), np.float32), "32FC1")
    with pytest.raises(InputError, match="must have a capture time"):
        conversions.frame_from_messages(image(RGB, "rgb8", stamp_ns=0))
    with pytest.raises(InputError, match="printable name"):
        conversions.frame_from_messages(image(RGB, "rgb8", frame=""))
    depth.header.frame_id = "depth_optical"
    with pytest.raises(DepthInputError, match=r"'depth_optical'.*align_depth"):
        conversions.frame_from_messages(color, depth)
    with pytest.raises(DepthInputError, match="must be aligned"):
        conversions.frame_from_messages(color, image(np.ones((H, W + 1), np.float32), "32FC1"))
    with pytest.raises(DepthInputError, match="must be those of the image"):
        conversions.frame_from_messages(color, info=camera_info())


def test_the_class_of_the_error_tells_color_from_depth():
    depth = image(np.ones((H, W), np.float32), "32FC1")
    with pytest.raises(InputError) as of_color:
        conversions.frame_from_messages(image(RGB, "bayer_rggb8"), depth)
    with pytest.raises(InputError) as of_depth:
        conversions.frame_from_messages(image(RGB, "rgb8"), image(np.ones((H, W), np.float32), "64FC1"))
    assert [isinstance(error.value, DepthInputError) for error in (of_color, of_depth)] == [False, True]


def test_stamps_are_exact():
    for stamp_ns in (0, 1, 999_999_999, 1_000_000_000, STAMP_NS, (2**31 - 1) * 1_000_000_000):
        assert conversions.stamp_to_ns(conversions.stamp_from_ns(stamp_ns)) == stamp_ns


def rvl(depth):
    """Encode as the reference of RVL does, nibble by nibble."""
    nibbles, flat, place, last = [], depth.ravel().tolist(), 0, 0

    def put(value):
        while True:
            nibble, value = value & 7, value >> 3
            nibbles.append(nibble | 8 if value else nibble)
            if not value:
                return

    while place < len(flat):
        zeros = next((k for k in range(place, len(flat)) if flat[k]), len(flat)) - place
        put(zeros)
        place += zeros
        end = next((k for k in range(place, len(flat)) if not flat[k]), len(flat))
        put(end - place)
        for value in flat[place:end]:
            step, last = value - last, value
            put((step << 1) ^ (step >> 31))
        place = end
    nibbles += [0] * (-len(nibbles) % 8)
    words = [sum(each << (28 - 4 * k) for k, each in enumerate(nibbles[n : n + 8])) for n in range(0, len(nibbles), 8)]
    return struct.pack("<II", depth.shape[1], depth.shape[0]) + struct.pack(f"<{len(words)}I", *words)


def packed(data, form):
    message = CompressedImage(format=form)
    message.data.frombytes(data)
    return message


@pytest.mark.parametrize("seed", range(3))
def test_compressed_depth_in_rvl_is_exact(seed):
    generator = np.random.default_rng(seed)
    depth = generator.integers(300, 65535, (24, 31)).astype(np.uint16)
    depth[generator.random(depth.shape) < 0.3] = 0
    message = packed(struct.pack("<iff", 0, 0.0, 0.0) + rvl(depth), "16UC1; compressedDepth rvl")
    found = conversions.depth_from_message(message)
    np.testing.assert_allclose(np.nan_to_num(found), depth / 1000, rtol=1e-6)
    for size in (0, 5, 12, 16, 30, len(message.data) - 8):
        with pytest.raises(InputError):
            conversions.depth_from_message(packed(bytes(message.data)[:size], message.format))
    with pytest.raises(InputError, match="too large"):
        conversions.depth_from_message(message, max_px=100)


@pytest.mark.parametrize("kind", ["png", "rvl"])
def test_compressed_depth_in_meters_is_turned_back(kind):
    meters = np.linspace(0.3, 4.0, 24 * 31).reshape(24, 31)
    scale, offset = 10100.0, 1 - 10100.0 / 10.0
    inverse = np.rint(scale / meters + offset).astype(np.uint16)
    inverse[2, 3] = 0
    header = struct.pack("<iff", 1, scale, offset)
    body = rvl(inverse) if kind == "rvl" else bytes(compressed(inverse, "").data)
    found = conversions.depth_from_message(packed(header + body, f"32FC1; compressedDepth {kind}"))
    assert np.isnan(found[2, 3]) and np.isnan(found).sum() == 1
    np.testing.assert_allclose(np.where(np.isnan(found), meters, found), meters, atol=2e-3)
    with pytest.raises(InputError, match="32FC1"):
        conversions.depth_from_message(packed(header + body, f"32FC1; compressedDepth {kind}"), unit_m=0.0001)


def test_gray_depth_and_colors_without_an_order_are_read(caplog):
    depth = np.full((4, 6), 1500, np.uint16)
    message, _, _ = conversions.frame_to_messages(RgbdFrame(RGB, None, None, 5, "cam"))
    gray = Image(height=4, width=6, encoding="mono16", step=12, is_bigendian=0)
    gray.data.frombytes(depth.tobytes())
    np.testing.assert_allclose(conversions.depth_from_message(gray), 1.5)
    with pytest.raises(InputError, match="depth: remap"):
        conversions.color_from_message(gray)
    with pytest.raises(InputError, match="picture, not depth"):
        conversions.depth_from_message(message)
    bgr = Image(height=RGB.shape[0], width=RGB.shape[1], encoding="8UC3", step=RGB.shape[1] * 3)
    bgr.data.frombytes(np.ascontiguousarray(RGB[:, :, ::-1]).tobytes())
    for _ in range(2):
        np.testing.assert_array_equal(conversions.color_from_message(bgr), RGB)
    assert sum("8UC3" in record.getMessage() for record in caplog.records) == 1


DEPTH = image(np.ones((H, W), np.float32), "32FC1")
COLOR_INFO = {"width": W, "height": H, "k": matrix(6, 6, 3, 2), "p": [0.0] * 12}


def doubt_about(rectified=False, **own):
    values = {**COLOR_INFO, **own}
    frame_id = values.pop("frame", "optical")
    color, depth = camera_info(**COLOR_INFO), camera_info(**values)
    color.header.frame_id, depth.header.frame_id = "optical", frame_id
    if rectified:
        color.p = [6.0, 0.0, 3.0, 0.0, 0.0, 6.0, 2.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    colors, depths = image(RGB, "rgb8", frame="optical"), image(np.ones((H, W), np.float32), "32FC1", frame="optical")
    return conversions.frame_from_messages(colors, depths, color, rectified=rectified, depth_info=depth).depth_doubt


@pytest.mark.parametrize(
    "own",
    [
        {},
        {"frame": "/optical"},
        {"frame": ""},
        {"k": [0.0] * 9},
        {"k": [float("nan")] * 9},
        {"k": matrix(6.003, 6, 3, 2)},
        {"distortion_model": "ftheta", "d": [0.1]},
        {"k": matrix(12, 12, 6, 4), "width": 2 * W, "height": 2 * H, "binning_x": 2, "binning_y": 2},
        {"k": matrix(6, 6, 5, 2), "width": W + 2, "roi": RegionOfInterest(x_offset=2, width=W, height=H)},
    ],
)
def test_depth_with_the_camera_info_of_the_color_image_is_not_doubted(own):
    assert doubt_about(**own) is None


@pytest.mark.parametrize(
    "own",
    [
        {"frame": "depth_optical"},
        {"k": matrix(8, 8, 3, 2)},
        {"k": matrix(6, 6, 3, 2.5)},
        {"width": 2 * W, "height": 2 * H},
        {"k": matrix(12, 12, 6, 4), "width": 2 * W, "height": 2 * H},
    ],
)
def test_depth_with_the_camera_info_of_another_camera_is_doubted_with_both(own):
    doubt = doubt_about(**own)
    assert doubt is not None and "the color image's has fx 6.0, fy 6.0, cx 3.0, cy 2.0" in doubt
    assert f"in {own.get('frame', 'optical')!r}" in doubt


def test_rectified_images_are_compared_by_their_projections():
    p = [6.0, 0.0, 3.0, 0.0, 0.0, 6.0, 2.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    assert doubt_about(True, p=p, k=matrix(9, 9, 3, 2)) is None
    assert doubt_about(True, p=[9.0, *p[1:]]) is not None
    assert conversions.frame_from_messages(image(RGB, "rgb8"), DEPTH, None, depth_info=camera_info()).depth_doubt is None
