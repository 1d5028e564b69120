"""QoS of images."""

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data

RELIABLE_DEPTH = 5
LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""QoS that gets the last message of a publisher that latches it, and nothing from other publishers."""


def image_qos(reliable: bool) -> QoSProfile:
    """Return the sensor QoS (best effort, 5 deep), or a reliable one for busy machines.

    A raw 640x480 image is larger than Fast DDS's shared memory segment (512 KiB). It travels in pieces, and best effort
    drops the image when one of them is lost. A reliable offer serves both kinds of subscribers; a reliable request gets
    nothing from a best-effort camera.
    """
    return QoSProfile(depth=RELIABLE_DEPTH, reliability=ReliabilityPolicy.RELIABLE) if reliable else qos_profile_sensor_data
