"""The capture node takes samples from images and tf at the image's own stamp, with a simulated arm on the other side."""

import dataclasses
import os
import time

import pytest
import yaml

pytest.importorskip("cv2")
rclpy = pytest.importorskip("rclpy")
pytestmark = pytest.mark.ros

from geometry_msgs.msg import TransformStamped  # noqa: E402
from molmo_point_ros.conversions import intrinsics_to_message, stamp_from_ns, transform_to_message  # noqa: E402
from molmo_point_ros.conversions.images import frame_to_messages  # noqa: E402
from molmo_point_ros.inputs.image_qos import LATCHED  # noqa: E402
from molmo_point_ros.nodes.calibration_node import CaptureNode  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image  # noqa: E402
from std_msgs.msg import String  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402

from molmo_point.calibration.boards import DEFAULT  # noqa: E402
from molmo_point.calibration.capture import planned_views  # noqa: E402
from molmo_point.calibration.rehearsal_arm import RehearsalArm  # noqa: E402
from molmo_point.calibration.sample_file import load_session  # noqa: E402
from molmo_point.frame import RgbdFrame  # noqa: E402
from molmo_point.geometry.rigid import difference  # noqa: E402
from molmo_point.geometry.transforms import Transform  # noqa: E402

LIMIT_S = 60.0
CAMERA = "camera_color_optical_frame"


def test_the_node_records_samples_that_can_be_calibrated(tmp_path):
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=50 + os.getpid() % 50)
    folder = tmp_path / "samples"
    settings = {"folder": str(folder), "count": 5, "reliable": True, "optical_frame": CAMERA}
    settings = [Parameter(name, value=value) for name, value in settings.items()]
    node = CaptureNode(context=context, parameter_overrides=settings)
    other = rclpy.create_node("arm", context=context)
    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    executor.add_node(node)
    executor.add_node(other)
    images = other.create_publisher(Image, "color/image_raw", 10)
    infos = other.create_publisher(CameraInfo, "color/camera_info", LATCHED)
    poses = other.create_publisher(TFMessage, "/tf", 10)
    heard: list[str] = []
    other.create_subscription(String, "hand_eye_capture/advice", lambda m: heard.append(m.data), 10)
    arm = RehearsalArm(DEFAULT, seed=3)
    reported = []
    info = intrinsics_to_message(arm.intrinsics, "camera_link", time.time_ns())
    infos.publish(info)
    try:
        end = time.monotonic() + LIMIT_S
        for target in planned_views(DEFAULT):
            arm.go_to_view(target)
            before = len(list(folder.glob("*.png")))
            while time.monotonic() < end and not node.is_done and len(list(folder.glob("*.png"))) == before:
                image, pose = arm.read()
                stamp = time.time_ns()
                frame = RgbdFrame(image, None, arm.intrinsics, stamp, "camera_link")
                color, _, _ = frame_to_messages(frame)
                message: TransformStamped = transform_to_message(Transform.from_matrix("base_link", "tool0", pose), stamp)
                message.header.stamp = stamp_from_ns(stamp)
                poses.publish(TFMessage(transforms=[message]))
                images.publish(color)
                for _ in range(8):
                    executor.spin_once(timeout_sec=0.03)
            reported.append(pose)
            if len(reported) == 4:
                # An image of another camera between them is no sample.
                other_info = intrinsics_to_message(
                    dataclasses.replace(arm.intrinsics, fx=arm.intrinsics.fx * 1.3), "camera_link", 1
                )
                for message in (other_info, info):
                    infos.publish(message)
                    images.publish(color)
                    for _ in range(8):
                        executor.spin_once(timeout_sec=0.03)
            if node.is_done:
                break
        assert any("must be of one camera" in words for words in heard), heard[-9:]
        assert node.is_done, heard[-3:]
    finally:
        node.close()
        executor.shutdown()
        node.destroy_node()
        other.destroy_node()
        rclpy.shutdown(context=context)
    assert any("took sample" in words and "next:" in words for words in heard)
    session = load_session(folder)
    assert len(session.data) == 5 and session.camera_frame == CAMERA
    for taken, pose in zip(session.data.base_T_gripper, reported):
        assert abs(difference(taken, pose)).max() < 1e-9
    assert yaml.safe_load((folder / "samples.yaml").read_text())["setup"] == "eye_in_hand"
