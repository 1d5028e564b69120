"""The transform as ROS 2 must publish it: a frame has one parent, and the driver already owns the optical frame."""

from molmo_point.errors import FrameError
from molmo_point.geometry.transforms import Transform


def for_driver(parent_T_camera: Transform, driver_T_camera: Transform) -> Transform:
    """parent_T_driver: what to publish so that the driver's own chain ends where the calibration says.

    Args:
        parent_T_camera: the calibration, to the optical frame.
        driver_T_camera: from the optical frame to the driver's root (camera_link), as its driver or URDF publishes it.

    Raises:
        FrameError: the two are not about the same optical frame.
    """
    if driver_T_camera.source != parent_T_camera.source:
        raise FrameError(
            "The driver's transform is about another optical frame",
            f"{driver_T_camera.target}_T_{driver_T_camera.source}, calibrated {parent_T_camera.source}",
            f"give the transform from {parent_T_camera.source} to the driver's root frame",
        )
    return parent_T_camera @ driver_T_camera.inverse()


def publisher_command(transform: Transform) -> str:
    """The tf2 command that publishes a transform."""
    x, y, z = transform.translation_m
    qx, qy, qz, qw = transform.quaternion_xyzw
    return (
        "ros2 run tf2_ros static_transform_publisher"
        f" --x {x:.6f} --y {y:.6f} --z {z:.6f} --qx {qx:.8f} --qy {qy:.8f} --qz {qz:.8f} --qw {qw:.8f}"
        f" --frame-id {transform.target} --child-frame-id {transform.source}"
    )


def publisher_words(camera: Transform, driver: Transform | None) -> str:
    """The command for the right frame, or, without the driver's chain, how to get it."""
    if driver is not None:
        return publisher_command(for_driver(camera, driver))
    return (
        f"# If a camera driver runs, it already publishes {camera.source}, and a frame has one parent: publish its root frame\n"
        "# instead. Get the driver's chain, save it as YAML (target: camera_link, source: the optical frame), and run again\n"
        "# with --driver-transform FILE:\n"
        f"#   ros2 run tf2_ros tf2_echo camera_link {camera.source}\n"
        "# Without a driver:\n" + publisher_command(camera)
    )
