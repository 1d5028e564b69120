"""The pointing node on a camera that others drive.

ros2 launch molmo_point_ros pointing.launch.py color_topic:=/camera/camera/color/image_raw \
    depth_topic:=/camera/camera/aligned_depth_to_color/image_raw info_topic:=/camera/camera/color/camera_info \
    target_frame:=base_link
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode

CONFIG = Path(__file__).resolve().parent.parent / "config" / "pointing.yaml"

# name: default, description. Where the default is empty, params_file decides, and after it the node's own default.
ARGUMENTS = {
    "namespace": ("", "Namespace of the node and its topics, e.g. robot1"),
    "name": ("molmo_point", "Name of the node; its topics are below it"),
    "params_file": (str(CONFIG), "YAML file with parameters; the arguments override it"),
    "log_level": ("info", "debug, info, warn, error"),
    "color_topic": ("color/image_raw", "Colour images"),
    "depth_topic": ("depth/image_raw", "Depth images, aligned to colour"),
    "info_topic": ("color/camera_info", "Camera info of the colour images"),
    "use_sim_time": ("", "true: take the time from /clock"),
    "autostart": ("", "false: a lifecycle manager configures and activates the node"),
    "camera": ("", "topics, simulated, recording or realsense"),
    "model": ("", "Embedded checkpoint, folder with a checkpoint, or Hugging Face id"),
    "device": ("", "cpu, cuda, cuda:1"),
    "target_frame": ("", "Frame of the positions"),
}
PARAMETERS = ("use_sim_time", "autostart", "camera", "model", "device", "target_frame")
REMAPPINGS = {
    "color/image_raw": "color_topic",
    "depth/image_raw": "depth_topic",
    "color/camera_info": "info_topic",
}


def _nodes(context):
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    truth = {"true": True, "false": False}
    overrides = {name: truth.get(given[name].lower(), given[name]) for name in PARAMETERS if given[name]}
    return [
        LifecycleNode(
            package="molmo_point_ros",
            executable="pointing_node",
            name=given["name"],
            namespace=given["namespace"],
            parameters=[given["params_file"], overrides],
            remappings=[(topic, given[argument]) for topic, argument in REMAPPINGS.items()],
            ros_arguments=["--log-level", given["log_level"]],
            output="screen",
        )
    ]


def generate_launch_description():
    """Return the arguments and the node."""
    declared = [DeclareLaunchArgument(name, default_value=value, description=text) for name, (value, text) in ARGUMENTS.items()]
    return LaunchDescription([*declared, OpaqueFunction(function=_nodes)])
