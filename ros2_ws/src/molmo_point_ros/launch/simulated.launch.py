"""A simulated tabletop (or another camera) and the pointing node.

ros2 launch molmo_point_ros simulated.launch.py scene_seed:=7 rviz:=true
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from molmo_point_ros.nodes.launching import names, rviz_arguments, truth, typed

SHARE = Path(__file__).resolve().parent.parent

# name: default, description. Where the default is empty, the node's own default (or params_file) holds.
ARGUMENTS = {
    "namespace": ("", "Namespace of both nodes, e.g. robot1"),
    "params_file": (
        str(SHARE / "config" / "pointing.yaml"),
        "YAML file with parameters of the pointing node; the arguments override it",
    ),
    "log_level": ("info", "debug, info, warn, error"),
    "camera": (
        "simulated",
        "Camera of the camera node, as docs/cameras.md lists them, e.g. realsense:SERIAL",
    ),
    "scene_seed": ("", "Seed of the random tabletop, for camera:=simulated"),
    "recording": ("", "Folder or .zip of a recording, for camera:=recording"),
    "bag": ("", "rosbag2 or MCAP recording, for camera:=bag"),
    "camera_transform": ("", "YAML file with the camera's pose"),
    "fps": ("", "Frames per second, a whole number"),
    "width": ("", "Width of the image in pixels"),
    "height": ("", "Height of the image in pixels"),
    "use_sim_time": ("", "true: both nodes take the time from /clock"),
    "autostart": ("", "false: a lifecycle manager configures and activates the pointing node"),
    "model": ("", "Embedded checkpoint, folder with a checkpoint, or Hugging Face id"),
    "device": ("", "cpu, cuda, cuda:1"),
    "target_frame": ("base", "Frame of the positions"),
    "query": ("", "Look for this all the time"),
    "require_trusted": ("", "true: stop the targets of an answer that bears a caution"),
    "accept_cautions": ("", "Kinds of cautions that stop nothing, separated by commas"),
    "rviz": ("false", "true: show it all in RViz"),
    "rviz_config": (str(SHARE / "rviz" / "pointing.rviz"), "Configuration of RViz"),
}
CAMERA_PARAMETERS = {
    **dict.fromkeys(("camera", "recording", "bag", "camera_transform"), str),
    **dict.fromkeys(("scene_seed", "fps", "width", "height"), int),
    "use_sim_time": bool,
}
POINTING_PARAMETERS = {
    **dict.fromkeys(("use_sim_time", "autostart", "require_trusted"), bool),
    "accept_cautions": names,
    **dict.fromkeys(("model", "device", "target_frame", "query"), str),
}


def _nodes(context):
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    common = {"package": "molmo_point_ros", "namespace": given["namespace"], "output": "screen"}
    common["ros_arguments"] = ["--log-level", given["log_level"]]
    nodes = [
        Node(executable="camera_node", name="camera", parameters=[typed(given, CAMERA_PARAMETERS)], **common),
        LifecycleNode(
            executable="pointing_node",
            name="molmo_point",
            parameters=[given["params_file"], {"reliable": True, **typed(given, POINTING_PARAMETERS)}],
            **common,
        ),
    ]
    if truth("rviz", given["rviz"]):
        arguments = rviz_arguments(given["rviz_config"], given["target_frame"])
        nodes.append(
            Node(
                package="rviz2",
                executable="rviz2",
                name="rviz",
                namespace=given["namespace"],
                arguments=arguments,
                parameters=[typed(given, {"use_sim_time": bool})],
                output="log",
            )
        )
    return nodes


def generate_launch_description():
    """Return the arguments and the nodes."""
    declared = [DeclareLaunchArgument(name, default_value=value, description=text) for name, (value, text) in ARGUMENTS.items()]
    return LaunchDescription([*declared, OpaqueFunction(function=_nodes)])
