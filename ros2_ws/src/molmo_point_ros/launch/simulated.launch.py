"""A simulated tabletop (or a recording) and the pointing node: everything without a robot or a camera.

ros2 launch molmo_point_ros simulated.launch.py scene_seed:=7
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterValue

CONFIG = Path(__file__).resolve().parent.parent / "config" / "pointing.yaml"

# name: default, description
ARGUMENTS = {
    "namespace": ("", "Namespace of both nodes, e.g. robot1"),
    "params_file": (str(CONFIG), "YAML file with parameters of the pointing node"),
    "camera": ("simulated", "simulated, recording or realsense: what the camera node publishes"),
    "scene_seed": ("0", "Which random tabletop"),
    "recording": ("", "Folder or .zip of a recording, for camera:=recording"),
    "fps": ("0", "Frames per second; 0: the camera's own"),
    "model": ("tabletop", "Embedded checkpoint, folder with a checkpoint, or Hugging Face id"),
    "target_frame": ("base", "Frame of the positions; empty: the optical frame"),
}
CAMERA_PARAMETERS = {"camera": str, "scene_seed": int, "recording": str, "fps": int}
POINTING_PARAMETERS = {"model": str, "target_frame": str}


def _values(kinds):
    return {name: ParameterValue(LaunchConfiguration(name), value_type=kind) for name, kind in kinds.items()}


def generate_launch_description():
    """Return the arguments and the two nodes."""
    namespace = LaunchConfiguration("namespace")
    camera = Node(
        package="molmo_point_ros",
        executable="camera_node",
        name="camera",
        namespace=namespace,
        parameters=[_values(CAMERA_PARAMETERS)],
        output="screen",
    )
    pointing = LifecycleNode(
        package="molmo_point_ros",
        executable="pointing_node",
        name="molmo_point",
        namespace=namespace,
        parameters=[LaunchConfiguration("params_file"), _values(POINTING_PARAMETERS)],
        output="screen",
    )
    declared = [DeclareLaunchArgument(name, default_value=value, description=text) for name, (value, text) in ARGUMENTS.items()]
    return LaunchDescription([*declared, camera, pointing])
