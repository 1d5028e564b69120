"""Colored point cloud of a frame, and its PLY and PCD files."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from molmo_point.dependencies import require
from molmo_point.errors import InputError
from molmo_point.files import write_file
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform
from molmo_point.results import Target
from molmo_point.text_checks import printable


def cloud_of(frame: RgbdFrame, *, max_m: float = 4.0, edge_jump: float = 0.03) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute the colored point cloud of a frame.

    Args:
        frame: Frame with depth and intrinsics.
        max_m: Largest depth, in meters.
        edge_jump: Largest range of depth in a 3x3 neighborhood, as a share of the depth; more is a flying pixel.

    Returns:
        Points (n, 3) float64 in the frame's optical frame, in meters; colors (n, 3) uint8 RGB; and the size (n,) float64
        of the pixel at each point, in meters.

    Raises:
        InputError: If the frame has no depth or no intrinsics.
    """
    if frame.depth_m is None or frame.intrinsics is None:
        missing = "depth" if frame.depth_m is None else "intrinsics"
        raise InputError("frame must have depth and intrinsics", given=f"a frame without {missing}", fix="give both to the frame")
    depth = frame.depth_m
    padded = np.pad(np.where(np.isfinite(depth), depth, np.inf), 1, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3)).reshape(*depth.shape, 9)
    nearest = windows.min(axis=-1)
    farthest = np.where(np.isfinite(windows), windows, 0.0).max(axis=-1)
    keep = np.isfinite(depth) & (depth < max_m) & (farthest - nearest < edge_jump * depth)
    v, u = np.nonzero(keep)
    points = frame.intrinsics.deproject(np.stack([u, v], axis=-1).astype(np.float64), depth[v, u].astype(np.float64))
    return points, frame.color[v, u], depth[v, u] / frame.intrinsics.fx


def ellipsoid_surface(center_m: np.ndarray, covariance_m2: np.ndarray, sigmas: float, rings: int = 13) -> np.ndarray:
    """Return points (n, 3) on the ellipsoid at `sigmas` standard deviations around a position, in its frame and unit."""
    polar, around = np.meshgrid(np.linspace(0, np.pi, rings), np.linspace(0, 2 * np.pi, 2 * rings - 1), indexing="ij")
    sphere = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], axis=-1)
    values, axes = np.linalg.eigh(covariance_m2)
    return center_m + sigmas * (sphere.reshape(-1, 3) * np.sqrt(np.clip(values, 0.0, None))) @ axes.T


_SHELL, _DOUBTFUL_SHELL = (255, 30, 30), (168, 172, 178)


def save_ply(path: str | Path, frame: RgbdFrame, targets: tuple[Target, ...] = (), cautions: Sequence[str] = ()) -> int:
    """Write the cloud of a frame as binary PLY, with the ellipsoids of targets at 2 standard deviations as points.

    Args:
        path: File to write.
        frame: Frame with depth and intrinsics.
        targets: Targets in the frame's optical frame.
        cautions: Cautions about the targets, one line each; they become comments, and the ellipsoids gray, not red.

    Returns:
        Number of points written.

    Raises:
        InputError: Without depth or intrinsics, for a target in another frame, or if the file cannot be written.
    """
    points, colors, _ = cloud_of(frame)
    for target in targets:
        if target.frame != frame.frame:
            raise InputError(
                "Every target must be in the frame of the point cloud",
                given=f"target in {target.frame}, cloud in {frame.frame}",
                fix="pass the targets as the Pointer returned them",
            )
        shell = ellipsoid_surface(target.position_m, target.covariance_m2, 2.0, rings=33)
        points = np.concatenate([points, shell])
        colors = np.concatenate([colors, np.tile(np.array([_DOUBTFUL_SHELL if cautions else _SHELL], np.uint8), (len(shell), 1))])
    record = np.zeros(len(points), dtype=[("xyz", "<f4", 3), ("rgb", "u1", 3)])
    record["xyz"], record["rgb"] = points, colors
    kinds = "".join(f"property float {name}\n" for name in "xyz")
    kinds += "".join(f"property uchar {name}\n" for name in ("red", "green", "blue"))
    notes = f"comment made by molmo-point\ncomment meters, frame {printable(frame.frame)}\n"
    notes += "".join(f"comment caution {printable(caution)}\n" for caution in cautions)
    header = f"ply\nformat binary_little_endian 1.0\n{notes}element vertex {len(points)}\n"
    write_file(path, f"{header}{kinds}end_header\n".encode() + record.tobytes())
    return len(points)


def check_cloud_path(path: str | Path) -> str:
    """Return the suffix of a file for a point cloud, `.ply` or `.pcd`.

    Raises:
        DependencyError: Without Open3D (extra `cloud`).
        InputError: For another suffix.
    """
    require("open3d", "A file of all points", "cloud")
    suffix = Path(path).suffix.lower()
    if suffix not in CLOUD_MARKS:
        raise InputError("The file of a point cloud must end in .ply or .pcd", given=str(path), fix="rename it")
    return suffix


def save_cloud(path: str | Path, frame: RgbdFrame, base_T_camera: Transform | None = None) -> int:
    """Write every measured point of a frame with its color, in meters, as binary PLY or PCD; return the number of points.

    Args:
        path: File to write; its suffix, `.ply` or `.pcd`, chooses the format.
        frame: Frame with depth and intrinsics.
        base_T_camera: Transform to the frame of the points; default the optical frame.

    Raises:
        DependencyError: Without Open3D (extra `cloud`).
        InputError: For another suffix, without depth or intrinsics, or if the file cannot be written.
        FrameError: If the transform starts in another frame.
    """
    suffix = check_cloud_path(path)
    cloud = frame.to_open3d(base_T_camera=base_T_camera)
    open3d = require("open3d", "save_cloud", "cloud")
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / f"cloud{suffix}"
        open3d.io.write_point_cloud(str(written), cloud)
        content = written.read_bytes()
    start, mark = CLOUD_MARKS[suffix]
    write_file(path, content.replace(start, start + mark, 1))
    return len(cloud.points)


CLOUD_MARKS = {
    ".ply": (b"format binary_little_endian 1.0\n", b"comment made by molmo-point\n"),
    ".pcd": (b"# .PCD v0.7 - Point Cloud Data file format\n", b"# made by molmo-point\n"),
}
"""For each suffix, a line of the header that Open3D writes, and the mark of this program that follows it."""
