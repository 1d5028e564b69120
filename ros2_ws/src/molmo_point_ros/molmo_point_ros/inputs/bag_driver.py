"""The line of rosbag2 recordings in the registry of cameras; importing this module adds it."""

from molmo_point.camera.registry import CameraDriver, Option, register

BAG = CameraDriver(
    "bag",
    "molmo_point_ros.inputs.bag_camera:BagCamera",
    "rosbag2 recording (MCAP or SQLite)",
    Option("bag", "path of its folder, or of its .mcap or .db3 file", metavar="PATH"),
    needs_source=True,
    options=(
        Option("color_topic", "color images; the only topic that fits if not given", ""),
        Option("depth_topic", "depth aligned to color; the only topic that fits if not given", ""),
        Option("info_topic", "camera info of the color images; the topic next to them if not given", ""),
        Option("realtime", "hand frames out at the rate at which they were recorded", True),
        Option("loop", "start again at the end", True),
    ),
    extra="bag",
    suffixes=(".mcap", ".db3", "metadata.yaml"),
    marker="metadata.yaml",
    records_transforms=True,
)

register(BAG)
