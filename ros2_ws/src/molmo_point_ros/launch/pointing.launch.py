"""Launch the pointing node for a camera with a driver of its own, and RViz on request.

ros2 launch molmo_point_ros pointing.launch.py color_topic:=/camera/camera/color/image_raw \
    depth_topic:=/camera/camera/aligned_depth_to_color/image_raw info_topic:=/camera/camera/color/camera_info \
    target_frame:=base_link rviz:=true
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from molmo_point_ros.nodes.launching import names, rviz_arguments, truth, typed

SHARE = Path(__file__).resolve().parent.parent

# name: default, description. An empty default leaves the value to params_file, then to the node.
ARGUMENTS = {
    "namespace": ("", "Namespace of the node and its topics, e.g. robot1"),
    "name": ("molmo_point", "Name of the node; its topics are below it"),
    "params_file": (str(SHARE / "config" / "pointing.yaml"), "YAML file with parameters; the arguments override it"),
    "log_level": ("info", "debug, info, warn, error"),
    "respawn": ("false", "true: start the node again when it ends"),
    "color_topic": ("color/image_raw", "Color images; with compressed:=true the topic with /compressed added"),
    "depth_topic": ("depth/image_raw", "Depth images, aligned to color"),
    "info_topic": ("color/camera_info", "Camera info of the color images"),
    "rgbd_topic": ("rgbd", "realsense2_camera_msgs/RGBD, with rgbd:=true"),
    "namespaced_tf": ("false", "true: transforms are on NAMESPACE/tf and NAMESPACE/tf_static instead of /tf and /tf_static"),
    "use_sim_time": ("", "true: use the time of /clock"),
    "autostart": ("", "false: a lifecycle manager configures and activates the node"),
    "camera": ("", "topics, or a camera as docs/cameras.md lists them, e.g. realsense:SERIAL"),
    "compressed": ("", "true: subscribe to compressed color images"),
    "reliable": ("", "true: subscribe to images reliably; the camera must offer it"),
    "rgbd": ("", "true: receive color, depth and camera info in one message"),
    "model": ("", "Embedded checkpoint, folder with a checkpoint, or Hugging Face id"),
    "device": ("", "cpu, cuda, cuda:1"),
    "quantization": ("", "Quantization of the model, e.g. nf4"),
    "target_frame": ("", "Frame of the positions, e.g. base_link"),
    "query": ("", "Queries of continuous mode, separated by semicolons"),
    "require_trusted": ("", "true: stop the targets of an answer that bears a caution"),
    "accept_cautions": ("", "Kinds of cautions that stop nothing, separated by commas"),
    "rviz": ("false", "true: start RViz"),
    "rviz_config": (str(SHARE / "rviz" / "pointing.rviz"), "Configuration of RViz"),
}
BOOLEANS = ("use_sim_time", "autostart", "compressed", "reliable", "rgbd", "require_trusted")
TEXTS = ("camera", "model", "device", "quantization", "target_frame", "query")
PARAMETERS = {**dict.fromkeys(BOOLEANS, bool), **dict.fromkeys(TEXTS, str), "accept_cautions": names}
REMAPPINGS = {
    "color/image_raw": "color_topic",
    "depth/image_raw": "depth_topic",
    "color/camera_info": "info_topic",
    "rgbd": "rgbd_topic",
}


def _nodes(context):
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    tf = [("/tf", "tf"), ("/tf_static", "tf_static")] if truth("namespaced_tf", given["namespaced_tf"]) else []
    remappings = [(topic, given[argument]) for topic, argument in REMAPPINGS.items()]
    remappings.append(("color/image_raw/compressed", f"{given['color_topic']}/compressed"))
    overrides = typed(given, PARAMETERS)
    pointing = LifecycleNode(
        package="molmo_point_ros",
        executable="pointing_node",
        name=given["name"],
        namespace=given["namespace"],
        parameters=[given["params_file"], overrides],
        remappings=remappings + tf,
        ros_arguments=["--log-level", given["log_level"]],
        respawn=truth("respawn", given["respawn"]),
        output="screen",
    )
    if not truth("rviz", given["rviz"]):
        return [pointing]
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        name="rviz",
        namespace=given["namespace"],
        arguments=rviz_arguments(given["rviz_config"], given["target_frame"]),
        parameters=[{"use_sim_time": overrides.get("use_sim_time", False)}],
        remappings=remappings + tf,
        output="log",
    )
    return [pointing, rviz]


def generate_launch_description():
    """Return the arguments and the nodes."""
    declared = [DeclareLaunchArgument(name, default_value=value, description=text) for name, (value, text) in ARGUMENTS.items()]
    return LaunchDescription([*declared, OpaqueFunction(function=_nodes)])
