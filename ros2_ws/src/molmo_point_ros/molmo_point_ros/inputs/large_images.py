"""Shared memory for raw images, in a process that publishes them with Fast DDS."""

from collections.abc import Mapping, MutableMapping
from importlib import metadata
from pathlib import Path

PROFILE = Path(__file__).with_name("large_images.xml")

_PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
FIRST_RCLPY_OF_KILTED = 9
_OTHER_CHOICES = ("FASTDDS_BUILTIN_TRANSPORTS", "RMW_FASTRTPS_USE_QOS_FROM_XML")


def enlarge_shared_memory(environ: MutableMapping[str, str]) -> bool:
    """Let Fast DDS use `large_images.xml`, unless a profile, other transports or another DDS were chosen.

    Call it before rclpy.init. A raw 640x480 image does not fit into the default segment of 512 KiB. It travels over UDP in
    pieces, and best effort loses the image with any of them.

    Args:
        environ: The process's environment, changed in place.

    Returns:
        True if it was changed.
    """
    chosen = any(environ.get(name) for name in (*_PROFILE_VARIABLES, *_OTHER_CHOICES))
    if chosen or "fastrtps" not in environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp") or not PROFILE.is_file():
        return False
    environ[_variable(environ)] = str(PROFILE)
    return True


def _variable(environ: Mapping[str, str]) -> str:
    """Return the name of the variable: Kilted (Fast DDS 3) warns of the old name, and older versions know no other."""
    distribution = environ.get("ROS_DISTRO", "")
    if not distribution:
        try:
            return _PROFILE_VARIABLES[int(metadata.version("ros-rclpy").split(".")[0]) < FIRST_RCLPY_OF_KILTED]
        except metadata.PackageNotFoundError:
            return _PROFILE_VARIABLES[0]
    return _PROFILE_VARIABLES[distribution in ("humble", "iron", "jazzy")]
