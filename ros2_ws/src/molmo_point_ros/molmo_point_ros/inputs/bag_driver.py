"""The line of rosbag2 recordings in the registry of cameras; importing this module adds it."""

from molmo_point.camera.registry import CAMERA_MODEL, CameraDriver, Option, register

BAG = CameraDriver(
    "bag",
    "molmo_point_ros.inputs.bag_camera:BagCamera",
    "recording of ROS 2 (MCAP or SQLite) or ROS 1",
    Option("bag", "path of its folder, or of its .mcap, .db3 or .bag file", metavar="PATH"),
    needs_source=True,
    options=(
        Option("color_topic", "color images; the only topic that fits if not given", ""),
        Option("depth_topic", "depth aligned to color; the only topic that fits if not given; none: color only", ""),
        Option("info_topic", "camera info of the color images; the topic next to them, or of their frame, if not given", ""),
        Option("realtime", "hand frames out at the rate at which they were recorded", True),
        Option("loop", "start again at the end", True),
        Option("depth_unit_m", "size of one unit of 16UC1 depth in meters", 0.001, limits=(1e-6, 0.1)),
        Option("rectified", "the images are rectified: use P of the camera info and no distortion", False),
        Option("max_skew_s", "largest time between color and depth in seconds", 0.0167, limits=(0.0, 1.0)),
        CAMERA_MODEL,
    ),
    extra="bag",
    suffixes=(".mcap", ".db3", "metadata.yaml"),
    marker="metadata.yaml",
    records_transforms=True,
)

register(BAG)
