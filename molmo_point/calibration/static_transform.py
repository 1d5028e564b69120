"""Static transform for ROS 2: a frame has one parent, and the driver already publishes the optical frame."""

import shlex

from molmo_point.errors import FrameError
from molmo_point.geometry.transforms import Transform
from molmo_point.text_checks import printable


def for_driver(parent_T_camera: Transform, driver_T_camera: Transform) -> Transform:
    """Compute parent_T_driver, the transform that makes the driver's own chain end at the calibrated optical frame.

    Args:
        parent_T_camera: Calibrated transform from the optical frame.
        driver_T_camera: Transform from the optical frame to the driver's root (camera_link), from its driver or URDF.

    Raises:
        FrameError: If the two transforms have different optical frames.
    """
    if driver_T_camera.source != parent_T_camera.source:
        raise FrameError(
            "driver_T_camera must start in the calibrated optical frame",
            f"{driver_T_camera.target}_T_{driver_T_camera.source}, calibrated {parent_T_camera.source}",
            f"give the transform from {parent_T_camera.source} to the driver's root frame",
        )
    return parent_T_camera @ driver_T_camera.inverse()


def publisher_command(transform: Transform) -> str:
    """Return the tf2 command that publishes a transform; names are quoted for the shell."""
    target, source = (shlex.quote(printable(name)) for name in (transform.target, transform.source))
    x, y, z = transform.translation_m
    qx, qy, qz, qw = transform.quaternion_xyzw
    return (
        "ros2 run tf2_ros static_transform_publisher"
        f" --x {x:.6f} --y {y:.6f} --z {z:.6f} --qx {qx:.8f} --qy {qy:.8f} --qz {qz:.8f} --qw {qw:.8f}"
        f" --frame-id {target} --child-frame-id {source}"
    )


def publisher_words(camera: Transform, driver: Transform | None) -> str:
    """Return the command for the driver's frame, or instructions to get the driver's chain."""
    source = shlex.quote(printable(camera.source))
    if driver is not None:
        return publisher_command(for_driver(camera, driver))
    return (
        f"# A running camera driver already publishes {source}, and a frame has one parent. Publish the driver's root\n"
        "# frame instead: save the driver's chain as YAML (target: camera_link, source: the optical frame), and run again\n"
        "# with --driver-transform FILE:\n"
        f"#   ros2 run tf2_ros tf2_echo camera_link {source}\n"
        "# Without a driver:\n" + publisher_command(camera)
    )
