"""Build of molmo_point_ros, for colcon; name, version and the rest are read from package.xml."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent
MANIFEST = ElementTree.parse(HERE / "package.xml").getroot()
MAINTAINER = MANIFEST.find("maintainer")
NAME = MANIFEST.findtext("name")

setup(
    name=NAME,
    version=MANIFEST.findtext("version"),
    description=MANIFEST.findtext("description"),
    maintainer=MAINTAINER.text,
    maintainer_email=MAINTAINER.get("email"),
    license=MANIFEST.findtext("license"),
    python_requires=">=3.10",
    packages=find_packages(where=str(HERE)),
    package_data={f"{NAME}.inputs": ["*.xml"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", sorted(f"launch/{path.name}" for path in HERE.glob("launch/*.launch.py"))),
        (f"share/{NAME}/config", sorted(f"config/{path.name}" for path in HERE.glob("config/*.yaml"))),
        (f"share/{NAME}/rviz", sorted(f"rviz/{path.name}" for path in HERE.glob("rviz/*.rviz"))),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    entry_points={
        "console_scripts": [
            "pointing_node = molmo_point_ros.node:main",
            "camera_node = molmo_point_ros.camera_node:main",
            "bag_recorder = molmo_point_ros.bag_recorder:main",
            "hand_eye_capture = molmo_point_ros.capture_node:main",
            "point_at = molmo_point_ros.client:main",
            "teach = molmo_point_ros.teach:main",
            "subscriber = molmo_point_ros.subscriber:main",
            "pick_node = molmo_point_ros.pick_node:main",
            "command = molmo_point_ros.command:main",
        ]
    },
)
