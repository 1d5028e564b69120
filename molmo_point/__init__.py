"""molmo-point: words to Molmo to pixels to depth to 3D targets with covariance.

Importing this package costs NumPy at most; each name is loaded when it is first used.
"""

from importlib import import_module
from typing import Any

_LAZY = {
    "PointRequest": "molmo_point.request",
    "Surface": "molmo_point.request",
    "Backend": "molmo_point.backend",
    "Found": "molmo_point.results",
    "draw_pointing": "molmo_point.viz.overlay",
    "parse_answer": "molmo_point.points.parse",
    "Picker": "molmo_point.picking.pick",
    "Pointer": "molmo_point.pointer",
    "Camera": "molmo_point.camera.base",
    "open_camera": "molmo_point.camera.registry",
    "load_frame": "molmo_point.camera.image_file",
    "RealSense": "molmo_point.camera.realsense",
    "SimulatedCamera": "molmo_point.sim.camera",
    "Recording": "molmo_point.camera.recording",
    "RecordingWriter": "molmo_point.camera.recording",
    "RgbdFrame": "molmo_point.frame",
    "decode_depth": "molmo_point.frame",
    "Intrinsics": "molmo_point.geometry.intrinsics",
    "load_intrinsics": "molmo_point.camera.intrinsics_files.camera_choice",
    "Transform": "molmo_point.geometry.transforms",
    "load_transform": "molmo_point.geometry.transforms",
    "save_transform": "molmo_point.geometry.transforms",
    "DepthStatus": "molmo_point.results",
    "DepthNoise": "molmo_point.geometry.depth_noise",
    "KnownPlane": "molmo_point.geometry.known_plane",
    "load_plane": "molmo_point.geometry.known_plane",
    "PosedFrame": "molmo_point.several_views",
    "point_in_views": "molmo_point.several_views",
    "PoseHistory": "molmo_point.geometry.poses",
    "align_depth": "molmo_point.geometry.alignment",
    "fuse_frames": "molmo_point.camera.frame_fusion",
    "at_capture": "molmo_point.target_time",
    "require_fresh": "molmo_point.target_time",
    "seen_from_now": "molmo_point.target_time",
    "PointTracker": "molmo_point.tracking.point_tracker",
    "Gripper": "molmo_point.grasp.gripper",
    "propose_grasps": "molmo_point.grasp.propose",
    "rank_grasps": "molmo_point.grasp.ranking",
    "parse_points": "molmo_point.points.parse",
    "Caution": "molmo_point.cautions",
    "CautionKind": "molmo_point.cautions",
    "Completion": "molmo_point.results",
    "ImagePoint": "molmo_point.results",
    "Target": "molmo_point.results",
    "Unreachable": "molmo_point.results",
    "Pointing": "molmo_point.results",
    "Count": "molmo_point.results",
    "MolmoPointError": "molmo_point.errors",
    "InputError": "molmo_point.errors",
    "FrameError": "molmo_point.errors",
    "CameraError": "molmo_point.errors",
    "CheckpointError": "molmo_point.errors",
    "DependencyError": "molmo_point.errors",
    "NotTrainedError": "molmo_point.errors",
    "CancelledError": "molmo_point.errors",
}

__all__ = [*_LAZY, "__version__"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name in _LAZY:
        value = getattr(import_module(_LAZY[name]), name)
    else:
        raise AttributeError(f"module 'molmo_point' has no attribute {name!r}; it has {', '.join(sorted(__all__))}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    """The version in package.xml beside a checkout, else that of the installed distribution."""
    import re
    from importlib.metadata import PackageNotFoundError, version
    from pathlib import Path

    manifest = Path(__file__).resolve().parent.parent / "package.xml"
    if manifest.is_file():
        text = manifest.read_text(encoding="utf-8")
        found = re.search(r"<name>molmo_point</name>.*?<version>\s*([^<\s]+)", text, re.DOTALL)
        if found:
            return found.group(1)
    try:
        return version("molmo-point")
    except PackageNotFoundError:
        return "0+unknown"
