"""The pointing node on a camera that others drive.

ros2 launch molmo_point_ros pointing.launch.py color_topic:=/camera/camera/color/image_raw \
    depth_topic:=/camera/camera/aligned_depth_to_color/image_raw info_topic:=/camera/camera/color/camera_info \
    target_frame:=base_link
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue

CONFIG = Path(__file__).resolve().parent.parent / "config" / "pointing.yaml"

# name: default, description
ARGUMENTS = {
    "namespace": ("", "Namespace of the node and its topics, e.g. robot1"),
    "name": ("molmo_point", "Name of the node; its topics are below it"),
    "params_file": (str(CONFIG), "YAML file with parameters; the arguments below override it"),
    "use_sim_time": ("false", "Take the time from /clock"),
    "log_level": ("info", "debug, info, warn, error"),
    "autostart": ("true", "Load the model and take goals at once; otherwise a lifecycle manager configures and activates"),
    "camera": ("topics", "topics, simulated, recording or realsense"),
    "model": ("tabletop", "Embedded checkpoint, folder with a checkpoint, or Hugging Face id"),
    "device": ("", "cpu, cuda, cuda:1; empty: the best there is"),
    "target_frame": ("", "Frame of the positions; empty: the optical frame"),
    "color_topic": ("color/image_raw", "Colour images"),
    "depth_topic": ("depth/image_raw", "Depth images, aligned to colour"),
    "info_topic": ("color/camera_info", "Camera info of the colour images"),
}
PARAMETERS = {"use_sim_time": bool, "autostart": bool, "camera": str, "model": str, "device": str, "target_frame": str}
REMAPPINGS = {
    "color/image_raw": "color_topic",
    "depth/image_raw": "depth_topic",
    "color/camera_info": "info_topic",
}


def generate_launch_description():
    """Return the arguments and the node."""
    parameters = {name: ParameterValue(LaunchConfiguration(name), value_type=kind) for name, kind in PARAMETERS.items()}
    node = LifecycleNode(
        package="molmo_point_ros",
        executable="pointing_node",
        name=LaunchConfiguration("name"),
        namespace=LaunchConfiguration("namespace"),
        parameters=[LaunchConfiguration("params_file"), parameters],
        remappings=[(topic, LaunchConfiguration(argument)) for topic, argument in REMAPPINGS.items()],
        arguments=["--ros-args", "--log-level", LaunchConfiguration("log_level")],
        output="screen",
    )
    declared = [DeclareLaunchArgument(name, default_value=value, description=text) for name, (value, text) in ARGUMENTS.items()]
    return LaunchDescription([*declared, node])
