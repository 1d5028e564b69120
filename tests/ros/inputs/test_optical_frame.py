"""The frame that images are stamped with, against the truth: a table and a wall seen by cameras in every attitude."""

import numpy as np
import pytest

optical_frame = pytest.importorskip(
    "molmo_point_ros.inputs.optical_frame",
    reason="run through ros2_ws/run, which puts the package on the path",
    exc_type=ImportError,
)
from molmo_point_ros.inputs.tf_buffer import TransformBuffer  # noqa: E402

from molmo_point.errors import FrameError  # noqa: E402
from molmo_point.frame import RgbdFrame  # noqa: E402
from molmo_point.geometry.intrinsics import Intrinsics  # noqa: E402
from molmo_point.geometry.transforms import Transform  # noqa: E402

CAMERA = Intrinsics(64, 48, 60.0, 60.0, 31.5, 23.5)
BODY_R_OPTICAL = np.array([[0, 0, 1.0], [-1, 0, 0], [0, -1, 0]])
PIXEL = np.array([44.0, 30.0])


def turn(axis, degrees):
    """Rotation about x, y or z."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    one, two = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[one, one] = matrix[two, two] = c
    matrix[one, two], matrix[two, one] = -s, s
    return matrix


class World:
    """A camera at a body pose in the base frame, before a table at z = 0 and a wall at x = 2 m."""

    def __init__(self, body=None, xyz=(0.0, 0.0, 0.5), wall_m=2.0, **options):
        self.buffer, self.told = TransformBuffer(), []
        self.base_R_body, self.xyz = np.eye(3) if body is None else body, np.array(xyz)
        rays = CAMERA.deproject(np.stack(np.meshgrid(range(64), range(48)), axis=-1), 1.0) @ (self.base_R_body @ BODY_R_OPTICAL).T
        with np.errstate(all="ignore"):
            table, wall = -self.xyz[2] / rays[..., 2], (wall_m - self.xyz[0]) / rays[..., 0]
        far = np.where(table > 0, table, np.inf)
        self.depth = np.minimum(far, np.where(wall > 0, wall, np.inf)).astype(np.float32)
        self.depth[~np.isfinite(self.depth)] = np.nan
        self.frames = optical_frame.OpticalFrames(self.buffer, on_body=self.told.append, **options)

    def add(self, parent, child, rotation, xyz=(0, 0, 0)):
        self.buffer.add(Transform(parent, child, np.asarray(rotation, float), np.asarray(xyz, float)), 0, static=True)
        return self

    def body(self, name, parent="base"):
        return self.add(parent, name, self.base_R_body, self.xyz)

    def optical(self, name, parent="base"):
        return self.add(parent, name, self.base_R_body @ BODY_R_OPTICAL, self.xyz)

    def frame(self, name):
        return RgbdFrame(np.zeros((48, 64, 3), np.uint8), self.depth, CAMERA, 1, name)

    def is_right(self, name):
        """Name of the frame after the check; the position of a pixel must be the true one in the base frame."""
        found = self.frames.of(self.frame(name))
        p_camera = CAMERA.deproject(PIXEL, self.depth[30, 44])
        truth = self.base_R_body @ BODY_R_OPTICAL @ p_camera + self.xyz
        position = self.buffer.lookup("base", found.frame, None).apply(p_camera, found.frame)
        np.testing.assert_allclose(position, truth, atol=2e-3)
        return found.frame


LEVEL, DOWN_45, DOWN, ON_ITS_SIDE = np.eye(3), turn("y", 45), turn("y", 90), turn("x", 90)
ATTITUDES = {
    "level": LEVEL,
    "45 degrees down": DOWN_45,
    "down": DOWN,
    "on its side": ON_ITS_SIDE,
    "rolled": DOWN_45 @ turn("x", 120),
}


@pytest.mark.parametrize("attitude", ATTITUDES.values(), ids=ATTITUDES)
@pytest.mark.parametrize("name", ["camera_color_optical_frame", "left_eye", "rgb", "overhead", "camera", "robot/camera"])
def test_optical_frames_of_any_name_and_attitude_are_used_as_they_are(attitude, name):
    world = World(attitude).optical(name)
    assert world.is_right(name) == name and not world.told


@pytest.mark.parametrize("attitude", ATTITUDES.values(), ids=ATTITUDES)
@pytest.mark.parametrize("name", ["camera_link", "camera", "kinect::link", "robot/camera_link/rgbd", "camera_color_frame"])
def test_a_body_frame_with_its_optical_frame_is_replaced_with_one_warning(attitude, name):
    world = World(attitude).body(name).add(name, "eye_optical", BODY_R_OPTICAL)
    assert [world.is_right(name), world.is_right(name)] == ["eye_optical"] * 2
    assert len(world.told) == 1 and name in world.told[0] and "eye_optical" in world.told[0]


def test_an_optical_child_of_any_name_and_one_through_a_frame_between_are_found():
    assert World().body("camera_link").add("camera_link", "eye", BODY_R_OPTICAL).is_right("camera_link") == "eye"
    world = World().body("camera_link").add("camera_link", "camera_frame", np.eye(3))
    assert world.add("camera_frame", "camera_optical", BODY_R_OPTICAL).is_right("camera_link") == "camera_optical"
    assert World().body("cam").optical("cam_optical").is_right("cam") == "cam_optical"


def realsense(world):
    """The tree of realsense-ros for a D435, with the offset of its color camera."""
    world.add("camera_link", "camera_depth_frame", np.eye(3)).add(
        "camera_depth_frame", "camera_depth_optical_frame", BODY_R_OPTICAL
    )
    world.add("camera_link", "camera_infra2_frame", np.eye(3), (0, -0.05, 0))
    world.add("camera_infra2_frame", "camera_infra2_optical_frame", BODY_R_OPTICAL)
    world.add("camera_link", "camera_color_frame", turn("z", 0.4), (0, 0.015, 0))
    return world.add("camera_color_frame", "camera_color_optical_frame", BODY_R_OPTICAL)


def test_realsense_trees():
    for name in ("camera_link", "camera_color_frame", "camera_color_optical_frame"):
        world = realsense(World().body("camera_link"))
        assert world.frames.of(world.frame(name)).frame == "camera_color_optical_frame"
        assert bool(world.told) == (name != "camera_color_optical_frame")


def test_a_tree_whose_links_are_optical_as_of_the_azure_kinect():
    world = World(DOWN_45).body("camera_base").add("camera_base", "depth_camera_link", turn("y", 6) @ BODY_R_OPTICAL)
    world.add("depth_camera_link", "rgb_camera_link", turn("x", -6), (-0.032, 0, 0))
    assert world.frames.of(world.frame("rgb_camera_link")).frame == "rgb_camera_link"
    assert not world.told


@pytest.mark.parametrize(
    "name", ["camera_link", "kinect::link", "robot/camera_link/rgbd", "camera_color_frame", "camera", "cam0"]
)
@pytest.mark.parametrize("attitude", [LEVEL, DOWN_45, turn("y", 20)], ids=["level", "45 degrees down", "20 degrees down"])
def test_a_body_frame_without_its_optical_frame_is_refused(attitude, name):
    world = World(attitude).body(name)
    with pytest.raises(FrameError, match=f"optical frame .z forward.*{name!r}.*optical_frame"):
        world.is_right(name)
    world.add(name, "eye_optical", BODY_R_OPTICAL)
    assert world.is_right(name) == "eye_optical", "published later"


def test_a_wall_that_would_be_a_ceiling():
    world = World(wall_m=0.8, xyz=(0, 0, 5.0)).body("camera")
    with pytest.raises(FrameError, match="look upwards in 'base'"):
        world.is_right("camera")


@pytest.mark.parametrize("attitude", [DOWN, DOWN_45, turn("y", 30) @ turn("x", 180)])
def test_an_optical_frame_with_the_name_of_a_link_is_known_by_the_table_below_it(attitude):
    world = World(attitude).optical("camera_link")
    assert world.is_right("camera_link") == "camera_link"
    world.depth = np.full((48, 64), np.nan, np.float32)
    assert world.frames.of(world.frame("camera_link")).frame == "camera_link", "known from before"


def test_a_camera_on_the_hand_whose_tree_has_only_the_hand():
    world = World(DOWN)
    world.add("tool0", "eye", np.eye(3), (0, 0.05, 0))
    assert world.frames.of(world.frame("eye")).frame == "eye"


def test_a_name_alone_is_a_doubt_and_the_parameter_settles_it():
    world = World()
    with pytest.raises(FrameError, match="its name is that of a body frame"):
        world.frames.of(world.frame("camera_link"))
    assert world.frames.of(world.frame("camera")).frame == "camera"
    for override in ("camera_link", "/camera_link", "eye"):
        world = World(override=override)
        assert world.frames.of(world.frame("camera_link")).frame == override.lstrip("/")
        assert not world.told


def test_two_optical_frames_at_different_places_are_named():
    world = World().body("head_link").add("head_link", "left_optical", BODY_R_OPTICAL, (0, 0.03, 0))
    world.add("head_link", "right_optical", BODY_R_OPTICAL, (0, -0.03, 0))
    with pytest.raises(FrameError, match="different places: left_optical, right_optical"):
        world.is_right("head_link")


def test_an_image_without_depth_has_no_position_to_be_wrong():
    frame = RgbdFrame(np.zeros((4, 4, 3), np.uint8), None, None, 1, "camera_link")
    assert World().frames.of(frame) is frame
