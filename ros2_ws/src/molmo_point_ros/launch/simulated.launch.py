"""A simulated tabletop (or a recording) and the pointing node: everything without a robot or a camera.

ros2 launch molmo_point_ros simulated.launch.py scene_seed:=7
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node

CONFIG = Path(__file__).resolve().parent.parent / "config" / "pointing.yaml"

# name: default, description. Where the default is empty, the node's own default (or params_file) holds.
ARGUMENTS = {
    "namespace": ("", "Namespace of both nodes, e.g. robot1"),
    "params_file": (str(CONFIG), "YAML file with parameters of the pointing node; the arguments override it"),
    "camera": ("simulated", "simulated, recording or realsense: what the camera node publishes"),
    "scene_seed": ("", "Which random tabletop, a number"),
    "recording": ("", "Folder or .zip of a recording, for camera:=recording"),
    "fps": ("", "Frames per second, a whole number"),
    "model": ("", "Embedded checkpoint, folder with a checkpoint, or Hugging Face id"),
    "target_frame": ("base", "Frame of the positions"),
}
CAMERA_PARAMETERS = {"camera": str, "scene_seed": int, "recording": str, "fps": int}
POINTING_PARAMETERS = {"model": str, "target_frame": str}


def _nodes(context):
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}

    def overrides(kinds):
        return {name: kind(given[name]) for name, kind in kinds.items() if given[name]}

    common = {"package": "molmo_point_ros", "namespace": given["namespace"], "output": "screen"}
    return [
        Node(executable="camera_node", name="camera", parameters=[overrides(CAMERA_PARAMETERS)], **common),
        LifecycleNode(
            executable="pointing_node",
            name="molmo_point",
            parameters=[given["params_file"], {"reliable": True, **overrides(POINTING_PARAMETERS)}],
            **common,
        ),
    ]


def generate_launch_description():
    """Return the arguments and the two nodes."""
    declared = [DeclareLaunchArgument(name, default_value=value, description=text) for name, (value, text) in ARGUMENTS.items()]
    return LaunchDescription([*declared, OpaqueFunction(function=_nodes)])
